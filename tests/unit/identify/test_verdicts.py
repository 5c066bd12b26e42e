from __future__ import annotations

import math

import pytest

from immich_dog_plugin.identify.verdicts import Verdicts
from immich_dog_plugin.manifest import Manifest, Thresholds
from immich_dog_plugin.model_package import ModelPackage
from tests.tiny_package import CALIBRATION


@pytest.fixture
def manifest(tiny_package: ModelPackage) -> Manifest:
    thresholds = Thresholds(same_dog=0.8, far_1_percent=0.7, source="a test")
    return tiny_package.manifest.model_copy(update={"thresholds": thresholds})


def test_a_package_without_calibration_falls_back_to_its_thresholds(manifest: Manifest) -> None:
    verdicts = Verdicts.of(manifest)
    assert [verdicts(cosine) for cosine in (0.69, 0.7, 0.79, 0.8)] == ["different", "unsure", "unsure", "same"]
    assert verdicts.percent(0.8) == ""


def test_without_calibration_nothing_is_unsure_where_the_threshold_is_the_laxer(manifest: Manifest) -> None:
    lax = manifest.model_copy(update={"thresholds": Thresholds(same_dog=0.6, far_1_percent=0.7, source="a test")})
    verdicts = Verdicts.of(lax)
    assert [verdicts(cosine) for cosine in (0.59, 0.6)] == ["different", "same"]


def test_a_calibrated_package_is_unsure_between_the_cosines_of_its_two_probabilities(manifest: Manifest) -> None:
    verdicts = Verdicts.of(manifest.model_copy(update={"calibration": CALIBRATION}))
    low, high = 0.5 - math.log(4) / 10, 0.5 + math.log(4) / 10  # odds of 1 to 4 and of 4 to 1
    assert [verdicts(cosine) for cosine in (low - 1e-6, low + 1e-6, high - 1e-6, high + 1e-6)] == [
        "different",
        "unsure",
        "unsure",
        "same",
    ]
    assert verdicts.percent(0.5) == "50 %"
