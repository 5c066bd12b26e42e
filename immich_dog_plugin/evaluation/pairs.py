"""Pairs of photos: which there are, how alike their embeddings are, and how often each counts.

Everywhere: ``embeddings`` are ``(n, d)`` unit rows, ``labels`` ``(n,)`` say which dog, ``groups`` ``(n,)`` which
original photo. Two pictures of one group never make a pair: they show the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import EvaluationError

MAX_PHOTOS = 10_000  # 50 million pairs, about 4 GB
MAX_DRAWN_IMPOSTORS = 500_000  # a draw of more takes long, and FAR 0.1 % still lies 500 pairs from the end

Floats = NDArray[np.floating]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scores:
    """A list of cosines in which each is repeated as often as its weight says.

    Attributes:
        values: ascending, ``(n,)``.
        weight_before: ``(n + 1,)``, the weight of all values before each place.
    """

    values: Floats
    weight_before: Counts

    @classmethod
    def of(cls, values: Floats, weights: Counts | None = None) -> Scores:
        """Values in any order and their whole-numbered weights, 1 each by default."""
        counts = np.ones(len(values), dtype=np.int64) if weights is None else weights
        # The bootstrap comes here thousands of times with one sorted array: looking is cheaper than sorting.
        if not np.all(values[:-1] <= values[1:]):
            order = np.argsort(values)
            values, counts = values[order], counts[order]
        before = np.zeros(len(values) + 1, dtype=np.int64)
        np.cumsum(counts, out=before[1:])
        return cls(values, before)

    @property
    def weight(self) -> int:
        """How long the list is."""
        return int(self.weight_before[-1])

    def share_below(self, limits: ArrayLike, side: Literal["left", "right"] = "left") -> Floats:
        """Share of the list below each limit (``"right"``: below or at it); a NaN where the list is empty.

        >>> Scores.of(np.array([0.5, 0.4, 0.6]), weights=np.array([2, 1, 1])).share_below([0.5, 0.6])
        array([0.25, 0.75])
        """
        place = self.values.searchsorted(limits, side=side)
        return np.asarray(self.weight_before[place] / (self.weight or np.nan))

    def share_at_least(self, limit: float) -> float:
        """Share of the list at or above a limit."""
        before = self.weight_before[self.values.searchsorted(limit)]
        return float((self.weight - before) / (self.weight or np.nan))

    def quantile(self, share: float) -> float:
        """The quantile of the list by linear interpolation, as ``numpy.quantile`` does it.

        >>> Scores.of(np.array([1.0, 3.0]), weights=np.array([3, 1])).quantile(0.5)  # of 1, 1, 1, 3
        1.0
        """
        place = share * (self.weight - 1)
        before, after = self.weight_before[1:].searchsorted([np.floor(place), np.ceil(place)], side="right")
        lower, upper = float(self.values[before]), float(self.values[after])
        return lower + (upper - lower) * (place - float(np.floor(place)))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Cosines of unordered pairs, and how often each counts; the bootstrap draws dogs by these weights.

    Attributes:
        genuine: pairs of one dog, ``(n_genuine,)``.
        impostor: pairs of two dogs, ``(n_impostor,)``.
        genuine_weights, impostor_weights: whole numbers of the same shapes; ``None``: each pair counts once.
    """

    genuine: Floats
    impostor: Floats
    genuine_weights: Counts | None = None
    impostor_weights: Counts | None = None

    @cached_property
    def genuine_scores(self) -> Scores:
        """The genuine pairs, each as often as it counts."""
        return Scores.of(self.genuine, self.genuine_weights)

    @cached_property
    def impostor_scores(self) -> Scores:
        """The impostor pairs, each as often as it counts."""
        return Scores.of(self.impostor, self.impostor_weights)


