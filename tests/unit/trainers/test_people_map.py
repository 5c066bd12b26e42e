from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from immich_dog_plugin.evaluation.pairs import DogPairs
from immich_dog_plugin.people_map import signed_power
from trainers.people_map import EXPONENTS, MIN_ACCEPTED, measure_people_map, people_section
from trainers.runs import TrainingError


def dogs(count: int = 40, photos: int = 4) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit vectors of dogs that share two large coordinates, and their labels."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(count), photos)
    vectors = random.normal(size=(count, 512))[labels] + random.normal(size=(len(labels), 512))
    vectors[:, [0, 256]] = random.normal(30, 6, size=(len(labels), 2))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def test_at_each_distance_as_many_different_dogs_are_taken_for_one_as_at_the_threshold() -> None:
    embeddings, labels = dogs()
    groups = np.arange(len(labels))
    before = DogPairs.of(embeddings, labels, groups).impostor
    threshold = float(np.sort(before)[-60:-58].mean())  # 59 pairs reach it
    people = measure_people_map(embeddings, labels, groups, threshold)
    assert people.exponents == EXPONENTS
    assert people.distances[0] == pytest.approx(1 - threshold, abs=0.002)
    for exponent, distance in zip(people.exponents, people.distances, strict=True):
        after = DogPairs.of(signed_power(embeddings, exponent), labels, groups).impostor
        assert (1 - after <= distance).sum() == pytest.approx(59, abs=2)
    assert "of which same_dog" in people.source
    assert f"| 0.5 | {people.distances[5]:.3f} |" in people_section(people)


@pytest.mark.parametrize("threshold", [0.99, -1.0])
def test_a_threshold_that_too_few_pairs_or_all_reach_is_refused(threshold: float) -> None:
    embeddings, labels = dogs()
    with pytest.raises(TrainingError, match=rf"measured on {MIN_ACCEPTED} at least, and not on all"):
        measure_people_map(embeddings, labels, np.arange(len(labels)), threshold)
