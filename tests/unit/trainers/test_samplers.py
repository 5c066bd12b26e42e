from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from trainers.embedder.samplers import look_alike_batches, look_alikes, per_class_batches
from trainers.runs import TrainingError

LABELS = [dog for dog in range(12) for _ in range(5)]  # twelve dogs with five photos each
GROUPS = list(range(60))  # each by itself


def circle(degrees: list[float]) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def dogs_of(batch: list[int]) -> Counter[int]:
    return Counter(LABELS[index] for index in batch)


@pytest.fixture(autouse=True)
def seeded() -> None:
    np.random.seed(3)


def test_a_batch_holds_p_dogs_with_k_photos_each() -> None:
    batches = per_class_batches(LABELS, classes=4, photos=3, steps=10)
    assert len(batches) == 10
    for batch in batches:
        assert sorted(dogs_of(batch).values()) == [3, 3, 3, 3]
        assert len(set(batch)) == 12  # no photo twice where there are enough


def test_all_dogs_take_part_in_turn() -> None:
    batches = per_class_batches(LABELS, classes=4, photos=2, steps=60)
    assert len(Counter(dog for batch in batches for dog in dogs_of(batch))) == 12


def test_a_dog_with_too_few_photos_gives_some_twice() -> None:
    (batch,) = per_class_batches([0, 1, 1], classes=2, photos=2, steps=1)
    assert Counter([0, 1, 1][index] for index in batch) == {0: 2, 1: 2}


def test_more_dogs_than_there_are_is_an_error_that_says_so() -> None:
    with pytest.raises(TrainingError, match=r"asks for 13 .* show 12.*--dogs"):
        per_class_batches(LABELS, classes=13, photos=2, steps=1)
    with pytest.raises(TrainingError, match="asks for 13"):
        look_alike_batches(LABELS, GROUPS, [None] * 60, np.eye(12, dtype=np.float32), 13, 2, 1)


def test_dogs_of_one_breed_come_first_among_look_alikes() -> None:
    centres = circle([0, 10, 20, 30, 40, 50])
    breeds = ["pug", "collie", None, "pug", "collie", "pug"]
    order = look_alikes(0, breeds, centres, np.random.default_rng(0))
    assert set(order[:2]) == {3, 5}
    assert order[2:] == [1, 2, 4]  # then the nearest


def test_without_a_breed_the_nearest_centres_are_look_alikes() -> None:
    order = look_alikes(
        2, [None, "pug", None, "pug", "pug", "pug"], circle([0, 90, 40, 100, 50, 345]), np.random.default_rng(0)
    )
    assert order == [4, 0, 1, 5, 3]


def test_look_alikes_meet_in_a_batch() -> None:
    # Three breeds of four dogs, their centres mixed so that only the breed can bring them together.
    breeds = [f"breed {dog % 3}" for dog in LABELS]
    centres = circle([30.0 * dog for dog in range(12)])
    for batch in look_alike_batches(LABELS, GROUPS, breeds, centres, dogs=8, photos=2, steps=20):
        assert sorted(dogs_of(batch).values()) == [2] * 8
        assert sorted(Counter(dog % 3 for dog in dogs_of(batch)).values()) == [4, 4]


def test_near_dogs_meet_in_a_batch_where_no_breed_is_known() -> None:
    centres = circle([dog // 4 * 120 + dog % 4 for dog in range(12)])  # three clusters of four dogs
    for batch in look_alike_batches(LABELS, GROUPS, [None] * 60, centres, dogs=4, photos=5, steps=20):
        assert len({dog // 4 for dog in dogs_of(batch)}) == 1


def test_the_same_seed_draws_the_same_batches() -> None:
    def draw() -> list[list[int]]:
        np.random.seed(5)
        centres = circle([30.0 * dog for dog in range(12)])
        return look_alike_batches(LABELS, GROUPS, [None] * 60, centres, 8, 2, 5) + per_class_batches(LABELS, 4, 3, 5)

    assert draw() == draw()


def test_the_photos_of_a_dog_come_from_different_encounters() -> None:
    labels = [0] * 6 + [1] * 6
    groups = ["park"] * 4 + ["sofa", "car"] + [f"day {number}" for number in range(6)]
    for batch in look_alike_batches(labels, groups, [None] * 12, circle([0, 90]), dogs=2, photos=4, steps=20):
        first = [groups[index] for index in batch if labels[index] == 0]
        assert Counter(first) == {"park": 2, "sofa": 1, "car": 1}
        assert len(set(batch)) == 8
