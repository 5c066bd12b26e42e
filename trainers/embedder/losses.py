"""What an embedding is trained towards: one loss per question asked of it.

All take unit vectors ``(n, d)`` in float32. Class weights are parameters of the loss: they belong to the optimiser and
to the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pytorch_metric_learning.losses import (
    ArcFaceLoss,
    NormalizedSoftmaxLoss,
    NTXentLoss,
    SubCenterArcFaceLoss,
    TripletMarginLoss,
)
from pytorch_metric_learning.miners import BatchHardMiner, TripletMarginMiner
from torch import Tensor, nn

LossName = Literal["arcface", "subcenter", "triplet", "views"]
MinerName = Literal["semihard", "hard"]
Miner = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
SUB_CENTRES = 3
# Margins: ArcFace's in degrees (half a radian, the paper's), the triplet's as a distance between unit vectors.
MARGIN: dict[str, float] = {"arcface": 28.6, "subcenter": 28.6, "triplet": 0.2}


def identity_loss(
    name: LossName, dogs: int, dimension: int, *, margin: float, scale: float, miner: MinerName
) -> nn.Module:
    """The loss ``(embeddings (n, dimension), labels (n,)) -> scalar`` over known dogs.

    Args:
        name: ``arcface``: Deng et al., 2019 (https://arxiv.org/abs/1801.07698). ``subcenter``: three centres per dog,
            Deng et al., 2020, "Sub-center ArcFace". ``triplet``: an anchor shall be closer to its dog than to another
            by the margin, over the triplets that the miner chooses.
        dogs: how many there are; labels are 0 to dogs - 1.
        margin: degrees for ArcFace, Euclidean distance for triplets.
        scale: of ArcFace's cosines before the softmax.
        miner: for triplets alone.
    """
    if name == "triplet":
        return MinedTriplets(margin, miner)
    kind, more = (SubCenterArcFaceLoss, {"sub_centers": SUB_CENTRES}) if name == "subcenter" else (ArcFaceLoss, {})
    loss: nn.Module = kind(num_classes=dogs, embedding_size=dimension, margin=margin, scale=scale, **more)
    return loss


class MinedTriplets(nn.Module):
    """The mean of ``max(0, d(a, p) - d(a, n) + margin)`` over the mined triplets that violate the margin."""

    def __init__(self, margin: float, miner: MinerName) -> None:
        super().__init__()
        self.miner = triplet_miner(miner, margin)
        self.loss = TripletMarginLoss(margin)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = self.loss(embeddings, labels, self.miner(embeddings, labels))
        return loss


def triplet_miner(name: MinerName, margin: float) -> Miner:
    """Chooses triplets ``(anchors, positives, negatives)`` by index.

    ``semihard``: every negative farther than the positive by less than the margin (Schroff et al., 2015, "FaceNet").
    ``hard``: for every anchor its farthest positive and its nearest negative (Hermans et al., 2017).
    """
    chosen: Miner = BatchHardMiner() if name == "hard" else TripletMarginMiner(margin, type_of_triplets="semihard")
    return chosen


def view_loss() -> nn.Module:
    """NT-Xent (Chen et al., 2020, "SimCLR"): views of one photo close, views of other photos far."""
    loss: nn.Module = NTXentLoss(temperature=0.1)
    return loss


def breed_loss(breeds: int, dimension: int) -> nn.Module:
    """The cross entropy of the cosines to one weight per breed, divided by 0.05."""
    loss: nn.Module = NormalizedSoftmaxLoss(breeds, dimension, temperature=0.05)
    return loss


def distillation_loss(embeddings: Tensor, teacher: Tensor) -> Tensor:
    """The mean squared difference between the cosines of a batch and those of the teacher, self-pairs left out.

    Relations instead of vectors (Park et al., 2019, "Relational knowledge distillation"): the teacher ``(n, e)`` may
    have another dimension, and no layer is needed between the two.
    """
    unit = nn.functional.normalize(teacher)
    differences = (embeddings @ embeddings.T - unit @ unit.T).square()
    count = len(embeddings)
    return (differences.sum() - differences.diagonal().sum()) / (count * (count - 1))


@torch.no_grad()
def start_at_centres(loss: nn.Module, embeddings: Tensor, labels: Tensor) -> None:
    """Put the class weights of a loss at the means of ``embeddings`` ``(n, d)`` with that label ``(n,)``.

    From random weights, the first steps would turn the whole space towards them. Each of several sub-centres starts
    at the mean of its share of the class, every third photo. A class without a photo keeps its weight, and a loss
    without class weights is left as it is; photos of the label -1 are of no class.
    """
    weights: Tensor | None = getattr(loss, "W", None)  # (d, classes * centres), of one class side by side
    if weights is None:
        return
    centres: int = getattr(loss, "sub_centers", 1)
    for label in labels[labels >= 0].unique().tolist():
        own = embeddings[labels == label]
        for centre in range(centres):
            # A dog with fewer photos than centres has centres that start at the same place.
            part = own[centre % len(own) :: centres]
            weights[:, label * centres + centre] = nn.functional.normalize(part.mean(dim=0), dim=0).to(weights)
