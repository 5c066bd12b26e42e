from __future__ import annotations

import numpy as np
import pytest

from harness.groupings.measures import Outcome, figures, outcome


def _outcome(found: list[int], dogs: str, strangers: str = "") -> Outcome:
    return outcome(np.array(found), list(dogs), np.isin(list(dogs), list(strangers)))


def test_most_photos_in_a_group_that_is_mostly_its_own_is_a_group_of_its_own() -> None:
    assert _outcome([0, 0, 0, -1, 0], "aaaab").own == {"a": True, "b": False}


@pytest.mark.parametrize(
    ("found", "dogs"),
    [([0, 0, -1, -1], "aaaa"), ([0, 0, 0, 0], "aabb"), ([0, 0, 1, 1], "aaaa"), ([-1, -1], "aa")],
)
def test_half_of_the_photos_or_half_of_the_group_is_none(found: list[int], dogs: str) -> None:
    assert not any(_outcome(found, dogs).own.values())


def test_two_dogs_in_a_group_are_merged_both() -> None:
    assert _outcome([0, 0, 0, 1, 1, 2, 2], "aabbbcc").merged == {"a": True, "b": True, "c": False}


def test_photos_in_no_group_merge_nothing() -> None:
    assert _outcome([-1, -1, 0, 0], "abab").merged == {"a": True, "b": True}
    assert _outcome([-1, -1, 0, 0], "abaa").merged == {"a": False, "b": False}


def test_a_stranger_in_a_group_is_taken_in_and_merges_no_dog_of_the_home() -> None:
    result = _outcome([0, 0, 0, -1, 1, 1], "aasxyz", "sxyz")
    assert result.swallowed == {"s": True, "x": False, "y": True, "z": True}
    assert result.merged == {"a": False}
    assert result.own == {"a": True}


def test_the_indices_take_a_photo_in_no_group_for_a_cluster_of_its_own() -> None:
    apart = _outcome([0, 0, -1, -1], "aabc", "bc")
    assert apart.adjusted_rand == pytest.approx(1)
    assert apart.v_measure == pytest.approx(1)
    # Dogs 2 and 1, clusters 1, 1 and 1: no pair is right, and none could be by chance.
    alone = _outcome([-1, -1, -1], "aab", "b")
    assert alone.adjusted_rand == pytest.approx(0)
    # Homogeneity 1; completeness 1 - H(cluster | dog) / H(cluster) = 1 - (2/3 ln 2) / ln 3.
    completeness = 1 - 2 / 3 * np.log(2) / np.log(3)
    assert alone.v_measure == pytest.approx(2 * completeness / (1 + completeness))


def test_figures_are_means_over_dogs_photos_and_strangers() -> None:
    found = figures([_outcome([0, 0, -1, -1, 0], "aabbs", "s"), _outcome([0, 0, 0, 0], "ccdd")])
    assert found.own.value == 1 / 4
    assert found.merged.value == 2 / 4
    assert found.ungrouped.value == 2 / 8
    assert found.swallowed is not None
    assert found.swallowed.value == 1
    assert found.gain is None


def test_the_gain_is_taken_dog_by_dog() -> None:
    before = [_outcome([-1, -1, 0, 0], "aabb")]
    after = [_outcome([0, 0, 1, 1], "aabb")]
    gain = figures(after, before).gain
    assert gain is not None
    assert gain.value == 1 / 2


def test_no_stranger_gives_no_share_of_strangers() -> None:
    assert figures([_outcome([0, 0], "aa")]).swallowed is None
