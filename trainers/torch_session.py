"""A network in the place of an ONNX session, so that serving's stages run what is not exported yet."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class TorchSession:
    """Fits ``immich_dog_plugin.stages.session.Session``."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval()

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]:
        """The network's one output for the one input."""
        (images,) = input_feed.values()
        with torch.inference_mode():
            return [self._network(torch.from_numpy(images)).numpy()]
