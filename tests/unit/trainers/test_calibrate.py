from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from immich_dog_plugin.calibration import logistic, reliability_curve
from immich_dog_plugin.evaluation.pairs import DogPairs
from immich_dog_plugin.evaluation.reliability import balanced, each_dog_alike
from immich_dog_plugin.model_package import ModelPackage
from trainers.calibrate import (
    MIN_DOGS,
    calibrate,
    calibration_section,
    fit,
    folds_of_dogs,
    held_out_probabilities,
)
from trainers.runs import TrainingError

Floats = NDArray[np.floating]


def dogs(count: int, photos: int = 4, noise: float = 0.8) -> tuple[Floats, NDArray[np.int64]]:
    """Unit vectors of ``count`` dogs and their labels."""
    random = np.random.default_rng(count)
    labels = np.repeat(np.arange(count), photos)
    vectors = random.normal(size=(count, 16))[labels] + noise * random.normal(size=(len(labels), 16))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels


def test_the_fit_finds_the_logistic_function_that_made_the_pairs() -> None:
    random = np.random.default_rng(0)
    cosines = random.uniform(-0.2, 1, 60_000)
    same = random.random(len(cosines)) < logistic(12 * cosines - 7)
    order = np.argsort(~same, kind="stable")
    cosines, same = cosines[order], same[order]
    slope, intercept = fit(cosines, same, np.ones(len(cosines)))
    assert slope == pytest.approx(12, rel=0.03)
    # At even odds, however many of each kind there are.
    even = -7 - np.log(same.sum() / (~same).sum())
    assert intercept == pytest.approx(even, rel=0.03)


def test_a_dog_with_many_photos_counts_no_more_than_another() -> None:
    random = np.random.default_rng(1)
    impostor, alike, unlike = random.normal(0.2, 0.1, 2000), random.normal(0.8, 0.1, 500), random.normal(0.5, 0.1, 500)

    def even_at(times: int, weighed: bool = True) -> float:
        """The cosine at even odds, where dog 0 has so many times as many pairs."""
        genuine = np.concatenate([np.tile(alike, times), unlike])
        dog = np.repeat([0, 1], [len(alike) * times, len(unlike)])
        same = np.arange(len(genuine) + len(impostor)) < len(genuine)
        of_dogs = each_dog_alike(dog) if weighed else np.ones(len(dog))
        weights = np.concatenate([of_dogs, np.ones(len(impostor))])
        slope, intercept = fit(np.concatenate([genuine, impostor]), same, weights)
        return -intercept / slope

    assert even_at(20) == pytest.approx(even_at(1), abs=0.002)  # not the same: more pairs are surer of their kind
    assert even_at(20, weighed=False) > even_at(1) + 0.05


def test_pairs_that_a_threshold_tells_apart_give_a_finite_slope() -> None:
    cosines, same = np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, True, False, False])
    slope, intercept = fit(cosines, same, np.ones(4))
    assert 0 < slope < 100
    assert logistic(np.array([slope * 0.5 + intercept]))[0] == pytest.approx(0.5)


def test_each_pair_is_predicted_by_dogs_that_it_does_not_show() -> None:
    vectors, labels = dogs(6)
    pairs = DogPairs.of(vectors, labels, np.arange(len(labels)))
    cosines = np.concatenate([pairs.genuine, pairs.impostor])
    same = np.arange(len(cosines)) < len(pairs.genuine)
    shown = np.concatenate([np.tile(pairs.genuine_dogs, (2, 1)), pairs.impostor_dogs], axis=1)
    folds = folds_of_dogs(labels)[shown]
    before = held_out_probabilities(cosines, same, np.ones(len(cosines)), folds)
    # One pair of dog 0 is made to look like different dogs. In-sample, this would move every prediction.
    moved = int(np.flatnonzero((shown[0] == 0) & (shown[1] == 0))[-1])
    changed = cosines.copy()
    changed[moved] = -0.5
    after = held_out_probabilities(changed, same, np.ones(len(cosines)), folds)
    of_dog_0 = (shown == 0).any(axis=0)
    of_dog_0[moved] = False
    np.testing.assert_array_equal(after[of_dog_0], before[of_dog_0])
    assert not np.any(after[~of_dog_0] == before[~of_dog_0])


def test_the_curve_in_the_manifest_is_not_that_of_the_fit_on_its_own_pairs() -> None:
    vectors, labels = dogs(8)
    made = calibrate(vectors, labels, np.arange(len(labels)))
    pairs = DogPairs.of(vectors, labels, np.arange(len(labels)))
    cosines = np.concatenate([pairs.genuine, pairs.impostor])
    same = np.arange(len(cosines)) < len(pairs.genuine)
    weights = balanced(each_dog_alike(pairs.genuine_dogs), np.ones(len(pairs.impostor)))
    own = reliability_curve(made.probability(cosines), same, weights)
    # The fit in the manifest is rounded, by far less than leaving dogs out changes it.
    assert [part.predicted for part in made.curve] != pytest.approx([part.predicted for part in own], abs=1e-3)
    assert sum(part.pairs for part in made.curve) == len(cosines)
    assert sum(part.weight for part in made.curve) == pytest.approx(1)


def test_folds_part_the_dogs_and_not_their_photos() -> None:
    labels = np.array([f"dog {number}" for number in range(25) for _ in range(number % 3 + 1)])
    folds = folds_of_dogs(labels)
    assert len(folds) == 25
    assert set(folds.tolist()) == set(range(10))
    assert sorted(folds_of_dogs(labels[:6]).tolist()) == [0, 1, 2]  # fewer dogs than folds: one each


def test_cuts_of_one_photo_do_not_count() -> None:
    vectors, labels = dogs(6)
    groups = np.arange(len(labels))
    twice = np.concatenate([vectors, vectors]), np.concatenate([labels, labels]), np.concatenate([groups, groups])
    # Two photos make four pairs of their cuts, and a photo none of its own: 6 dogs, 6 pairs of photos each.
    assert calibrate(*twice).source.startswith(f"{6 * 6 * 4} pairs of the same dog")


def test_too_few_dogs_and_an_embedder_that_sees_nothing_are_refused_with_a_cure() -> None:
    vectors, labels = dogs(MIN_DOGS - 1)
    with pytest.raises(TrainingError, match=r"Only 3 validation dogs have two photos.*needs 4"):
        calibrate(vectors, labels, np.arange(len(labels)))
    vectors, labels = dogs(MIN_DOGS)
    assert calibrate(vectors, labels, np.arange(len(labels))).slope > 0
    # The two photos of each dog look away from each other.
    vectors, labels = dogs(6, photos=2, noise=0.1)
    vectors[1::2] *= -1
    with pytest.raises(TrainingError, match=r"no closer than others.*Train the embedder"):
        calibrate(vectors, labels, np.arange(len(labels)))


def test_the_section_of_the_model_card_states_the_odds_and_the_curve(tiny_package: ModelPackage) -> None:
    manifest = tiny_package.manifest
    assert "run `python -m trainers.calibrate`" in calibration_section(
        manifest.model_copy(update={"calibration": None})
    )
    vectors, labels = dogs(8)
    made = calibrate(vectors, labels, np.arange(len(labels)))
    text = calibration_section(manifest.model_copy(update={"calibration": made}))
    assert "even odds" in text
    assert f"expected calibration error {made.error:.3f}" in text
    assert text.count("\n| 0.") == len(made.curve)
