"""The background check: how much of the same-dog score is left when the dog is greyed out?

An embedder that knows a dog by its sofa looks good on photos of one session and fails on the next. So the detected box
is painted grey and the same crop is embedded again, in the same frame: what still tells dogs apart is background.
Background inside the box, between the legs, is painted over with the dog: the check sees what lies around it. Photos
that are cut to the dog show nothing of it and are left out: two grey pictures are alike, whoever's they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from numpy.typing import ArrayLike

from ..geometry import LETTERBOX_GREY, FloatArray, ImageArray, whole_box
from ..manifest import CropSpec
from ..pipeline import choose_crop, cut
from ..pyramid import Pyramid
from ..stages.embedder import Pictures
from .bootstrap import Interval, bootstrap_intervals
from .metrics import auc, mean_margin, stated, tar_at_far
from .pairs import Counts, DogPairs, Floats, Pairs

# The part of a photo that is embedded with its dog greyed out.
AROUND, WHOLE = "around the dog", "whole photo"
WITH_DOG = "with the dog"
MIN_VISIBLE = 0.1  # of a crop, around the box


def background_pictures(
    photo: ImageArray, box: FloatArray, keypoints: FloatArray | None, crop: CropSpec, side: int
) -> dict[str, Pictures]:
    """What is embedded for the check: the dog's own crop and the whole photo, the box grey in both.

    Nothing where less than ``MIN_VISIBLE`` of the crop lies around the box.

    Args:
        photo: ``(height, width, 3)`` RGB.
        box: ``(4,)`` of the dog.
        keypoints: ``(5, 3)`` of its face, or ``None``.
        crop: the manifest's rule.
        side: of the embedder's input.
    """
    grey = photo.copy()
    x1, y1, x2, y2 = whole_box(box, photo.shape[1], photo.shape[0])
    grey[y1:y2, x1:x2] = LETTERBOX_GREY
    around = cut(Pyramid(grey), box, keypoints, choose_crop(keypoints, crop), crop, side)
    # A face chip is filled with the same grey where it leaves the photo. Beside a body it shows no more than that.
    if (around[0] != LETTERBOX_GREY).any(axis=2).mean() < MIN_VISIBLE:
        return {}
    return {AROUND: around, WHOLE: (grey,)}


@dataclass(frozen=True, slots=True)
class Background:
    """How well a part of the photo tells dogs apart.

    Attributes:
        photos: how many were compared.
        auc, tar_at_1_percent: of its pairs; the latter ``None`` under 300 impostor pairs.
        margin: mean cosine of the genuine pairs minus that of the impostor pairs.
        survives: its margin as a share of the margin with the dog; ``None`` for the photos with their dogs.
    """

    photos: int
    auc: Interval
    tar_at_1_percent: Interval | None
    margin: Interval
    survives: Interval | None


def background_check(
    full: Floats, backgrounds: Mapping[str, Floats], labels: ArrayLike, groups: ArrayLike
) -> dict[str, Background]:
    """Compare embeddings of the same photos ``(n, d)`` with their dogs and without.

    Args:
        full: with the dogs.
        backgrounds: without, by the name of the part.
        labels: ``(n,)``, which dog.
        groups: ``(n,)``, which original photo.

    Returns:
        The figures of ``WITH_DOG`` and of each part.

    Raises:
        EvaluationError: there is no pair of one dog, or none of two dogs.
    """
    parts = {name: DogPairs.of(part, labels, groups) for name, part in ({WITH_DOG: full} | dict(backgrounds)).items()}
    statistics: dict[tuple[str, str], Callable[[_PairsOfParts], float]] = {}
    for name in parts:
        statistics[name, "auc"] = partial(_of_part, auc, name)
        statistics[name, "tar"] = partial(_of_part, partial(tar_at_far, far=0.01), name)
        statistics[name, "margin"] = partial(_of_part, mean_margin, name)
        statistics[name, "survives"] = partial(_survives, name)
    figures = bootstrap_intervals(statistics, _Parts(parts))
    enough = stated(0.01, len(parts[WITH_DOG].impostor))
    return {
        name: Background(
            photos=len(full),
            auc=figures[name, "auc"],
            tar_at_1_percent=figures[name, "tar"] if enough else None,
            margin=figures[name, "margin"],
            survives=None if name == WITH_DOG else figures[name, "survives"],
        )
        for name in parts
    }


@dataclass(frozen=True, eq=False, kw_only=True)
class _PairsOfParts(Pairs):
    """Pairs of photos with their dogs, and the same pairs of every part."""

    parts: Mapping[str, Pairs]


@dataclass(frozen=True, slots=True)
class _Parts:
    """The pairs of every part, of which the same dogs are drawn."""

    parts: Mapping[str, DogPairs]

    @property
    def dogs(self) -> int:
        return self.parts[WITH_DOG].dogs

    @property
    def genuine_dogs(self) -> Counts:
        return self.parts[WITH_DOG].genuine_dogs

    @property
    def pairs(self) -> _PairsOfParts:
        return _of_parts({name: part.pairs for name, part in self.parts.items()})

    def drawn(self, counts: Counts) -> _PairsOfParts:
        return _of_parts({name: part.drawn(counts) for name, part in self.parts.items()})


def _of_parts(parts: Mapping[str, Pairs]) -> _PairsOfParts:
    full = parts[WITH_DOG]
    return _PairsOfParts(full.genuine, full.impostor, full.genuine_weights, full.impostor_weights, parts=parts)


def _of_part(statistic: Callable[[Pairs], float], name: str, pairs: _PairsOfParts) -> float:
    return statistic(pairs.parts[name])


def _survives(name: str, pairs: _PairsOfParts) -> float:
    return mean_margin(pairs.parts[name]) / mean_margin(pairs)
