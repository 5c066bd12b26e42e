from __future__ import annotations

import numpy as np
import pytest

from immich_dog_plugin.evaluation.metrics import (
    auc,
    eer,
    far_threshold,
    mean_margin,
    median_margin,
    retrieval,
    share_at_least,
    stated,
    tar_at_far,
    top_k,
    verification_figures,
)
from immich_dog_plugin.evaluation.pairs import Pairs


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


def test_average_precision_by_hand() -> None:
    # From rex' first photo the others are at 0.9 (rex), 0.8 (bella), 0.7 (rex): precision 1/1 and 2/3.
    cosines = np.array([1.0, 0.9, 0.8, 0.7])
    vectors = np.column_stack([cosines, np.sqrt(1 - cosines**2) * [0, 1, -1, 1]])
    found = retrieval(vectors, ["rex", "rex", "bella", "rex"], list("abcd"))
    assert found.queries.tolist() == [0, 1, 3]  # bella has no other photo
    assert found.rank[0] == 0
    assert found.average_precision[0] == pytest.approx((1 + 2 / 3) / 2)


def test_average_precision_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score

    random = np.random.default_rng(1)
    vectors = random.normal(size=(40, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels, groups = np.arange(40) % 7, np.arange(40) // 2
    found = retrieval(vectors, labels, groups)
    for query, precision in zip(found.queries, found.average_precision, strict=True):
        others = groups != groups[query]
        expected = average_precision_score(labels[others] == labels[query], vectors[others] @ vectors[query])
        assert precision == pytest.approx(expected)


def test_a_threshold_is_reached_by_the_value_itself() -> None:
    assert share_at_least(np.array([0.7, 0.69]), 0.7) == 0.5


def test_margins_by_hand() -> None:
    pairs = Pairs(np.array([0.9, 0.6, 0.3]), np.array([0.5, 0.1]), np.array([1, 1, 2]), np.array([3, 1]))
    assert median_margin(pairs) == pytest.approx((0.3 + 0.6) / 2 - 0.5)  # of 0.3 0.3 0.6 0.9 and 0.1 0.5 0.5 0.5
    assert mean_margin(pairs) == pytest.approx(2.1 / 4 - 1.6 / 4)


def test_weights_repeat_pairs_in_every_figure() -> None:
    random = np.random.default_rng(2)
    genuine, impostor = random.normal(0.6, 0.2, 30).round(2), random.normal(0.4, 0.2, 200).round(2)
    weights = random.integers(0, 4, 30), random.integers(0, 4, 200)
    weighted = Pairs(genuine, impostor, *weights)
    repeated = Pairs(np.repeat(genuine, weights[0]), np.repeat(impostor, weights[1]))
    for figure in (auc, eer, median_margin, mean_margin, lambda pairs: tar_at_far(pairs, 0.05)):
        assert figure(weighted) == pytest.approx(figure(repeated))


def test_the_equal_error_rate_is_the_best_of_all_thresholds() -> None:
    random = np.random.default_rng(3)
    for _ in range(50):
        pairs = Pairs(random.normal(0.5, 0.3, 15).round(1), random.normal(0.3, 0.3, 40).round(1))
        rates = [
            ((pairs.genuine < threshold).mean(), (pairs.impostor >= threshold).mean())
            for threshold in np.unique(np.concatenate([pairs.genuine, pairs.impostor]))
        ]
        least = min(abs(rejected - accepted) for rejected, accepted in rates)
        best = [sum(rate) / 2 for rate in rates if abs(rate[0] - rate[1]) == pytest.approx(least)]
        assert eer(pairs) in [pytest.approx(rate) for rate in best]


def test_a_rate_is_read_off_three_times_as_many_trials_as_one_error_takes() -> None:
    assert [stated(0.001, trials) for trials in (2999, 3000)] == [False, True]
    assert [stated(0.01, trials) for trials in (299, 300)] == [False, True]


def test_a_rate_of_one_in_a_thousand_needs_three_thousand_impostors() -> None:
    random = np.random.default_rng(0)
    for photos, enough in ((60, False), (90, True)):
        vectors = random.normal(size=(photos, 8))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        labels, groups = np.arange(photos) // 3, np.arange(photos)
        figures = verification_figures(vectors, labels, groups)
        assert (figures["tar_at_01_percent"] is not None) == enough
