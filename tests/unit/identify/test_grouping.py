from __future__ import annotations

import numpy as np
import pytest

from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.identify.grouping import METHODS, UNGROUPED, group

from .conftest import unit_rows

SAME_DOG = 0.6


def _dogs(sizes: list[int], spread: float = 0.5, seed: int = 0) -> tuple[FloatArray, list[int]]:
    """Embeddings of ``len(sizes)`` dogs, about 0.8 alike within a dog and 0 between dogs, and whose each is."""
    generator = np.random.default_rng(seed)
    owners = [dog for dog, size in enumerate(sizes) for _ in range(size)]
    centres = unit_rows(generator.normal(size=(len(sizes), 128)))
    return unit_rows(centres[owners] + spread * unit_rows(generator.normal(size=(len(owners), 128)))), owners


def _partition(labels: list[int]) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(np.array(labels) == label).tolist()) for label in set(labels) - {UNGROUPED}}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sizes", [[6], [2], [8, 5], [3, 12, 7, 2, 4]])
def test_each_dog_becomes_one_group_however_few_there_are(method: str, sizes: list[int]) -> None:
    embeddings, owners = _dogs(sizes)
    found = group(embeddings, np.arange(len(owners)), method, SAME_DOG)
    assert _partition(found.tolist()) == _partition(owners)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_strangers_form_no_group(method: str, count: int) -> None:
    embeddings, _ = _dogs([1] * count) if count else (np.empty((0, 128), dtype=np.float32), [])
    assert group(embeddings, np.arange(count), method, SAME_DOG).tolist() == [UNGROUPED] * count


@pytest.mark.parametrize("method", METHODS)
def test_strangers_beside_a_family_stay_out_of_its_groups(method: str) -> None:
    embeddings, owners = _dogs([9, 6, 1, 1, 1, 1, 1])
    found = group(embeddings, np.arange(len(owners)), method, SAME_DOG)
    assert found.tolist() == [0] * 9 + [1] * 6 + [UNGROUPED] * 5


def test_the_largest_group_comes_first() -> None:
    embeddings, owners = _dogs([2, 5, 3])
    found = group(embeddings, np.arange(len(owners)), "hdbscan", SAME_DOG)
    assert found.tolist() == [2] * 2 + [0] * 5 + [1] * 3


@pytest.mark.parametrize("method", METHODS)
def test_two_look_alikes_that_share_photos_are_two_groups(method: str) -> None:
    embeddings, _ = _dogs([12], spread=0.2)
    embeddings = unit_rows(embeddings + 0.3 * np.eye(128)[[0] * 6 + [1] * 6])  # hardly told apart by their looks
    photos = np.array([0, 1, 2, 3, 4, 5] * 2)
    found = group(embeddings, photos, method, SAME_DOG)
    for label in set(found.tolist()) - {UNGROUPED}:
        members = photos[found == label]
        assert len(set(members)) == len(members)
    assert (found != UNGROUPED).sum() >= 10


@pytest.mark.parametrize("method", METHODS)
def test_members_are_on_average_as_similar_as_the_threshold_asks(method: str) -> None:
    generator = np.random.default_rng(1)
    # A chain: each is close to the next, the ends are not alike at all.
    chain = unit_rows(np.cumsum(generator.normal(size=(60, 32)), axis=0))
    found = group(chain, np.arange(60), method, SAME_DOG)
    assert found.max() >= 1
    for label in range(found.max() + 1):
        rows = chain[found == label]
        pairs = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
        assert pairs.mean() >= SAME_DOG


def test_identical_embeddings_are_one_group() -> None:
    embeddings = np.tile(unit_rows(np.ones((1, 16))), (7, 1))
    assert group(embeddings, np.arange(7), "hdbscan", SAME_DOG).tolist() == [0] * 7
