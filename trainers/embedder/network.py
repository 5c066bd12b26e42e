"""The embedder: EfficientNet-Lite2, a linear projection to 512 numbers, unit length."""

from __future__ import annotations

import timm
from torch import Tensor, nn

from ..starting_weights import efficientnet_lite

FEATURES = 1280
DIMENSION = 512  # Immich stores vectors of this length


class EmbedderNetwork(nn.Module):
    """Crops ``(n, 3, side, side)`` to unit vectors ``(n, 512)``."""

    def __init__(self, backbone: nn.Module, projection: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = projection

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.normalize(self.projection(self.backbone(images)))


def backbone_network(pretrained: bool = True) -> nn.Module:
    """EfficientNet-Lite2 without its classifier, with ImageNet weights or at random: ``(n, 1280)`` pooled features."""
    if pretrained:
        return efficientnet_lite(2, num_classes=0)
    network: nn.Module = timm.create_model("tf_efficientnet_lite2", pretrained=False, num_classes=0)
    return network


def embedder_network(pretrained: bool = True) -> EmbedderNetwork:
    """The network that ships, its backbone with ImageNet weights, its projection still at random."""
    return EmbedderNetwork(backbone_network(pretrained), nn.Linear(FEATURES, DIMENSION, bias=False))
