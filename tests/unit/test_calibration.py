from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from immich_dog_plugin.calibration import Calibration, expected_calibration_error, reliability_curve
from tests.tiny_package import CALIBRATION


def test_the_probability_is_the_logistic_function_of_the_cosine() -> None:
    # slope 10, intercept -5: even at 0.5, odds of 3 to 1 where 10 * cosine - 5 = ln 3
    cosines = np.array([0.5, 0.5 + math.log(3) / 10, 0.5 - math.log(3) / 10])
    assert CALIBRATION.probability(cosines) == pytest.approx([0.5, 0.75, 0.25])


def test_the_cosine_of_a_probability_has_that_probability() -> None:
    for probability in (0.01, 0.2, 0.5, 0.95):
        assert float(CALIBRATION.probability(CALIBRATION.cosine(probability))) == pytest.approx(probability)
    assert CALIBRATION.cosine(0.8) == pytest.approx(0.5 + math.log(4) / 10)


def test_a_larger_cosine_is_never_less_probable_and_a_steep_slope_overflows_nowhere() -> None:
    for slope in (10, 1e5):
        steep = CALIBRATION.model_copy(update={"slope": slope, "intercept": -slope / 2})
        probabilities = steep.probability(np.linspace(-1, 1, 401))
        assert np.all(np.diff(probabilities) >= 0)
        assert probabilities[0] < 0.01
        assert probabilities[-1] > 0.99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": 0}, "slope"),
        ({"unsure": (0.8, 0.2)}, "the first of unsure is larger"),
        ({"unsure": (0.2, 1)}, "unsure"),
        ({"surprise": 1}, "surprise"),
        ({"curve": [{"predicted": 0.5, "observed": 2, "weight": 1, "pairs": 1}]}, "observed"),
        ({"curve": [{"predicted": 0.5, "observed": 0.5, "weight": 1, "pairs": 1, "surprise": 1}]}, "surprise"),
    ],
)
def test_a_calibration_that_makes_no_sense_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Calibration.model_validate(CALIBRATION.model_dump() | change)


def test_a_calibration_survives_being_written_and_read() -> None:
    assert Calibration.model_validate_json(CALIBRATION.model_dump_json()) == CALIBRATION


def test_the_curve_is_the_weighted_share_of_each_bin() -> None:
    # 0.62 and 0.68 share a bin, and the first weighs three times the second
    curve = reliability_curve(np.array([0.62, 0.68, 0.1]), np.array([True, False, False]), np.array([3.0, 1.0, 4.0]))
    low, high = curve
    assert (low.predicted, low.observed, low.weight, low.pairs) == (pytest.approx(0.1), 0, 0.5, 1)
    assert (high.predicted, high.observed, high.weight, high.pairs) == (pytest.approx(0.635), 0.75, 0.5, 2)
    assert expected_calibration_error(curve) == pytest.approx(0.5 * 0.1 + 0.5 * (0.75 - 0.635))


def test_a_pair_that_was_not_drawn_is_in_no_bin_and_a_sure_one_in_the_last() -> None:
    (only,) = reliability_curve(np.array([1.0, 0.3]), np.array([True, True]), np.array([2.0, 0.0]))
    assert (only.predicted, only.observed, only.weight, only.pairs) == (1, 1, 1, 1)


def test_the_error_of_a_package_is_that_of_its_curve() -> None:
    assert CALIBRATION.error == pytest.approx(0.05)
