from __future__ import annotations

import numpy as np

from immich_dog_plugin.evaluation.bootstrap import Interval
from immich_dog_plugin.evaluation.household import Household
from immich_dog_plugin.model_package import ModelPackage
from tests.tiny_package import CALIBRATION
from trainers.choose import best_far, chosen

from .embedder_runs import figures


def test_a_new_choice_drops_the_calibration_of_the_crop_before(tiny_package: ModelPackage) -> None:
    before = tiny_package.manifest.model_copy(update={"calibration": CALIBRATION})
    measured = {"body": (before.crop, np.empty((0, 512), dtype=np.float32), figures(0.03, 0.9))}
    after = chosen(before, "body", measured, before.crop, before.thresholds)
    assert after.calibration is None
    assert "body 0.030" in after.crop.reason


def home(one_person: float, merged: float) -> Household:
    """Shares that decide; the others are of no account."""
    of_dogs = {"never_grouped": 0.0, "split": 0.0, "strays": 0.0, "wrong": 0.0}
    shares = {"one_person": one_person, "merged": merged, **of_dogs}
    return Household(**{name: Interval(value, None, None) for name, value in shares.items()})


def test_of_the_rates_that_merge_few_dogs_the_one_with_most_dogs_in_one_person_wins() -> None:
    homes = {
        0.001: [home(0.4, 0.01), home(0.4, 0.01)],
        0.002: [home(0.5, 0.02), home(0.7, 0.08)],  # merges 0.05 on average
        0.003: [home(0.9, 0.06), home(0.9, 0.06)],
    }
    assert best_far(homes) == 0.002


def test_where_every_rate_merges_many_dogs_the_least_merging_one_wins() -> None:
    assert best_far({0.001: [home(0.5, 0.2)], 0.002: [home(0.6, 0.1)], 0.003: [home(0.7, 0.3)]}) == 0.002
