"""Networks filled from the graphs of a model package.

So training continues from what ships when the checkpoints are gone, and a test can hold network and graph together.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from immich_dog_plugin.manifest import Manifest
from immich_dog_plugin.model_package import ModelPackage

from .detector.network import ExportedDetector, light_network
from .embedder.network import RANDOM, Architecture, EmbedderNetwork, embedder_network
from .graph import read_weights
from .keypoints.network import ExportedKeypoints, keypoint_network
from .records import Record

Network = TypeVar("Network", bound=nn.Module)
# Of the embedders that were exported before packages carried the records of their runs.
UNRECORDED = Architecture("tf_efficientnet_lite2", pooling="average", side=260)
FOLDED_BIAS = ".weight_bias"  # how the exporter names the bias of a batch normalisation folded into a convolution


def detector_from(package: ModelPackage) -> ExportedDetector:
    """The detector that ships."""
    return _filled(ExportedDetector(light_network()), package.model_path("detection"))


def keypoints_from(package: ModelPackage) -> ExportedKeypoints:
    """The landmark network that ships."""
    return _filled(ExportedKeypoints(keypoint_network(pretrained=False)), package.model_path("keypoint"))


def embedder_from(package: ModelPackage) -> EmbedderNetwork:
    """The embedder that ships."""
    return _filled(embedder_network(architecture_of(package.manifest), RANDOM), package.model_path("recognition"))


def architecture_of(manifest: Manifest) -> Architecture:
    """The embedder's backbone and pooling, as the record of its run says, and the side that its graph takes."""
    training = manifest.metrics.get("training", {}).get("recognition")
    if training is None:
        return UNRECORDED
    recipe = Record.model_validate(training).recipe
    return Architecture(recipe["backbone"], recipe["pooling"], manifest.recognition.input.side)


def _filled(network: Network, graph: Path) -> Network:
    fill(network, read_weights(graph))
    return network.eval()


def fill(network: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Fill every layer from weights of its name; a folded batch normalisation becomes one that only adds its bias.

    Raises:
        KeyError: the graph has no weights for a layer.
    """
    folded: torch.Tensor | None = None
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
                module.weight.copy_(weights[f"{name}.weight"])
                folded = weights.get(name + FOLDED_BIAS)
                if module.bias is not None:
                    module.bias.copy_(weights[f"{name}.bias"])
            elif isinstance(module, nn.BatchNorm2d):
                # In every network here a batch normalisation is registered right behind its convolution.
                if folded is None:
                    raise KeyError(f"the graph holds no bias for {name}")
                module.weight.fill_(1)
                module.bias.copy_(folded)
                module.running_mean.zero_()
                module.running_var.fill_(1 - module.eps)
                folded = None
            else:
                for part, parameter in module.named_parameters(prefix=name, recurse=False):
                    parameter.copy_(weights[part])
