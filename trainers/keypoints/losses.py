"""What the landmark network is trained to do."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .network import STRIDE

HEAT_SIGMA = 1.5  # cells
POINT_WEIGHT = 0.1  # per input pixel
VISIBILITY_WEIGHT = 0.5


def landmark_loss(heat: Tensor, points: Tensor, visibility: Tensor, target: Tensor) -> Tensor:
    """Heat map cross-entropy + distance of the mean + visibility, per point; places count where a point is annotated.

    Args:
        heat: logits ``(n, p, h, w)``.
        points: ``(n, p, 2)`` in input pixels.
        visibility: logits ``(n, p)``.
        target: ``(n, p, 3)``: x, y in input pixels and 1, or 0 where the point is not annotated.
    """
    visible = target[:, :, 2]
    count = visible.sum().clamp(min=1)
    aim = gaussian(target[:, :, :2] / STRIDE, heat.shape[2], heat.shape[3])
    cross_entropy = -(aim * heat.flatten(2).log_softmax(dim=2)).sum(dim=2)
    distance = functional.smooth_l1_loss(points, target[:, :, :2], beta=1.0, reduction="none").sum(dim=2)
    placed = ((cross_entropy + POINT_WEIGHT * distance) * visible).sum() / count
    return placed + VISIBILITY_WEIGHT * functional.binary_cross_entropy_with_logits(visibility, visible)


def gaussian(centres: Tensor, height: int, width: int) -> Tensor:
    """Gaussians of sum 1 ``(n, p, height * width)`` around ``centres`` ``(n, p, 2)`` in cells (0.5: the first)."""
    x = torch.arange(width, device=centres.device) + 0.5
    y = torch.arange(height, device=centres.device) + 0.5
    across = (x - centres[:, :, 0, None]).square()[:, :, None, :]
    down = (y - centres[:, :, 1, None]).square()[:, :, :, None]
    return (-(across + down).flatten(2) / (2 * HEAT_SIGMA**2)).softmax(dim=2)
