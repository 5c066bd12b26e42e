"""Validation dogs: what an epoch is judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from immich_dog_plugin.geometry import FloatArray, ImageArray
from immich_dog_plugin.imaging import read_photo

from ..data.entries import Entry
from ..data.identity import IdentityPhoto
from ..dogs_found import figures_by_set
from .features import network_features
from .network import EmbedderNetwork

MANY_DAYS = "stdove"  # the set that shows dogs over many days
ALL, CROSS_SESSION = "all", "cross-session"
SAME_EER = 0.005  # a smaller difference means nothing on so few dogs

Figures = dict[str, dict[str, Any]]
T = TypeVar("T")


def known_photos(entries: Sequence[Entry]) -> list[IdentityPhoto]:
    """Entries of a list of validation dogs as the photos that figures are taken of."""
    return [
        IdentityPhoto(entry.file_path, "val", entry.set, f"{entry.identity_label}", entry.source_group)
        for entry in entries
        if entry.identity_label is not None
    ]


def validate(
    network: EmbedderNetwork, photos: Sequence[IdentityPhoto], read: Callable[[Path], ImageArray] = read_photo
) -> Figures:
    """Figures of what ``read`` makes of each file: of the whole photo, unless told otherwise."""
    files = [photo.file for photo in photos]
    return figures_of(network_features(network, files, read, network.input, "Validation dogs"), photos)


def figures_of(embeddings: FloatArray, photos: Sequence[IdentityPhoto]) -> Figures:
    """Verification figures of all dogs, of each set, and ``cross-session``: of the set that shows dogs on many days.

    Where no set does, ``cross-session`` is ``all``.
    """
    figures = dict(figures_by_set(embeddings, photos))
    return {**figures, CROSS_SESSION: figures.get(MANY_DAYS, figures[ALL])}


def best_over_days(figures: Mapping[T, Mapping[str, dict[str, Any]]]) -> T:
    """By dogs on many days: the best TAR at FAR 1 % among those whose error rate is within ``SAME_EER`` of the least.

    Over all dogs, what surrounds a dog photographed once would have a say. The earlier of two that are level wins.
    """
    over_days = {name: of[CROSS_SESSION] for name, of in figures.items()}
    least = min(of["eer"] for of in over_days.values())
    equals = [name for name, of in over_days.items() if of["eer"] <= least + SAME_EER]
    return max(equals, key=lambda name: over_days[name]["tar_at_1_percent"] or 0.0)


def better(figures: Figures, best: Figures | None, least_eer: float) -> bool:
    """Whether an epoch takes the place of the best so far.

    Cross-session EER decides, because same-session pairs look good for the wrong reason; where it is no worse than
    the least so far by more than 0.005, TAR at FAR 1 % over all dogs does. An EER lower than the best's by more than
    that wins in any case.

    Args:
        figures: of the epoch.
        best: of the best epoch so far, None at the first.
        least_eer: cross-session, of any epoch so far.
    """
    if best is None:
        return True
    eer, best_eer = figures[CROSS_SESSION]["eer"], best[CROSS_SESSION]["eer"]
    if eer < best_eer - SAME_EER:
        return True
    # None where there are too few pairs to read a rate off
    tar, best_tar = (of[ALL]["tar_at_1_percent"] or 0.0 for of in (figures, best))
    return bool(eer <= least_eer + SAME_EER and tar > best_tar)


def in_words(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures that decide, on one line."""

    def words(part: Mapping[str, Any]) -> str:
        named = {"EER": part["eer"], "TAR@1%": part["tar_at_1_percent"], "top-1": part["top_1"]}
        return ", ".join(f"{name} {'n/a' if value is None else f'{value:.3f}'}" for name, value in named.items())

    return "; ".join(f"{name}: {words(figures[name])}" for name in (ALL, CROSS_SESSION))
