from __future__ import annotations

import numpy as np
import pytest

from immich_dog_plugin.evaluation.pairs import DogPairs
from immich_dog_plugin.evaluation.plots import reliability_plot
from immich_dog_plugin.evaluation.reliability import reliability
from tests.tiny_package import CALIBRATION


def pairs_of(cosines: list[float], dogs: list[int], impostor: float = 0.0) -> DogPairs:
    """Genuine pairs with these cosines, and an impostor pair between each two dogs."""
    first, second = np.triu_indices(max(dogs) + 1, k=1)
    order = np.argsort(cosines)
    return DogPairs(
        genuine=np.array(cosines)[order],
        genuine_photos=np.zeros((2, len(cosines)), dtype=np.int64),
        genuine_dogs=np.array(dogs)[order],
        impostor=np.full(len(first), impostor),
        impostor_photos=np.zeros((2, len(first)), dtype=np.int64),
        impostor_dogs=np.stack([first, second]),
        dogs=max(dogs) + 1,
    )


def test_both_kinds_of_pairs_and_all_dogs_of_the_first_weigh_the_same() -> None:
    # dog 0 has nine pairs with the cosine 0.5 (probability 0.5), dog 1 one with the cosine 1 (0.9933)
    found = reliability(pairs_of([0.5] * 9 + [1.0], [0] * 9 + [1]), CALIBRATION)
    impostor, middle, sure = found.curve
    assert [part.weight for part in found.curve] == pytest.approx([0.5, 0.25, 0.25])
    assert (impostor.observed, middle.observed, sure.observed) == (0, 1, 1)
    miss = 1 / (1 + np.exp(5))  # at the cosines 0 and 1 alike
    assert found.error.value == pytest.approx(0.5 * miss + 0.25 * 0.5 + 0.25 * miss)
    assert found.error.low is None  # two dogs


def test_a_probability_that_is_too_sure_has_the_larger_error_in_every_draw() -> None:
    # At the cosine 0.6 half of the pairs, by weight, show the same dog.
    pairs = pairs_of([0.6] * 6, list(range(6)), impostor=0.6)
    sure = CALIBRATION.model_copy(update={"slope": 100.0, "intercept": -50.0})
    modest, confident = reliability(pairs, CALIBRATION).error, reliability(pairs, sure).error
    assert [modest.value, modest.low, modest.high] == pytest.approx([1 / (1 + np.exp(-1)) - 0.5] * 3)
    assert [confident.value, confident.low, confident.high] == pytest.approx([1 / (1 + np.exp(-10)) - 0.5] * 3)


def test_the_plot_names_the_error() -> None:
    plot = reliability_plot(reliability(pairs_of([0.5, 1.0], [0, 1]), CALIBRATION)).decode()
    assert "<!-- predicted probability of the same dog -->" in plot
    assert "<!-- calibration error 0." in plot
