"""Which way of grouping validation dogs choose; the rule stands in the command's help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .candidates import Candidate
from .measures import Outcome

# A merge costs a user more than a split, which a click unites.
MAX_MERGED = 0.05
MAX_SWALLOWED = 0.05
LEVEL = 0.02  # of the dogs of homes; less means nothing
WITH_DAYS = "identity_days"

Outcomes = Mapping[str, Sequence[Sequence[Outcome]]]  # set to candidate to all dogs and homes


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the dogs, and of the strangers, in homes."""

    own: float
    merged: float
    swallowed: float

    @property
    def few_errors(self) -> bool:
        """Whether it merges, and takes in strangers, as rarely as it must."""
        return self.merged <= MAX_MERGED and self.swallowed <= MAX_SWALLOWED


def shares(homes: Sequence[Outcome]) -> Shares:
    """The shares in homes."""
    strangers = [taken for home in homes for taken in home.swallowed.values()]
    return Shares(
        own=float(np.mean([value for home in homes for value in home.own.values()])),
        merged=float(np.mean([value for home in homes for value in home.merged.values()])),
        swallowed=float(np.mean(strangers)) if strangers else 0.0,
    )


def best(every: Sequence[Candidate], outcomes: Outcomes) -> int:
    """The place of the chosen candidate."""
    plain = _choice([index for index, candidate in enumerate(every) if not candidate.days], outcomes)
    with_days = [index for index, candidate in enumerate(every) if candidate.days]
    if not with_days:
        return plain
    dated = _choice(with_days, outcomes)
    without, known = (shares(outcomes[WITH_DAYS][index][1:]) for index in (plain, dated))
    gains = known.own >= without.own + LEVEL and known.merged <= without.merged
    return dated if gains else plain


def best_of_each(every: Sequence[Candidate], outcomes: Outcomes) -> list[int]:
    """The place of the best candidate of each kind, in the order of the list."""
    names = dict.fromkeys(candidate.name for candidate in every)
    return [
        _choice([index for index, candidate in enumerate(every) if candidate.name == name], outcomes) for name in names
    ]


def _choice(among: Sequence[int], outcomes: Outcomes) -> int:
    """The best of some candidates; the one with fewest errors where all make too many.

    Of those that are level the one that merges least, of these the one that takes in fewest strangers.
    """
    means = {index: _mean([shares(of_set[index][1:]) for of_set in outcomes.values()]) for index in among}
    allowed = [index for index in among if means[index].few_errors]
    if not allowed:
        return min(among, key=lambda index: max(means[index].merged, means[index].swallowed))
    most = max(means[index].own for index in allowed)
    level = [index for index in allowed if means[index].own >= most - LEVEL]
    return min(level, key=lambda index: (means[index].merged, means[index].swallowed))


def _mean(of_sets: Sequence[Shares]) -> Shares:
    return Shares(*(float(np.mean([getattr(one, name) for one in of_sets])) for name in ("own", "merged", "swallowed")))
