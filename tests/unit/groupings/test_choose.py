from __future__ import annotations

import numpy as np
import pytest

from harness.groupings.candidates import Candidate
from harness.groupings.choose import best, best_of_each
from harness.groupings.measures import Outcome


def _outcomes(own: float, merged: float = 0, swallowed: float = 0, dogs: int = 100) -> list[Outcome]:
    """All dogs together, in which everything fails, and a home of 100 dogs and strangers with these shares."""

    def shares(share: float) -> dict[str, bool]:
        return {str(dog): dog < round(share * dogs) for dog in range(dogs)}

    everyone = Outcome(shares(0), shares(1), {}, shares(1), 0, 0)
    return [everyone, Outcome(shares(own), shares(merged), {}, shares(swallowed), 0, 0)]


def _candidate(name: str, days: bool = False) -> Candidate:
    return Candidate(name, (), lambda embeddings, of_days: np.zeros(len(embeddings), dtype=np.int64), days)


def _best(*ways: tuple[float, float, float]) -> int:
    outcomes = [_outcomes(*way) for way in ways]
    return best([_candidate(str(way)) for way in ways], {"identity": outcomes, "identity_days": outcomes})


def test_most_dogs_with_a_group_of_their_own_win() -> None:
    assert _best((0.7, 0, 0), (0.8, 0.05, 0.05), (0.75, 0, 0)) == 1


@pytest.mark.parametrize("errors", [(0.06, 0), (0, 0.06)])
def test_who_merges_or_takes_in_too_many_is_out(errors: tuple[float, float]) -> None:
    assert _best((0.7, 0, 0), (0.9, *errors)) == 0


def test_within_two_points_the_one_that_merges_least_wins_and_then_the_one_that_takes_in_fewest_strangers() -> None:
    assert _best((0.71, 0.04, 0), (0.7, 0.01, 0.05), (0.7, 0.02, 0)) == 1
    assert _best((0.71, 0.01, 0.04), (0.7, 0.01, 0.05), (0.7, 0.01, 0.03)) == 2
    assert _best((0.73, 0.04, 0), (0.7, 0.01, 0)) == 0


def test_where_all_make_too_many_errors_the_one_with_fewest_wins() -> None:
    assert _best((0.9, 0.3, 0), (0.7, 0, 0.2), (0.8, 0.25, 0.1)) == 1


def test_the_sets_weigh_alike() -> None:
    every = [_candidate("one"), _candidate("other")]
    outcomes = {
        "identity": [_outcomes(0.8, dogs=1000), _outcomes(0.7, dogs=1000)],
        "identity_days": [_outcomes(0.5, dogs=10), _outcomes(0.9, dogs=10)],
    }
    assert best(every, outcomes) == 1


@pytest.mark.parametrize(
    ("own", "merged", "place"),
    [(0.72, 0.02, 1), (0.71, 0.02, 0), (0.8, 0.03, 0)],
    ids=["gains", "too little", "merges"],
)
def test_days_are_asked_for_where_they_gain_without_more_merges(own: float, merged: float, place: int) -> None:
    every = [_candidate("plain"), _candidate("by days", days=True)]
    outcomes = {
        "identity": [_outcomes(0.7, 0.02), _outcomes(0.7, 0.02)],
        "identity_days": [_outcomes(0.7, 0.02), _outcomes(own, merged)],
    }
    assert best(every, outcomes) == place


def test_each_kind_shows_its_best() -> None:
    every = [_candidate("a"), _candidate("a"), _candidate("b"), _candidate("b")]
    outcomes = {"identity": [_outcomes(share) for share in (0.5, 0.7, 0.9, 0.8)]}
    assert best_of_each(every, outcomes) == [1, 2]