@dataclass(frozen=True, eq=False)
class DogPairs:
    """All unordered pairs, ascending by cosine, and whose they are.

    Attributes:
        genuine: cosines of pairs of one dog, ``(n_genuine,)``.
        genuine_photos: both photos of each, rows of the embeddings, ``(2, n_genuine)``.
        genuine_dogs: the dog of each as a number from 0, ``(n_genuine,)``.
        impostor: cosines of pairs of two dogs, ``(n_impostor,)``.
        impostor_photos, impostor_dogs: both photos and both dogs of each, ``(2, n_impostor)``.
        dogs: how many dogs there are.
    """

    genuine: Floats
    genuine_photos: Counts
    genuine_dogs: Counts
    impostor: Floats
    impostor_photos: Counts
    impostor_dogs: Counts
    dogs: int

    @classmethod
    def of(cls, embeddings: Floats, labels: ArrayLike, groups: ArrayLike) -> DogPairs:
        """Every unordered pair once, pairs of one group left out.

        Raises:
            EvaluationError: there is no pair of one dog, or none of two dogs, or there are too many photos.
        """
        if len(embeddings) > MAX_PHOTOS:
            raise EvaluationError(
                f"{len(embeddings)} photos give more pairs than fit into the memory",
                f"Evaluate at most {MAX_PHOTOS} photos at once",
            )
        names, dog = np.unique(np.asarray(labels), return_inverse=True)
        _, group = np.unique(np.asarray(groups), return_inverse=True)
        photos = np.stack(np.triu_indices(len(dog), k=1))
        photos = photos[:, group[photos[0]] != group[photos[1]]]
        cosines = (embeddings @ embeddings.T)[photos[0], photos[1]]
        photos = photos[:, np.argsort(cosines)]
        cosines = np.sort(cosines)
        same = dog[photos[0]] == dog[photos[1]]
        if not same.any() or same.all():  # also without any pair
            raise EvaluationError(
                f"{len(dog)} photos of {len(names)} dogs give {same.sum()} pairs of the same dog and "
                f"{(~same).sum()} of different dogs",
                "Give photos of two dogs or more, and two or more photos of one of them, not cut from the same photo",
            )
        return cls(
            genuine=cosines[same],
            genuine_photos=photos[:, same],
            genuine_dogs=dog[photos[0, same]],
            impostor=cosines[~same],
            impostor_photos=photos[:, ~same],
            impostor_dogs=dog[photos[:, ~same]],
            dogs=len(names),
        )

    @property
    def pairs(self) -> Pairs:
        """Every pair once."""
        return Pairs(self.genuine, self.impostor)

    def drawn(self, counts: Counts) -> Pairs:
        """The pairs weighed by how often each dog was drawn, ``(dogs,)``: see ``bootstrap``.

        Of very many impostor pairs only each second, third, … is drawn; in a sorted list that leaves the distribution
        as it is.
        """
        impostor, (first, second) = self._drawn_impostors
        return Pairs(self.genuine, impostor, counts[self.genuine_dogs], counts[first] * counts[second])

    @cached_property
    def _drawn_impostors(self) -> tuple[Floats, Counts]:
        step = -(-len(self.impostor) // MAX_DRAWN_IMPOSTORS)
        return self.impostor[::step].copy(), self.impostor_dogs[:, ::step].copy()

    def only_genuine(self, keep: Mask) -> DogPairs:
        """Some of the genuine pairs, ``(n_genuine,)``, against all impostor pairs."""
        return replace(
            self,
            genuine=self.genuine[keep],
            genuine_photos=self.genuine_photos[:, keep],
            genuine_dogs=self.genuine_dogs[keep],
        )


def verification_pairs(embeddings: Floats, labels: ArrayLike, groups: ArrayLike) -> Pairs:
    """Cosines of every unordered pair once, pairs of one group left out; errors as of ``DogPairs.of``.

    >>> pairs = verification_pairs(np.eye(3), ["rex", "rex", "bella"], ["a", "b", "c"])
    >>> len(pairs.genuine), len(pairs.impostor)
    (1, 2)
    """
    return DogPairs.of(embeddings, labels, groups).pairs


def equal(values: ArrayLike) -> Mask:
    """Which two of ``n`` values are equal, ``(n, n)``."""
    array = np.asarray(values)
    return np.asarray(array[:, None] == array[None, :], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class PhotoPair:
    """Two photos, rows of the embeddings, and their cosine."""

    first: int
    second: int
    cosine: float
