from __future__ import annotations

import numpy as np
import pytest

from immich_dog_plugin.evaluation.metrics import tar_at_far
from immich_dog_plugin.evaluation.open_set import Searches


def directions(*degrees: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Unit vectors in the plane."""
    angles = np.radians(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def test_known_dogs_are_named_and_unknown_ones_meet_all_others_by_hand() -> None:
    # rex at 0 and 10 degrees, bella at 30 and 100, max at 200
    found = Searches.of(directions(0, 10, 30, 100, 200), ["rex", "rex", "bella", "bella", "max"], list("abcde"))
    cos = lambda degrees: np.cos(np.radians(degrees))  # noqa: E731
    # rex' photos find each other; bella's first finds rex at 20 degrees before bella at 70, her second finds her first
    assert found.mated == pytest.approx([cos(10), cos(10), -np.inf, cos(70)])
    assert found.genuine_dogs.tolist() == [2, 2, 0, 0]  # max has no second photo and no mated search
    assert found.unmated == pytest.approx([cos(30), cos(20), cos(20), cos(90), cos(100)])
    assert found.pairs.genuine_scores.share_at_least(cos(10) - 1e-9) == 0.5  # DIR: two of four
    assert found.pairs.impostor_scores.share_at_least(cos(20) - 1e-9) == 0.4  # FPIR: two of five


def test_a_photo_of_another_dog_that_is_as_near_makes_the_name_wrong() -> None:
    found = Searches.of(directions(0, 10, 10), ["rex", "rex", "bella"], list("abc"))
    assert found.mated[0] == -np.inf


def test_cuts_of_one_photo_are_not_in_its_gallery() -> None:
    found = Searches.of(directions(0, 5, 40, 0), ["rex", "rex", "rex", "bella"], ["a", "a", "b", "a"])
    assert found.mated[0] == pytest.approx(np.cos(np.radians(40)))  # neither the cut at 5 degrees nor bella at 0
    # Rex' photo b and bella meet each other; to the two other cuts of the photo a there is no other dog.
    assert found.unmated == pytest.approx([np.cos(np.radians(40))] * 2)
    assert found.unmated_dogs.tolist() == [1, 0]


def test_the_dir_at_an_fpir_is_the_tar_of_the_searches() -> None:
    found = Searches(
        mated=np.array([0.9, 0.8, 0.4, -np.inf]),
        genuine_dogs=np.zeros(4, dtype=np.int64),
        unmated=np.arange(101) / 100 * 0.5,
        unmated_dogs=np.zeros(101, dtype=np.int64),
        dogs=1,
    )
    assert tar_at_far(found.pairs, 0.1) == 0.5  # the threshold is 0.45


def test_a_dog_drawn_twice_is_searched_twice() -> None:
    found = Searches.of(directions(0, 10, 30, 100), ["rex", "rex", "bella", "bella"], list("abcd"))
    drawn = found.drawn(np.array([0, 2]))  # rex twice
    assert drawn.genuine_weights is not None
    assert drawn.impostor_weights is not None
    assert drawn.genuine_weights.tolist() == [2, 2, 0, 0]
    assert drawn.impostor_weights.tolist() == [2, 2, 0, 0]
