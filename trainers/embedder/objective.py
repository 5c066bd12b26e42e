"""Everything a step minimises: the network and its losses, as one module."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..distributed import gathered
from .losses import distillation_loss
from .network import EmbedderNetwork

UNKNOWN = -1
CENTRE_STEP = 0.1  # how far a dog's centre moves towards each new embedding of it


class Batch(NamedTuple):
    """Pictures and what is known of them; ``UNKNOWN`` where nothing is.

    Attributes:
        images: ``(n, 3, side, side)``.
        dogs: ``(n,)``, which dog: labels from 0 on.
        photos: ``(n,)``, which photo: the views of one photo share its number.
        breeds: ``(n,)``, which breed: labels from 0 on.
    """

    images: Tensor
    dogs: Tensor
    photos: Tensor
    breeds: Tensor

    def to(self, device: torch.device) -> Batch:
        """On ``device``, the images in the memory layout that convolutions are fast on."""
        images = self.images.to(device, memory_format=torch.channels_last, non_blocking=True)
        return Batch(images, *(known.to(device, non_blocking=True) for known in self[1:]))


class Term(NamedTuple):
    """A loss and its weight in the sum."""

    loss: nn.Module
    weight: float


class Objective(nn.Module):
    """The weighted losses of a batch, each over the pictures that it concerns.

    Attributes:
        centres: ``(dogs, d)``, where each dog's embeddings have been lately; the sampler finds look-alikes by them.

    Args:
        network: what is trained.
        centres: where each dog's embeddings lie at the start, ``(dogs, d)``; of no rows without known dogs.
        identity: over pictures of known dogs.
        views: over the others, which come as views of each photo.
        breed: over pictures of known breed.
        teacher: what another network answers for each photo, ``(photos, e)``, and the weight of staying close to it.
        bfloat16: whether the backbone computes in 16 bits.
    """

    def __init__(
        self,
        network: EmbedderNetwork,
        centres: Tensor,
        *,
        identity: Term | None = None,
        views: Term | None = None,
        breed: Term | None = None,
        teacher: tuple[Tensor, float] | None = None,
        bfloat16: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("centres", centres.clone())
        self.centres: Tensor
        terms = {"identity": identity, "views": views, "breed": breed}
        self.losses = nn.ModuleDict({name: term.loss for name, term in terms.items() if term})
        self._weights = {name: term.weight for name, term in terms.items() if term}
        # No buffer: it comes from a file, and stays on the CPU.
        self._teacher = teacher[0] if teacher else None
        self._teacher_weight = teacher[1] if teacher else 0.0
        self._bfloat16 = bfloat16

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of the joined batch of all processes, by name, weighted. Their sum is what is minimised."""
        with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=self._bfloat16):
            features = self.network.backbone(batch.images)
        # From here on in 32 bits: cosines that decide differ by a thousandth.
        embeddings = gathered(self.network.embed(features.float()))
        dogs, photos, breeds = (gathered(known) for known in batch[1:])
        known = dogs != UNKNOWN
        losses: dict[str, Tensor] = {}
        for name, labels, concerned in (
            ("identity", dogs, known),
            ("views", photos, ~known),
            ("breed", breeds, breeds != UNKNOWN),
        ):
            if name in self.losses and concerned.any():
                losses[name] = self._weights[name] * self.losses[name](embeddings[concerned], labels[concerned])
        if self._teacher is not None:
            answers = self._teacher[photos.cpu()].to(embeddings.device)
            losses["teacher"] = self._teacher_weight * distillation_loss(embeddings, answers)
        if self.training:
            self._move_centres(embeddings.detach()[known], dogs[known])
        return losses

    @torch.no_grad()
    def _move_centres(self, embeddings: Tensor, dogs: Tensor) -> None:
        for dog in dogs.unique():
            mean = embeddings[dogs == dog].mean(dim=0)
            self.centres[dog] = nn.functional.normalize(self.centres[dog].lerp(mean, CENTRE_STEP), dim=0)
