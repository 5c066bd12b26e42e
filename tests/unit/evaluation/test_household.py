from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from immich_dog_plugin.errors import EvaluationError
from immich_dog_plugin.evaluation import household as module
from immich_dog_plugin.evaluation.embedded import EmbeddedPhotos
from immich_dog_plugin.evaluation.household import NOBODY, People, household, outcomes, random_homes


def on_a_line(*places: float) -> NDArray[np.float64]:
    """The distances of faces that lie on a line."""
    line = np.array(places)
    return np.abs(line[:, None] - line[None, :])


def photos(labels: Sequence[str], embeddings: NDArray[np.float64], **columns: object) -> EmbeddedPhotos:
    """Photos of their own, each with a dog found, unless ``columns`` say otherwise."""
    count = len(labels)
    rows: dict[str, object] = {
        "groups": np.array([f"photo {row}" for row in range(count)]),
        "sets": np.full(count, ""),
        "sessions": np.full(count, ""),
        "dogs": np.ones(count, dtype=np.int64),
        "times": np.full(count, np.nan),
        "keys": [str(row) for row in range(count)],
    }
    return EmbeddedPhotos(embeddings=embeddings, labels=np.array(labels), **rows | columns)  # type: ignore[arg-type]


def test_three_faces_within_the_distance_become_one_person() -> None:
    people = People(on_a_line(0.0, 0.1, 0.2), max_distance=0.2)
    people.add([0, 1, 2])
    assert people.person.tolist() == [0, 0, 0]


def test_two_alike_faces_are_no_person() -> None:
    people = People(on_a_line(0.0, 0.1), max_distance=0.2)
    people.add([0, 1])
    people.night()
    assert people.person.tolist() == [NOBODY, NOBODY]


def test_a_face_at_the_distance_matches_and_one_beyond_does_not() -> None:
    for third, person in ((0.25, 0), (0.26, NOBODY)):
        people = People(on_a_line(0.0, 0.125, third), max_distance=0.125)
        people.add([0, 1, 2])
        assert people.person[1] == person


def test_a_face_with_one_match_waits_and_joins_that_matchs_person() -> None:
    # 0 matches 1 only and is deferred; 1 matches 0 and 2: core, a new person; 2 matches 3 and 1: core, takes 1's;
    # 3 matches 2 only: deferred. Then 0 takes 1's and 3 takes 2's: a chain whose ends are 0.28 apart is one person.
    people = People(on_a_line(0.0, 0.1, 0.2, 0.28), max_distance=0.11)
    people.add([0, 1, 2, 3])
    assert people.person.tolist() == [0, 0, 0, 0]


def test_a_face_that_only_matches_itself_is_not_deferred_but_waits_for_the_night() -> None:
    people = People(on_a_line(0.0, 0.1, 0.2), max_distance=0.2)
    people.add([0])
    people.add([1])
    assert people.person.tolist() == [NOBODY, NOBODY, NOBODY]
    people.add([2])  # the third finds the two others and is a new person; they are not asked again
    assert people.person.tolist() == [NOBODY, NOBODY, 0]
    people.night()
    assert people.person.tolist() == [0, 0, 0]


def test_a_core_face_takes_the_nearest_person_beyond_its_three_matches() -> None:
    # Faces 0, 1, 2 are a person. The next three are nearer to each other, but 0 is within the distance of 3.
    people = People(on_a_line(0.05, 0.09, 0.1, 0.0, 0.01, -0.01), max_distance=0.1)
    people.add([0, 1, 2])
    people.add([3, 4, 5])
    assert people.person.tolist() == [0, 0, 0, 0, 0, 0]


def test_a_core_face_without_a_person_in_reach_becomes_a_new_one() -> None:
    people = People(on_a_line(0.5, 0.52, 0.54, 0.0, 0.02, 0.04), max_distance=0.1)
    people.add([0, 1, 2])
    people.add([3, 4, 5])
    assert people.person.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(("place", "person"), [(0.157, 0), (0.163, 1)])
def test_of_matches_of_two_persons_the_nearest_decides(place: float, person: int) -> None:
    people = People(on_a_line(0.0, 0.01, 0.02, 0.3, 0.31, 0.32, place), max_distance=0.2)
    people.add([0, 1, 2, 3, 4, 5])
    assert people.person.tolist() == [0, 0, 0, 1, 1, 1, NOBODY]
    people.add([6])  # its three are itself and one of each person, 0.137 and 0.143 away
    assert people.person[6] == person


def test_faces_of_later_photos_of_one_import_count_as_matches_already() -> None:
    people = People(on_a_line(0.0, 0.01, 0.02), max_distance=0.1)
    people.add([0, 1, 2])
    assert people.person[0] == 0  # a new person at once, before 1 and 2 have been recognised


