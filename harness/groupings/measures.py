"""What became of the dogs of a library that was grouped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import adjusted_rand_score, v_measure_score

from immich_dog_plugin.evaluation.bootstrap import Interval, bootstrap_mean
from immich_dog_plugin.evaluation.pairs import Counts, Mask
from immich_dog_plugin.identify.grouping import UNGROUPED


@dataclass(frozen=True, slots=True)
class Outcome:
    """One grouped library.

    Attributes:
        own: by dog of the library, whether more than half of its photos are in one group more than half of whose
            photos show it.
        merged: by dog, whether a photo of it shares a group with a photo of another that is no stranger.
        ungrouped: by dog, for each photo whether it is in no group.
        swallowed: by stranger, whether it is in a group, as it has no second photo.
        adjusted_rand: Hubert and Arabie's index, a photo without a group being a cluster of its own; strangers count.
        v_measure: Rosenberg and Hirschberg's, likewise.
        first: the dog around whom the library was made.
    """

    own: dict[str, bool]
    merged: dict[str, bool]
    ungrouped: dict[str, list[bool]]
    swallowed: dict[str, bool]
    adjusted_rand: float
    v_measure: float
    first: str = ""


def outcome(found: Counts, dogs: ArrayLike, stranger: Mask, first: str = "") -> Outcome:
    """What became of each dog.

    Args:
        found: ``(n,)``, the group of each photo or ``UNGROUPED``.
        dogs: ``(n,)``, which dog each shows.
        stranger: ``(n,)``, whether it is the only photo of a dog that does not belong to the home.
        first: the dog around whom the library was made.

    >>> result = outcome(np.array([0, 0, 0, -1, 0]), ["a", "a", "a", "b", "c"], np.array([0, 0, 0, 0, 1], dtype=bool))
    >>> result.own, result.swallowed
    ({'a': True, 'b': False}, {'c': True})
    """
    names = np.asarray(dogs)
    own, merged, ungrouped = {}, {}, {}
    for dog in np.unique(names[~stranger]).tolist():
        shows = names == dog
        groups, photos = np.unique(found[shows & (found != UNGROUPED)], return_counts=True)
        sizes = np.array([(found == group).sum() for group in groups])
        own[dog] = bool(((2 * photos > shows.sum()) & (2 * photos > sizes)).any())
        merged[dog] = bool((np.isin(found, groups) & ~shows & ~stranger).any())
        ungrouped[dog] = (found[shows] == UNGROUPED).tolist()
    alone = np.where(found == UNGROUPED, found.max(initial=0) + 1 + np.arange(len(found)), found)
    return Outcome(
        own=own,
        merged=merged,
        ungrouped=ungrouped,
        swallowed=dict(zip(names[stranger].tolist(), (found[stranger] != UNGROUPED).tolist(), strict=True)),
        adjusted_rand=float(adjusted_rand_score(names, alone)),
        v_measure=float(v_measure_score(names, alone)),
        first=first,
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over libraries; intervals draw dogs, for homes are made of the same few (``bootstrap_mean``).

    Attributes:
        own, merged: shares of the dogs.
        ungrouped: share of their photos.
        swallowed: share of the strangers; ``None`` without any.
        adjusted_rand, v_measure: means over the libraries; the intervals draw the dogs around whom they were made.
        gain: of ``own`` over that of other outcomes of the same libraries, dog by dog; ``None`` without any.
    """

    own: Interval
    merged: Interval
    ungrouped: Interval
    swallowed: Interval | None
    adjusted_rand: Interval
    v_measure: Interval
    gain: Interval | None = None


def figures(outcomes: Sequence[Outcome], against: Sequence[Outcome] | None = None) -> Figures:
    """The figures of libraries that were grouped one way, ``against`` the same libraries grouped another way."""
    dogs = [dog for one in outcomes for dog in one.own]
    own = np.array([value for one in outcomes for value in one.own.values()], dtype=np.float64)
    photos = [(dog, alone) for one in outcomes for dog, values in one.ungrouped.items() for alone in values]
    taken = [item for one in outcomes for item in one.swallowed.items()]
    first = [one.first for one in outcomes]
    before = None if against is None else np.array([value for one in against for value in one.own.values()])
    return Figures(
        own=bootstrap_mean(own, dogs),
        merged=bootstrap_mean([value for one in outcomes for value in one.merged.values()], dogs),
        ungrouped=bootstrap_mean([alone for _, alone in photos], [dog for dog, _ in photos]),
        swallowed=bootstrap_mean([value for _, value in taken], [dog for dog, _ in taken]) if taken else None,
        adjusted_rand=bootstrap_mean([one.adjusted_rand for one in outcomes], first),
        v_measure=bootstrap_mean([one.v_measure for one in outcomes], first),
        gain=None if before is None else bootstrap_mean(own - before, dogs),
    )
