from __future__ import annotations

import numpy as np
import pytest

from harness.groupings.__main__ import grouped, in_words, table
from harness.groupings.candidates import Candidate, candidates
from harness.groupings.homes import all_dogs
from immich_dog_plugin.geometry import FloatArray

from .made_up import photos

SAME_DOG = 0.72
EVERY = candidates(SAME_DOG)
# HDBSCAN takes strangers for one more dog.
SOUND = [candidate for candidate in EVERY if not candidate.name.startswith("HDBSCAN")]


def _fan(*degrees: float) -> FloatArray:
    """Unit vectors in one plane."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def _best(name: str, *cosines: float) -> Candidate:
    return next(c for c in EVERY if c.name == name and c.cosines == pytest.approx(cosines))


def _partition(labels: np.typing.NDArray[np.int64]) -> set[tuple[int, ...]]:
    return {tuple(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist()) - {-1}}


@pytest.mark.parametrize("candidate", SOUND, ids=in_words)
def test_every_way_tells_dogs_at_right_angles_apart_and_leaves_a_stranger_alone(candidate: Candidate) -> None:
    every = photos("aaabbs")
    result = grouped(candidate, every, all_dogs(every))
    assert result.own == {"a": True, "b": True}
    assert result.merged == {"a": False, "b": False}
    assert result.swallowed == {"s": False}
    assert result.adjusted_rand == 1


@pytest.mark.parametrize("candidate", EVERY, ids=in_words)
def test_every_way_does_with_few_photos_and_with_none_in_which_a_dog_was_found(candidate: Candidate) -> None:
    for dogs in ([0, 0, 0], [1, 0, 0], [1, 1, 0]):
        every = photos("aaa", dogs=dogs, sessions=["1", "1", "2"])
        found = grouped(candidate, every, all_dogs(every))
        assert sum(found.ungrouped["a"]) >= dogs.count(0)


def test_linkages_differ_in_what_of_a_chain_they_unite() -> None:
    # Each 40 degrees from the next (cosine 0.77); the ends of three 80 (0.17), the mean of both 0.47.
    chain, days = _fan(0, 40, 80), np.array([""] * 3)
    assert _partition(_best("single linkage (DBSCAN)", SAME_DOG).method(chain, days)) == {(0, 1, 2)}
    assert len(_partition(_best("average linkage", SAME_DOG).method(chain, days))) == 1
    assert max(map(len, _partition(_best("average linkage", SAME_DOG).method(chain, days)))) == 2
    assert max(map(len, _partition(_best("complete linkage", SAME_DOG).method(chain, days)))) == 2


def test_photos_of_one_day_are_linked_first_and_then_days_by_all_their_photos() -> None:
    # 0 and 48 degrees have 0.67, 24 has 0.91 with both.
    fan = _fan(0, 48, 24)
    candidate = _best("days, then average linkage", SAME_DOG - 0.08, SAME_DOG)
    assert _partition(candidate.method(fan, np.array(["1", "1", "2"]))) == {(0, 1, 2)}
    # Those two are too far apart to be linked on different days, or on unknown ones.
    assert _partition(candidate.method(fan[:2], np.array(["1", "2"]))) == set()
    assert _partition(candidate.method(fan[:2], np.array(["", ""]))) == set()


def test_a_core_is_united_by_its_centroid() -> None:
    # Two photos 40 degrees apart (0.77) and a third beside them, 42 from their centroid (0.74): 0.70 from each.
    two = np.array([[np.cos(0.349), side * np.sin(0.349), 0] for side in (-1, 1)])
    third = np.array([[np.cos(0.733), 0, np.sin(0.733)]])
    dogs, days = np.concatenate([two, third]), np.array([""] * 3)
    assert _partition(_best("cores, then centroids", SAME_DOG + 0.04, SAME_DOG).method(dogs, days)) == {(0, 1, 2)}
    assert _partition(_best("average linkage", SAME_DOG).method(dogs, days)) == {(0, 1)}


def test_the_table_has_a_row_for_each_shown_candidate() -> None:
    every = photos("aabb")
    outcomes = [[grouped(candidate, every, library) for library in [all_dogs(every)] * 2] for candidate in EVERY[:2]]
    lines = table("drawn", EVERY, [1], outcomes).splitlines()
    assert lines[-1].startswith("| average linkage, 0.60 | 1.00 | 0.00 | 0.00 | 0.00 | n/a |")
