from __future__ import annotations

import doctest

import numpy as np
import pytest

from immich_dog_plugin.evaluation import metrics
from immich_dog_plugin.evaluation.metrics import (
    Pairs,
    auc,
    eer,
    far_threshold,
    tar_at_far,
    top_k,
    verification_figures,
    verification_pairs,
)


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(metrics)
    assert result.attempted > 5
    assert result.failed == 0


def test_each_pair_is_counted_once_and_pairs_of_one_photo_not_at_all() -> None:
    vectors = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])
    pairs = verification_pairs(vectors, ["rex", "rex", "bella", "rex"], ["a", "a", "a", "b"])
    # left: rex-rex (a, b) twice and bella-rex (a, b) once; everything within photo "a" is out
    assert sorted(pairs.genuine) == pytest.approx([0.8, 0.96])
    assert pairs.impostor == pytest.approx([0.6])


def test_auc_counts_ordered_pairs_by_hand() -> None:
    pairs = Pairs(genuine=np.array([0.9, 0.4]), impostor=np.array([0.5, 0.4, 0.1]))
    # 0.9 beats three; 0.4 beats one and ties with one
    assert auc(pairs) == pytest.approx((3 + 1 + 0.5) / 6)


def test_a_pair_at_the_threshold_is_accepted() -> None:
    impostor = np.arange(101) / 100
    assert far_threshold(Pairs(np.array([]), impostor), 0.01) == pytest.approx(0.99)
    pairs = Pairs(genuine=np.array([far_threshold(Pairs(np.array([]), impostor), 0.01), 0.98]), impostor=impostor)
    assert tar_at_far(pairs, 0.01) == 0.5


def test_negative_cosines_are_searched_too() -> None:
    pairs = Pairs(genuine=np.array([-0.1, -0.2]), impostor=np.array([-0.8, -0.9]))
    assert (auc(pairs), eer(pairs)) == (1.0, 0.0)


def test_equal_errors_of_indistinguishable_pairs_are_one_half() -> None:
    same = np.linspace(-1, 1, 1001)
    assert eer(Pairs(same, same)) == pytest.approx(0.5, abs=1e-3)


def test_a_photo_without_another_of_its_dog_is_no_query() -> None:
    vectors = np.eye(3)[[0, 0, 1]]
    assert top_k(vectors, ["rex", "rex", "bella"], ["a", "b", "c"]) == 1.0


def test_the_nearest_picture_of_the_same_photo_does_not_count_as_a_hit() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.9, np.sqrt(1 - 0.81)]])
    labels, groups = ["rex", "rex", "rex", "bella"], ["a", "a", "b", "c"]
    assert top_k(vectors, labels, groups, k=1) == 0.0  # bella is nearer than rex' other photo
    assert top_k(vectors, labels, groups, k=2) == pytest.approx(1.0)


def test_a_rate_of_one_in_a_thousand_needs_three_thousand_impostors() -> None:
    random = np.random.default_rng(0)
    for photos, stated in ((60, False), (90, True)):
        vectors = random.normal(size=(photos, 8))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        labels, groups = np.arange(photos) // 3, np.arange(photos)
        figures = verification_figures(vectors, labels, groups)
        assert (figures["tar_at_01_percent"] is not None) == stated