def test_the_outcome_of_each_dog_by_hand() -> None:
    person = np.array([0, 0, 1, -1, 1, 1, 1, 2, 3, 4, -1, -1, 5, 5, -1])
    dog = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4])
    found = outcomes(person, dog)
    # person 1 holds one photo of dog 0 and three of dog 1: both are merged, and only dog 0's photo is wrong
    assert (found[0].merged, found[0].split, found[0].strays, found[0].wrong) == (True, False, 1, 1)
    assert (found[1].merged, found[1].wrong) == (True, 0)
    assert (found[2].split, found[2].strays) == (True, 0)
    assert (found[3].never_grouped, found[3].strays) == (True, 2)
    assert (found[4].one_person, found[4].strays, found[4].photos) == (True, 1, 3)
    for outcome in found.values():
        assert outcome.one_person + outcome.never_grouped + outcome.merged + outcome.split == 1


def test_dogs_that_look_like_themselves_alone_each_become_one_person() -> None:
    labels = np.repeat(list("abcdefgh"), 4)
    embeddings = np.repeat(np.eye(8), 4, axis=0)
    for arrival in module.ARRIVALS:
        found = household(photos(labels.tolist(), embeddings), 0.5, arrival=arrival, homes=20)
        assert found.one_person.value == 1
        assert (found.merged.value, found.split.value, found.never_grouped.value) == (0, 0, 0)
        assert (found.strays.value, found.wrong.value) == (0, 0)
        assert found.merged.high == pytest.approx(1 - 0.025 ** (1 / 8))  # eight dogs prove no more


def test_dogs_that_all_look_alike_are_merged_unless_they_live_alone() -> None:
    labels = np.repeat(list("abcdefgh"), 4).tolist()
    seen = photos(labels, np.repeat([[1.0, 0.0]], 32, axis=0))
    homes = [len(set(np.array(labels)[rows])) for rows in random_homes(seen, np.repeat(np.arange(8), 4), 60, 0)]
    found = household(seen, 0.5, homes=60)
    assert set(homes) == {1, 2, 3, 4, 5, 6}
    assert found.merged.value == pytest.approx(sum(size for size in homes if size > 1) / sum(homes))
    assert found.one_person.value == pytest.approx(1 - found.merged.value)


def test_no_dog_is_grouped_at_a_distance_that_no_two_photos_reach() -> None:
    found = household(photos(np.repeat(list("abcdef"), 3).tolist(), np.eye(18)), 0.5, homes=10)
    assert found.never_grouped.value == 1
    assert found.strays.value == 1


def test_a_photo_in_which_no_dog_was_found_is_in_no_person() -> None:
    labels = np.repeat(list("abcdef"), 4).tolist()
    missed = np.tile([1, 1, 1, 0], 6)
    found = household(photos(labels, np.repeat(np.eye(6), 4, axis=0), dogs=missed), 0.5, homes=10)
    assert found.one_person.value == 1
    assert found.strays.value == 0.25


@pytest.mark.parametrize("arrival", module.ARRIVALS)
def test_a_home_in_which_no_dog_was_found_has_no_person(arrival: module.Arrival) -> None:
    labels = np.repeat(list("abcdef"), 3).tolist()
    nothing = photos(labels, np.repeat(np.eye(6), 3, axis=0), dogs=np.zeros(18, dtype=np.int64))
    found = household(nothing, 0.5, arrival=arrival, homes=5)
    assert (found.never_grouped.value, found.strays.value) == (1, 1)


def test_a_home_gets_one_cut_of_a_photo_and_dogs_of_one_set() -> None:
    labels = np.repeat(list("abcd"), 4)
    sets = np.repeat(["street", "sofa"], 8)
    groups = np.tile(["x", "x", "y", "z"], 4)
    seen = photos(labels.tolist(), np.eye(16), groups=groups, sets=sets)
    for rows in random_homes(seen, np.repeat(np.arange(4), 4), 30, 0):
        assert len(set(sets[rows])) == 1
        for label in set(labels[rows]):
            assert sorted(groups[rows][labels[rows] == label]) == ["x", "y", "z"]


def test_photos_come_in_the_order_of_time_where_all_times_are_known() -> None:
    labels = np.repeat(list("ab"), 5)
    times = np.array([5.0, 3, 8, 1, 9, 2, 7, 4, 6, 0])
    known = photos(labels.tolist(), np.eye(10), times=times)
    for rows in random_homes(known, np.repeat([0, 1], 5), 10, 0):
        assert (np.diff(times[rows]) > 0).all()
    times[0] = np.nan
    orders = [rows.tolist() for rows in random_homes(known, np.repeat([0, 1], 5), 10, 0)]
    assert any(sorted(rows) != rows for rows in orders)


def test_the_same_seed_makes_the_same_homes() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(40, 4))
    seen = photos(np.repeat(list("abcdefgh"), 5).tolist(), vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    assert household(seen, 0.2, homes=20) == household(seen, 0.2, homes=20)
    assert household(seen, 0.2, homes=20) != household(seen, 0.2, homes=20, seed=1)


def test_no_photo_is_no_home() -> None:
    with pytest.raises(EvaluationError, match="no photo"):
        household(photos([], np.empty((0, 4))), 0.5)
