"""Which photos are grouped together: those of all dogs, and those of made-up homes with the strangers they meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from immich_dog_plugin.evaluation.embedded import EmbeddedPhotos, Texts
from immich_dog_plugin.evaluation.pairs import Counts, Mask

HOMES = 100
MAX_DOGS = 5
STRANGERS_PER_DOG = 2


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """Photos that are grouped together.

    Attributes:
        rows: of the photos, ``(n,)``.
        stranger: ``(n,)``, whether a photo shows a dog of which there is no other.
        days: ``(n,)``, the day of each, ``""`` where it is not known.
        first: the dog around whom the library was made, ``""`` for that of all dogs.
    """

    rows: Counts
    stranger: Mask
    days: Texts
    first: str = ""


def all_dogs(photos: EmbeddedPhotos) -> Library:
    """One photo of each dog and source group, on the days they were taken."""
    rows = _one_cut(photos, np.arange(len(photos.labels)))
    _, dog, counts = np.unique(photos.labels[rows], return_inverse=True, return_counts=True)
    return Library(rows, counts[dog] == 1, photos.sessions[rows])


def homes(photos: EmbeddedPhotos, count: int = HOMES, seed: int = 0) -> Iterator[Library]:
    """Homes of 1 to 5 dogs with all their photos, and a photo each of twice as many strangers.

    A home's dogs and strangers come from one set, for dogs on differently made photos are told apart too easily. Where
    days are known, a home's dogs are such as were photographed on several. Dogs of different homes were rarely
    photographed on one day, and so the date would name the dog; in a home they are together. Therefore the first day
    of each dog is the home's first day, its second the second, and so on; a stranger is met on any of them.

    Args:
        photos: of the dogs.
        count: how many homes.
        seed: of the draws; the same homes for every way of grouping.
    """
    random = np.random.default_rng(seed)
    set_of = dict(zip(photos.labels.tolist(), photos.sets.tolist(), strict=True))
    known = [dog for dog in set_of if _is_often_seen(photos, dog)]
    for _ in range(count):
        first = str(random.choice(known))
        company = [dog for dog in known if dog != first and set_of[dog] == set_of[first]]
        size = min(int(random.integers(1, MAX_DOGS + 1)), 1 + len(company))
        own = [first, *random.choice(company, size - 1, replace=False).tolist()] if size > 1 else [first]
        others = [dog for dog in set_of if dog not in own and set_of[dog] == set_of[first]]
        met = (
            random.choice(others, min(STRANGERS_PER_DOG * size, len(others)), replace=False).tolist() if others else []
        )
        rows = _one_cut(photos, random.permutation(np.flatnonzero(np.isin(photos.labels, own))))
        strangers = np.array([random.choice(np.flatnonzero(photos.labels == dog)) for dog in met], dtype=np.int64)
        days = _home_days(photos, rows)
        of_strangers = random.choice(np.unique(days), len(strangers))
        yield Library(
            np.concatenate([rows, strangers]),
            np.arange(len(rows) + len(strangers)) >= len(rows),
            np.concatenate([days, of_strangers]),
            first,
        )


def _is_often_seen(photos: EmbeddedPhotos, dog: str) -> bool:
    """Whether a dog has photos of two source groups, and of two days where days are known."""
    own = photos.labels == dog
    sessions = np.unique(photos.sessions[own])
    return len(np.unique(photos.groups[own])) > 1 and (len(sessions) > 1 or sessions[0] == "")


def _one_cut(photos: EmbeddedPhotos, rows: Counts) -> Counts:
    """The first of the rows of each dog and source group."""
    _, first = np.unique(np.stack([photos.labels[rows], photos.groups[rows]]), axis=1, return_index=True)
    return rows[np.sort(first)]


def _home_days(photos: EmbeddedPhotos, rows: Counts) -> Texts:
    """The number of each photo's day among the days of its dog."""
    days = np.array([""] * len(rows), dtype="<U8")
    for dog in np.unique(photos.labels[rows]):
        own = photos.labels[rows] == dog
        sessions, number = np.unique(photos.sessions[rows][own], return_inverse=True)
        days[own] = "" if sessions[0] == "" else number.astype(np.str_)
    return days
