from __future__ import annotations

import numpy as np
import pytest

from immich_dog_plugin.errors import EvaluationError
from immich_dog_plugin.evaluation import pairs as module
from immich_dog_plugin.evaluation.pairs import DogPairs, Scores, verification_pairs


def test_each_pair_is_counted_once_and_pairs_of_one_photo_not_at_all() -> None:
    vectors = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])
    pairs = verification_pairs(vectors, ["rex", "rex", "bella", "rex"], ["a", "a", "a", "b"])
    # left: rex-rex (a, b) twice and bella-rex (a, b) once; everything within photo "a" is out
    assert pairs.genuine == pytest.approx([0.8, 0.96])
    assert pairs.impostor == pytest.approx([0.6])


def test_pairs_know_their_photos_and_dogs_least_alike_first() -> None:
    vectors = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    pairs = DogPairs.of(vectors, ["rex", "rex", "bella"], ["a", "b", "c"])
    assert pairs.genuine_photos.tolist() == [[0], [1]]
    assert pairs.genuine_dogs.tolist() == [1]  # bella is 0
    assert pairs.impostor == pytest.approx([0.0, 0.8])
    assert pairs.impostor_photos.tolist() == [[0, 1], [2, 2]]
    assert pairs.impostor_dogs.tolist() == [[1, 1], [0, 0]]
    assert pairs.dogs == 2


def test_genuine_pairs_can_be_chosen_and_all_impostor_pairs_stay() -> None:
    vectors = np.eye(4)
    pairs = DogPairs.of(vectors, ["rex", "rex", "rex", "bella"], list("abcd"))
    kept = pairs.only_genuine(np.array([True, False, True]))
    assert kept.genuine_photos.tolist() == pairs.genuine_photos[:, [0, 2]].tolist()
    assert len(kept.genuine_dogs) == len(kept.genuine) == 2
    assert len(kept.impostor) == 3


def test_more_photos_than_fit_into_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PHOTOS", 2)
    with pytest.raises(EvaluationError, match="3 photos give more pairs than fit"):
        DogPairs.of(np.eye(3), ["rex", "rex", "bella"], list("abc"))


def test_of_very_many_impostor_pairs_a_draw_takes_evenly_spaced_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(80, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.arange(80) // 2
    full = DogPairs.of(vectors, labels, np.arange(80))  # 3,120 impostor pairs
    everything = full.drawn(np.ones(40, dtype=np.int64))
    monkeypatch.setattr(module, "MAX_DRAWN_IMPOSTORS", 1000)
    thinned = DogPairs.of(vectors, labels, np.arange(80))
    drawn = thinned.drawn(np.ones(40, dtype=np.int64))
    assert (len(everything.impostor), len(drawn.impostor)) == (3120, 780)
    assert len(thinned.pairs.impostor) == 3120  # the figure itself is of all
    for share in (0.1, 0.5, 0.99):
        assert drawn.impostor_scores.quantile(share) == pytest.approx(
            everything.impostor_scores.quantile(share), abs=0.02
        )
    counts = random.integers(0, 3, 40)
    first, second = thinned.impostor_dogs[:, ::4]
    assert (thinned.drawn(counts).impostor_weights == counts[first] * counts[second]).all()


def test_weighted_scores_are_those_of_the_list_with_repetitions() -> None:
    random = np.random.default_rng(0)
    values, weights = random.normal(size=50).round(1), random.integers(0, 4, 50)
    repeated = np.repeat(values, weights)
    scores = Scores.of(values, weights)
    assert scores.weight == len(repeated)
    for share in (0.0, 0.001, 0.25, 0.5, 0.99, 1.0):
        assert scores.quantile(share) == pytest.approx(np.quantile(repeated, share))
    for limit in (-3.0, 0.0, 0.1, 3.0):
        assert scores.share_at_least(limit) == pytest.approx((repeated >= limit).mean())
        assert scores.share_below(limit) == pytest.approx((repeated < limit).mean())
        assert scores.share_below(limit, "right") == pytest.approx((repeated <= limit).mean())


def test_a_value_at_the_limit_is_at_least_the_limit() -> None:
    assert Scores.of(np.array([0.7, 0.6])).share_at_least(0.7) == 0.5


def test_an_empty_list_has_no_share() -> None:
    assert np.isnan(Scores.of(np.empty(0)).share_at_least(0.5))
