from __future__ import annotations

import numpy as np
import pytest

from immich_dog_plugin.identify import neighbours
from immich_dog_plugin.identify.neighbours import NameAccuracy, most_similar, name_accuracy

from .conftest import unit_rows


@pytest.mark.parametrize("block_rows", [1, 3, 512])
def test_blocks_give_what_the_whole_matrix_gives(block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK_ROWS", block_rows)
    generator = np.random.default_rng(0)
    embeddings = unit_rows(generator.normal(size=(20, 8)))
    photos = np.arange(20) // 2
    found = most_similar(embeddings, photos, 4, np.arange(20))
    cosines = embeddings @ embeddings.T
    for row in range(20):
        others = sorted((other for other in range(20) if photos[other] != photos[row]), key=lambda o: -cosines[row, o])
        assert found.indices[row].tolist() == others[:4]
        np.testing.assert_allclose(found.scores[row], cosines[row, others[:4]], rtol=1e-5)


def test_missing_neighbours_are_marked() -> None:
    embeddings = unit_rows(np.eye(3))
    found = most_similar(embeddings, np.array([0, 0, 1]), 5, np.arange(3))
    assert found.indices.tolist() == [[2, -1, -1, -1, -1], [2, -1, -1, -1, -1], [0, 1, -1, -1, -1]]
    assert np.isnan(found.scores[0, 1:]).all()


def test_name_accuracy_counts_a_hand_made_case() -> None:
    angles = np.radians([0, 10, 13, 90, 91])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    names = ["Rex", "Rex", "Bella", "Bella", "Max"]
    # Rex at 0 finds Rex at 10; Rex at 10 finds Bella at 13; Bella at 13 finds Rex, Bella at 90 finds Max. Max is alone.
    # Each has its name among the five nearest, as there are only four others.
    assert name_accuracy(embeddings, np.arange(5), names) == NameAccuracy(4, 0.25, 1.0)


def test_name_accuracy_leaves_out_dogs_without_a_name_and_of_the_same_photo() -> None:
    embeddings = unit_rows(np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 1], [0.9, 0.5]]))
    names = ["Rex", None, "Rex", "Rex", "Bella"]
    photos = np.array([0, 1, 0, 2, 3])
    # Both Rex of photo 0 find Bella first, the Rex of photo 2 too; the unnamed dog is never looked at.
    assert name_accuracy(embeddings, photos, names) == NameAccuracy(3, 0.0, 1.0)


def test_name_accuracy_is_none_where_one_name_cannot_be_wrong() -> None:
    embeddings = unit_rows(np.ones((3, 4)))
    assert name_accuracy(embeddings, np.arange(3), ["Rex", "Rex", None]) is None


@pytest.mark.parametrize("names", [[], [None, None], ["Rex", "Bella"]])
def test_name_accuracy_is_none_where_nothing_can_be_right(names: list[str | None]) -> None:
    embeddings = unit_rows(np.ones((len(names), 4))) if names else np.empty((0, 4), dtype=np.float32)
    assert name_accuracy(embeddings, np.arange(len(names)), names) is None
