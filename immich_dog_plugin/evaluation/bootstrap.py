"""How sure a figure is: confidence intervals by the percentile bootstrap over dogs.

Photos of one dog resemble each other, so dogs are what is drawn, with replacement, never photos or pairs. A dog drawn
twice stands for two dogs: each copy brings its own genuine pairs, and both are impostors to every other dog drawn. The
copies make **no pair with each other**: as a genuine pair a photo would meet itself, as an impostor pair one dog would
pass for two. In weights: a dog drawn ``w`` times counts its genuine pairs ``w`` times, and its impostor pairs with a
dog drawn ``v`` times ``w * v`` times. So the cosines are computed and sorted once, and a draw only weighs them.

Source: Bolle, Ratha and Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap", Computer
Vision and Image Understanding 93 (2004), which draws subjects for this reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..errors import EvaluationError
from .pairs import Counts, DogPairs, Floats, Pairs

# From fewer dogs the draws are so few and so alike that their spread says little: no interval is given.
MIN_DOGS = 5

Name = TypeVar("Name")
SomePairs = TypeVar("SomePairs", bound=Pairs)
SomePairs_co = TypeVar("SomePairs_co", bound=Pairs, covariant=True)


class Drawable(Protocol[SomePairs_co]):
    """What dogs can be drawn from: ``DogPairs``, ``Searches``."""

    @property
    def dogs(self) -> int:
        """How many dogs there are."""

    @property
    def genuine_dogs(self) -> Counts:
        """The dog of each genuine pair, ``(n_genuine,)``."""

    @property
    def pairs(self) -> SomePairs_co:
        """Every pair once."""

    def drawn(self, counts: Counts) -> SomePairs_co:
        """The pairs weighed by how often each dog was drawn, ``(dogs,)``."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and where it would lie for other dogs.

    Attributes:
        value: the figure of all dogs.
        low, high: the interval; both ``None`` under ``MIN_DOGS`` dogs.

    >>> print(Interval(0.648, 0.5812, 0.7049), Interval(1.0, None, None))
    0.648 [0.581, 0.705] 1.000 [too few dogs]
    """

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f} [too few dogs]"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    statistic: Callable[[Pairs], float],
    embeddings: Floats,
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    share: bool = False,
) -> Interval:
    """The interval of one figure of pairs, such as ``metrics.auc`` or ``lambda pairs: tar_at_far(pairs, 0.01)``.

    Args:
        statistic: a function of ``Pairs`` that minds their weights, as all of ``metrics`` do.
        embeddings: ``(n, d)`` unit rows.
        labels: ``(n,)``, which dog.
        groups: ``(n,)``, which original photo.
        draws: how often the dogs are drawn.
        level: share of the draws inside the interval.
        seed: of the draws; the same seed gives the same interval.
        share: the figure is a share, and a limit will be held against its interval: make that at least as wide as the
            exact binomial interval of as many dogs that all agree. Without ``share`` this is done only where every draw
            gives exactly 0 or exactly 1, so that what merely never happened does not look impossible.

    Raises:
        EvaluationError: there is no pair of one dog, or none of two dogs.
    """
    pairs = DogPairs.of(embeddings, labels, groups)
    return bootstrap_intervals({"": statistic}, pairs, draws=draws, level=level, seed=seed, share=share)[""]


def bootstrap_intervals(
    statistics: Mapping[Name, Callable[[SomePairs], float]],
    pairs: Drawable[SomePairs],
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    share: bool = False,
) -> dict[Name, Interval]:
    """``bootstrap_interval`` of several figures on the same draws, in the time of few."""
    everything = pairs.pairs
    values = {name: statistic(everything) for name, statistic in statistics.items()}
    dogs = len(np.unique(pairs.genuine_dogs))
    if dogs < MIN_DOGS:
        return {name: Interval(value, None, None) for name, value in values.items()}
    drawn = bootstrap_draws(statistics, pairs, draws=draws, seed=seed)
    return {name: _interval(value, drawn[name], dogs, level, share) for name, value in values.items()}


def bootstrap_draws(
    statistics: Mapping[Name, Callable[[SomePairs], float]],
    pairs: Drawable[SomePairs],
    *,
    draws: int,
    seed: int = 0,
) -> dict[Name, list[float]]:
    """The figures of each draw."""
    drawn: dict[Name, list[float]] = {name: [] for name in statistics}
    samples = (pairs.drawn(counts) for counts in _draws(pairs.dogs, seed))
    for sample in islice(filter(_has_both_kinds, samples), draws):
        for name, statistic in statistics.items():
            drawn[name].append(statistic(sample))
    return drawn


def bootstrap_mean(
    values: ArrayLike,
    labels: ArrayLike,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    share: bool = False,
) -> Interval:
    """The interval of the mean of a value per photo: found or not, hit or miss, average precision.

    The gallery in which a photo is searched stays whole: a drawn one holds fewer dogs and is easier to search.

    Args:
        values: ``(n,)`` numbers or booleans.
        labels: ``(n,)``, which dog; a dog drawn twice counts its photos twice.
        draws, level, seed, share: as in ``bootstrap_interval``.

    Raises:
        EvaluationError: there is no value.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers):
        raise EvaluationError("There is no photo to take the mean of", "Give photos of at least one dog")
    _, dog = np.unique(np.asarray(labels), return_inverse=True)
    photos = np.bincount(dog)
    if len(photos) < MIN_DOGS:
        return Interval(float(numbers.mean()), None, None)
    sums = np.bincount(dog, weights=numbers)
    means = [float(counts @ sums / (counts @ photos)) for counts in islice(_draws(len(photos), seed), draws)]
    return _interval(float(numbers.mean()), means, len(photos), level, share)


def _draws(dogs: int, seed: int) -> Iterator[Counts]:
    """How often each dog is drawn, ``(dogs,)``, without end."""
    random = np.random.default_rng(seed)
    while True:
        yield random.multinomial(dogs, np.full(dogs, 1 / dogs))


def _has_both_kinds(pairs: Pairs) -> bool:
    """A draw of dogs without a genuine or without an impostor pair has no figure: another is drawn in its place."""
    return bool(np.any(pairs.genuine_weights)) and bool(np.any(pairs.impostor_weights))


def _interval(value: float, drawn: list[float], dogs: int, level: float, share: bool) -> Interval:
    tail = (1 - level) / 2
    low, high = (float(limit) for limit in np.quantile(drawn, [tail, 1 - tail]))
    if share or low == high == value in (0, 1):
        # Dogs that all agree give the same share in every draw, and five of them would look like certainty. But
        # ``dogs`` dogs without a failure leave room for this share of failing dogs (Clopper and Pearson, The use of
        # confidence or fiducial limits, Biometrika 26, 1934), and a share nearer the middle leaves no less.
        room = 1 - tail ** (1 / dogs)
        low, high = min(low, 1 - room), max(high, room)
    return Interval(value, low, high)
