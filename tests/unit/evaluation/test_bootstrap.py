from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from immich_dog_plugin.errors import EvaluationError
from immich_dog_plugin.evaluation.bootstrap import (
    Interval,
    bootstrap_interval,
    bootstrap_intervals,
    bootstrap_mean,
)
from immich_dog_plugin.evaluation.metrics import auc, eer, median_margin, share_at_least, tar_at_far
from immich_dog_plugin.evaluation.pairs import DogPairs, Pairs


def tar(pairs: Pairs) -> float:
    """Share of the genuine pairs from the cosine 0.5 on."""
    return share_at_least(pairs.genuine, 0.5, pairs.genuine_weights)


STATISTICS = {"auc": auc, "eer": eer, "tar": lambda pairs: tar_at_far(pairs, 0.1), "margin": median_margin}


def dogs(count: int, photos: int = 4, noise: float = 1.5) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Unit vectors of ``count`` dogs and their labels."""
    random = np.random.default_rng(count)
    labels = np.repeat(np.arange(count), photos)
    vectors = random.normal(size=(count, 8))[labels] + noise * random.normal(size=(len(labels), 8))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels


def test_a_dog_drawn_twice_counts_its_pairs_twice_and_makes_none_with_itself() -> None:
    # rex has two photos (cosine 0.8), bella one; drawn twice, rex stands for two dogs of two photos each
    vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    pairs = DogPairs.of(vectors, ["rex", "rex", "bella"], ["a", "b", "c"])
    drawn = pairs.drawn(np.array([1, 2]))  # in alphabetical order: bella once, rex twice
    assert np.repeat(drawn.genuine, drawn.genuine_weights) == pytest.approx([0.8, 0.8])
    assert np.repeat(drawn.impostor, drawn.impostor_weights) == pytest.approx([0.0, 0.0, 0.6, 0.6])


def test_a_draw_weighs_pairs_as_relabelled_copies_of_the_dogs_would() -> None:
    vectors, labels = dogs(5, photos=3)
    counts = np.array([2, 0, 3, 1, 1])
    copies = [(dog, copy) for dog in range(5) for copy in range(counts[dog])]
    genuine, impostor = [], []
    for first, (dog, _) in enumerate(copies):
        own = vectors[labels == dog]
        genuine += [own[i] @ own[j] for i in range(3) for j in range(i)]
        for other, _ in copies[:first]:
            if other != dog:  # two copies of one dog make no pair
                impostor += (own @ vectors[labels == other].T).ravel().tolist()
    by_hand = Pairs(np.array(genuine), np.array(impostor))
    drawn = DogPairs.of(vectors, labels, np.arange(15)).drawn(counts)
    assert drawn.genuine_weights is not None
    assert drawn.genuine_weights.sum() == len(genuine)
    for statistic in STATISTICS.values():
        assert statistic(drawn) == pytest.approx(statistic(by_hand))


def test_the_interval_of_a_mean_is_what_all_possible_draws_give() -> None:
    # Five dogs, one of them found: a draw finds it k times of 5, k binomial(5, 1/5). P(k = 0) = 0.33 is more than
    # 2.5 %, P(k >= 4) = 0.7 % is less and P(k >= 3) = 5.8 % more: from 0 to 3 of 5.
    found = bootstrap_mean([True, False, False, False, False], ["a", "b", "c", "d", "e"], draws=4000)
    assert found == Interval(0.2, 0.0, pytest.approx(0.6))


def test_a_dog_with_many_photos_counts_with_all_of_them() -> None:
    labels = ["a"] * 6 + ["b", "c", "d", "e"]
    interval = bootstrap_mean([1] * 6 + [0] * 4, labels, draws=4000)
    # dog a drawn k times: 6k / (6k + 5 - k); never (33 %) and three times (18/20) bound the 95 %
    assert interval == Interval(0.6, 0.0, pytest.approx(0.9))


def test_the_share_of_pairs_in_a_draw_is_known_by_hand() -> None:
    # Of five dogs, a's only pair has the cosine 1, those of the others 0: the share accepted is k of 5 again.
    vectors = np.zeros((10, 20))
    vectors[np.arange(10), [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]] = 1
    labels = np.repeat(np.arange(5), 2)
    accepted = bootstrap_interval(
        tar,
        vectors,
        labels,
        np.arange(10),
        draws=4000,
    )
    assert accepted == Interval(0.2, 0.0, pytest.approx(0.6))


def test_the_interval_holds_the_true_figure_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    population = random.random(4000)  # a share per dog, mean 0.5
    hits = 0
    for _ in range(200):
        drawn = random.choice(population, 30)
        interval = bootstrap_mean(drawn, np.arange(30), draws=200)
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= population.mean() <= interval.high
    assert 0.9 <= hits / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval_and_another_a_slightly_different_one() -> None:
    vectors, labels = dogs(12)
    groups = np.arange(len(labels))
    first, again = (bootstrap_interval(auc, vectors, labels, groups, draws=50) for _ in range(2))
    other = bootstrap_interval(auc, vectors, labels, groups, draws=50, seed=1)
    assert first == again
    assert first != other
    assert first.value == other.value


def test_a_higher_level_gives_a_wider_interval_around_the_figure_of_all_dogs() -> None:
    vectors, labels = dogs(12)
    narrow, wide = (
        bootstrap_interval(auc, vectors, labels, np.arange(len(labels)), draws=300, level=level)
        for level in (0.5, 0.99)
    )
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high  # type: ignore[operator]


def test_several_figures_on_the_same_draws_are_those_of_each_alone() -> None:
    vectors, labels = dogs(8)
    groups = np.arange(len(labels))
    together = bootstrap_intervals(STATISTICS, DogPairs.of(vectors, labels, groups), draws=40)
    for name, statistic in STATISTICS.items():
        assert together[name] == bootstrap_interval(statistic, vectors, labels, groups, draws=40)


def test_pairs_of_one_group_are_left_out() -> None:
    vectors, labels = dogs(6)
    groups = np.arange(len(labels))
    groups[1] = groups[0]
    pairs = DogPairs.of(vectors, labels, groups)
    assert (len(pairs.genuine), len(pairs.impostor)) == (6 * 6 - 1, 24 * 23 // 2 - 36)


def test_four_dogs_give_a_figure_but_no_interval() -> None:
    vectors, labels = dogs(4)
    interval = bootstrap_interval(auc, vectors, labels, np.arange(16))
    assert (interval.low, interval.high) == (None, None)
    assert 0 < interval.value < 1
    assert bootstrap_mean([1, 0, 1, 0], list("abcd")) == Interval(0.5, None, None)


def test_dogs_without_a_pair_of_their_own_do_not_make_the_dogs_enough() -> None:
    vectors, labels = dogs(8)
    labels[8:] = np.arange(100, 124)  # six dogs of four photos become 24 of one; two dogs keep their pairs
    interval = bootstrap_interval(auc, vectors, labels, np.arange(32))
    assert interval.low is None


def test_a_draw_without_a_pair_of_one_kind_is_drawn_again() -> None:
    # All dogs but two stand in one photo: most draws hold no impostor pair, or lack a genuine one.
    vectors, labels = dogs(6, photos=2)
    groups = np.where(np.arange(12) % 2 == 0, 0, 1)
    groups[:2] = [2, 3]
    interval = bootstrap_interval(auc, vectors, labels, groups, draws=100)
    assert interval.low is not None
    assert np.isfinite(interval.low)


def test_a_share_that_all_dogs_agree_on_is_not_taken_for_certain() -> None:
    six = bootstrap_mean([1] * 6, list("abcdef"))
    assert six == Interval(1.0, pytest.approx(0.025 ** (1 / 6)), 1.0)  # 54 %: the exact binomial bound
    assert bootstrap_mean([0] * 6, list("abcdef")) == Interval(0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / 6)))
    vectors, labels = dogs(6, noise=0.0)
    assert bootstrap_interval(tar, vectors, labels, np.arange(24)) == six


def test_one_missed_photo_does_not_make_a_share_surer_than_none_would() -> None:
    labels = np.repeat(np.arange(6), 50)
    found = np.ones(300)
    found[0] = 0
    assert bootstrap_mean(found, labels).low == pytest.approx(0.99, abs=0.002)
    assert bootstrap_mean(found, labels, share=True).low == bootstrap_mean(np.ones(300), labels, share=True).low


def test_a_share_that_the_dogs_disagree_on_keeps_the_interval_of_the_draws() -> None:
    values = [1, 0] * 20
    assert bootstrap_mean(values, np.arange(40), share=True) == bootstrap_mean(values, np.arange(40))


@pytest.mark.parametrize(
    ("labels", "groups", "words"),
    [
        (["a", "b", "c"], [0, 1, 2], "0 pairs of the same dog and 3 of different dogs"),
        (["a", "a", "a"], [0, 1, 2], "3 pairs of the same dog and 0 of different dogs"),
        (["a", "a", "b"], [0, 0, 1], "0 pairs of the same dog and 2 of different dogs"),
    ],
)
def test_photos_without_pairs_of_both_kinds_are_an_error(labels: list[str], groups: list[int], words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        bootstrap_interval(auc, np.eye(3), labels, groups)


def test_no_value_has_no_mean() -> None:
    with pytest.raises(EvaluationError, match="no photo"):
        bootstrap_mean([], [])
