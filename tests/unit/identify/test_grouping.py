from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.cluster import hierarchy

from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.identify.grouping import UNGROUPED, average_linkage, group

from .conftest import unit_rows

SAME_DOG = 0.6
NOBODY = np.empty(0, dtype=np.int64)


def _dogs(sizes: list[int], spread: float = 0.5, seed: int = 0) -> tuple[FloatArray, list[int]]:
    """Embeddings of ``len(sizes)`` dogs, about 0.8 alike within a dog and 0 between dogs, and whose each is."""
    generator = np.random.default_rng(seed)
    owners = [dog for dog, size in enumerate(sizes) for _ in range(size)]
    centres = unit_rows(generator.normal(size=(len(sizes), 128)))
    return unit_rows(centres[owners] + spread * unit_rows(generator.normal(size=(len(owners), 128)))), owners


def _partition(labels: list[int]) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(np.array(labels) == label).tolist()) for label in set(labels) - {UNGROUPED}}


def _apart(embeddings: FloatArray, same_dog: float = SAME_DOG, core_margin: float = 0.0) -> list[int]:
    """The groups of dogs that are in a photo each."""
    return group(embeddings, np.arange(len(embeddings)), same_dog, core_margin).tolist()


@pytest.mark.parametrize("sizes", [[6], [2], [8, 5], [3, 12, 7, 2, 4]])
def test_each_dog_becomes_one_group_however_few_there_are(sizes: list[int]) -> None:
    embeddings, owners = _dogs(sizes)
    assert _partition(_apart(embeddings)) == _partition(owners)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_strangers_form_no_group(count: int) -> None:
    embeddings, _ = _dogs([1] * count) if count else (np.empty((0, 128), dtype=np.float32), [])
    assert _apart(embeddings) == [UNGROUPED] * count


def test_strangers_beside_a_family_stay_out_of_its_groups() -> None:
    embeddings, _ = _dogs([9, 6, 1, 1, 1, 1, 1])
    assert _apart(embeddings) == [0] * 9 + [1] * 6 + [UNGROUPED] * 5


def test_the_largest_group_comes_first() -> None:
    embeddings, _ = _dogs([2, 5, 3])
    assert _apart(embeddings) == [2] * 2 + [0] * 5 + [1] * 3


# Both of one length exactly, and with a cosine of exactly 0.5.
HALF = np.array([[1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5]], dtype=np.float32)


def test_two_dogs_exactly_at_the_threshold_are_one_group_and_just_under_it_none() -> None:
    assert _apart(HALF, 0.5) == [0, 0]
    assert _apart(HALF, float(np.nextafter(np.float32(0.5), np.float32(1)))) == [UNGROUPED] * 2


def test_two_single_dogs_are_united_at_the_threshold_even_where_a_core_needs_more() -> None:
    assert _apart(HALF, 0.5, core_margin=0.25) == [0, 0]


def test_a_cluster_is_united_with_a_dog_that_the_mean_of_its_pairs_allows_and_no_other() -> None:
    # Cosines 0.8 with the third, 0.6 and 0.96 of the first two: the pairs of the third have 0.6 and 0.8 (mean 0.7).
    vectors = np.array([[1, 0, 0], [0.96, 0.28, 0], [0.6, 0.8, 0]], dtype=np.float32)
    mean = float((vectors[2] @ vectors[:2].T).mean())
    assert average_linkage(vectors, NOBODY, NOBODY, mean - 1e-4).tolist() == [0, 0, 0]
    assert average_linkage(vectors, NOBODY, NOBODY, mean + 1e-4).tolist() == [0, 0, 1]


def test_a_core_is_united_with_a_dog_that_its_centroid_recognises_where_no_photo_does() -> None:
    # Two photos 40 degrees apart (0.77) and a third beside them: 0.70 from each, 0.74 from their centroid.
    dogs = np.array(
        [[np.cos(0.349), -np.sin(0.349), 0], [np.cos(0.349), np.sin(0.349), 0], [np.cos(0.733), 0, np.sin(0.733)]],
        dtype=np.float32,
    )
    assert _apart(dogs, 0.72, core_margin=0.04) == [0, 0, 0]
    assert _apart(dogs[[0, 2]], 0.72, core_margin=0.04) == [UNGROUPED] * 2
    assert _apart(dogs, 0.75) == [0, 0, UNGROUPED]


@pytest.mark.parametrize("cosine", [0.1, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_average_linkage_is_that_of_scipy(cosine: float, seed: int) -> None:
    embeddings, _ = _dogs([1, 2, 5, 20, 40, 3] * 5, spread=1.0, seed=seed)
    distances = (1 - embeddings.astype(np.float64) @ embeddings.T)[np.triu_indices(len(embeddings), 1)]
    theirs = hierarchy.fcluster(hierarchy.linkage(distances, "average"), 1 - cosine, "distance")
    ours = average_linkage(embeddings, NOBODY, NOBODY, cosine)
    assert _partition(ours.tolist()) == _partition(theirs.tolist())


def test_two_dogs_of_one_photo_are_two_groups_however_alike_they_are() -> None:
    embeddings = np.tile(HALF[:1], (5, 1))
    # Twins in two photos, and one of them alone in a third: it goes with either, never with both.
    found = group(embeddings, np.array([0, 0, 1, 1, 2]), SAME_DOG)
    assert sorted(np.bincount(found).tolist()) == [2, 3]
    assert found[0] != found[1]
    assert found[2] != found[3]


def test_cores_that_share_a_photo_are_not_united_by_their_centroids() -> None:
    embeddings, _ = _dogs([12], spread=0.2)
    embeddings = unit_rows(embeddings + 0.3 * np.eye(128)[[0] * 6 + [1] * 6])  # hardly told apart by their looks
    photos = np.array([0, 1, 2, 3, 4, 5] * 2)
    found = group(embeddings, photos, SAME_DOG)
    for label in set(found.tolist()) - {UNGROUPED}:
        members = photos[found == label]
        assert len(set(members)) == len(members)
    assert (found != UNGROUPED).sum() >= 10


def test_the_order_of_the_photos_changes_nothing() -> None:
    embeddings, _ = _dogs([3, 9, 1, 6, 2, 1], spread=0.9)
    photos = np.arange(len(embeddings)) // 2
    before = _partition(group(embeddings, photos, 0.55).tolist())
    order = np.random.default_rng(1).permutation(len(embeddings))
    again = group(embeddings[order], photos[order], 0.55)
    assert {frozenset(order[list(members)].tolist()) for members in _partition(again.tolist())} == before


def test_opposite_dogs_have_no_centroid_and_no_group() -> None:
    opposite = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    assert _apart(opposite, -1.0, core_margin=0.0) == [0, 0]
    assert _apart(opposite, 0.0) == [UNGROUPED] * 2


def test_identical_embeddings_are_one_group() -> None:
    assert _apart(np.tile(unit_rows(np.ones((1, 16))), (7, 1)), core_margin=0.04) == [0] * 7


def test_two_thousand_dogs_that_nobody_knows_are_grouped_in_seconds() -> None:
    embeddings = unit_rows(np.random.default_rng(0).normal(size=(2000, 32)))
    start = time.process_time()
    found = _apart(embeddings)
    assert time.process_time() - start < 30
    assert len(found) == 2000
