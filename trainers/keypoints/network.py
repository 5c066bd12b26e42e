"""The landmark network: EfficientNet-Lite0, a small feature pyramid, one heat map per point.

A point's place is the mean of its heat map ("integral regression", Sun et al., 2018,
https://arxiv.org/abs/1711.08229), so it is not bound to the grid and the whole network is differentiable.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

from immich_dog_plugin.geometry import KEYPOINT_NAMES

from ..starting_weights import efficientnet_lite

POINTS = len(KEYPOINT_NAMES)
STRIDE = 4  # input pixels per heat map cell


class KeypointNetwork(nn.Module):
    """Letterboxed dog crops ``(n, 3, side, side)`` to heat maps, points and visibilities.

    Args:
        backbone: gives features at strides 4, 8, 16 and 32.
        channels: channels of those features.
        width: channels of the pyramid.
    """

    def __init__(self, backbone: nn.Module, channels: list[int], width: int = 64) -> None:
        super().__init__()
        self.backbone = backbone
        self.lateral = nn.ModuleList(nn.Conv2d(channel, width, 1) for channel in channels)
        self.smooth = nn.ModuleList(_separable(width) for _ in channels[:-1])
        self.heat = nn.Sequential(_separable(width), nn.Conv2d(width, POINTS, 1))
        self.visibility = nn.Sequential(nn.Conv1d(width + channels[-1], 128, 1), nn.ReLU(), nn.Conv1d(128, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Heat map logits ``(n, 5, h, w)``, points ``(n, 5, 2)`` in input pixels, visibility logits ``(n, 5)``."""
        features = self.backbone(images)
        pyramid = self.lateral[-1](features[-1])
        for level in reversed(range(len(features) - 1)):
            grown = nn.functional.interpolate(pyramid, scale_factor=2.0, mode="nearest")
            pyramid = self.smooth[level](grown + self.lateral[level](features[level]))
        heat = self.heat(pyramid)
        probability = heat.flatten(2).softmax(dim=2)  # (n, 5, h * w)
        # What the network sees at the point it names, beside what it sees in the whole crop.
        at_point = pyramid.flatten(2) @ probability.transpose(1, 2)  # (n, width, 5)
        whole = features[-1].mean(dim=(2, 3))[:, :, None].expand(-1, -1, POINTS)
        visibility = self.visibility(torch.cat([at_point, whole], dim=1)).squeeze(1)
        return heat, soft_argmax(probability, heat.shape[3]), visibility


class ExportedKeypoints(nn.Module):
    """The graph that ships: ``keypoints`` ``(n, 5, 3)`` with x, y in input pixels and the visibility's probability."""

    def __init__(self, network: KeypointNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        _, points, visibility = self.network(images)
        return torch.cat([points, visibility.sigmoid()[:, :, None]], dim=2)


def soft_argmax(probability: Tensor, width: int) -> Tensor:
    """Mean place ``(n, points, 2)`` in input pixels of heat maps ``(n, points, height * width)`` that sum to 1.

    A cell stands for its centre: cell 0 lies at half a stride.
    """
    cells = probability.shape[2]
    index = torch.arange(cells, device=probability.device)
    centres = torch.stack([index % width, torch.div(index, width, rounding_mode="floor")], dim=1).to(probability.dtype)
    return probability @ ((centres + 0.5) * STRIDE)


def keypoint_network(pretrained: bool = True) -> KeypointNetwork:
    """The network that ships, its backbone with ImageNet weights."""
    options: dict[str, Any] = {"features_only": True, "out_indices": (1, 2, 3, 4)}
    if pretrained:
        backbone = efficientnet_lite(0, **options)
    else:
        backbone = timm.create_model("tf_efficientnet_lite0", pretrained=False, **options)
    return KeypointNetwork(backbone, backbone.feature_info.channels())


def _separable(width: int) -> nn.Sequential:
    """Depthwise 3 x 3 and pointwise convolution."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
