from __future__ import annotations

import numpy as np
import pytest

from immich_dog_plugin.evaluation.bootstrap import Interval
from immich_dog_plugin.evaluation.household import Household
from immich_dog_plugin.model_package import ModelPackage
from tests.tiny_package import CALIBRATION
from trainers import choose
from trainers.choose import best_far, best_looks, chosen
from trainers.keypoints.measure import Answers

from .embedder_runs import figures


def test_a_new_choice_drops_the_calibration_of_the_crop_before(tiny_package: ModelPackage) -> None:
    before = tiny_package.manifest.model_copy(update={"calibration": CALIBRATION})
    measured = {"body": (before.crop, np.empty((0, 512), dtype=np.float32), figures(0.03, 0.9))}
    homes = {"body": [home(0.8, 0.04), home(0.7, 0.03)]}
    after = chosen(before, "body", measured, homes, before.thresholds)
    assert after.calibration is None
    assert "body 0.030" in after.crop.reason
    assert "body: photos one by one: 80.0% in one person of their own, 4.0% merged" in after.crop.reason


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


@pytest.mark.parametrize(("errors", "taken"), [((4, 1, 2), 0.35), ((4, 2, 1), 0.5), ((1, 2, 3), None)])
def test_the_keypoints_look_as_often_and_as_closely_as_errs_least(
    errors: tuple[int, ...],
    taken: float | None,
    tiny_package: ModelPackage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = np.array([[[40, 50, 1], [60, 50, 1], [0, 0, 0], [0, 0, 0], [50, 60, 1]]] * 2, dtype=np.float32)
    expected[1, :, 2] = 0  # shows no face
    error_of = dict(zip(choose.CLOSE_UPS, errors, strict=True))

    def estimate(estimator: object, dogs: object) -> Answers:
        found = expected.copy()
        found[:, :, 0] += error_of[estimator._spec.close_up_padding]  # type: ignore[attr-defined]
        found[:, :, 2] = [[0.7], [0.3]]
        return Answers(expected, found)

    monkeypatch.setattr(choose, "estimate", estimate)
    spec = best_looks(object(), tiny_package.manifest.keypoint, [])  # type: ignore[arg-type]
    assert spec.close_up_padding == taken
    assert 0.3 < spec.min_face_score <= 0.7
    assert f"one look: median error {errors[0] / 10:.3f} of eyes to nose" in capsys.readouterr().out
