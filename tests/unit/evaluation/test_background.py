from __future__ import annotations

import numpy as np
import pytest

from immich_dog_plugin.evaluation.background import (
    AROUND,
    WHOLE,
    WITH_DOG,
    background_check,
    background_pictures,
)
from immich_dog_plugin.geometry import LETTERBOX_GREY, FloatArray
from immich_dog_plugin.manifest import CropSpec, FaceChipSpec
from immich_dog_plugin.pipeline import cut
from immich_dog_plugin.pyramid import Pyramid
from tests.unit.identify.conftest import unit_rows

BODY = CropSpec(
    preference=("body",), body_padding=0.25, face=FaceChipSpec(eye_distance=0.3, eye_height=0.4), reason="a test"
)
LABELS, GROUPS = np.repeat(np.arange(8), 5), np.arange(40)


def around(centre: FloatArray, noise: float, seed: int) -> FloatArray:
    """Rows near ``centre``."""
    random = np.random.default_rng(seed)
    return unit_rows(centre + noise * random.normal(size=centre.shape))


def test_the_dog_is_grey_and_everything_around_it_is_as_it_was() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    box = np.array([20, 10, 60, 50], dtype=np.float32)
    pictures = background_pictures(photo, box, None, BODY, 64)
    (whole,), (crop,) = pictures[WHOLE], pictures[AROUND]
    inside = np.zeros((60, 80), dtype=bool)
    inside[10:50, 20:60] = True
    assert (whole[inside] == LETTERBOX_GREY).all()
    assert (whole[~inside] == photo[~inside]).all()
    assert crop.shape == cut(Pyramid(photo), box, None, "body", BODY, 64)[0].shape  # the same frame
    assert (crop == cut(Pyramid(whole), box, None, "body", BODY, 64)[0]).all()
    assert (photo[30, 40] != LETTERBOX_GREY).any()  # the photo itself is not painted


def test_a_face_crop_keeps_its_frame() -> None:
    spec = BODY.model_copy(update={"preference": ("face", "body")})
    photo = np.full((80, 80, 3), 200, dtype=np.uint8)
    keypoints = np.array([[30, 30, 1], [50, 30, 1], [25, 15, 1], [55, 15, 1], [40, 45, 1]], dtype=np.float32)
    (crop,) = background_pictures(photo, np.array([30, 30, 50, 50], dtype=np.float32), keypoints, spec, 64)[AROUND]
    assert crop.shape == (64, 64, 3)
    assert (crop[32, 32] == LETTERBOX_GREY).all()
    assert (crop[5, 5] == 200).all()


def test_a_photo_that_is_cut_to_the_dog_has_no_background() -> None:
    photo = np.full((80, 80, 3), 200, dtype=np.uint8)
    for side, shown in ((80, {}), (77, {}), (70, {AROUND, WHOLE})):
        box = np.array([0, 0, side, 80], dtype=np.float32)
        assert set(background_pictures(photo, box, None, BODY, 64)) == set(shown)


def test_a_background_that_is_the_dog_again_survives_whole() -> None:
    full = around(np.eye(8)[LABELS], 0.1, seed=1)
    found = background_check(full, {"copy": full}, LABELS, GROUPS)
    survives = found["copy"].survives
    assert survives is not None
    assert (survives.value, survives.low) == (pytest.approx(1), pytest.approx(1, abs=0.5))
    assert found["copy"].auc == found[WITH_DOG].auc
    assert found[WITH_DOG].survives is None


def test_of_a_background_that_tells_nothing_nothing_survives() -> None:
    full = around(np.eye(8)[LABELS], 0.1, seed=1)
    noise = around(np.zeros((40, 8)), 1.0, seed=2)
    found = background_check(full, {"noise": noise}, LABELS, GROUPS)["noise"]
    assert found.auc.low is not None
    assert found.auc.high is not None
    assert found.auc.low < 0.5 < found.auc.high
    assert found.survives is not None
    assert abs(found.survives.value) < 0.1


def test_the_share_that_survives_is_one_margin_over_the_other() -> None:
    # With its dog a photo is its own dog's direction: margin 1. The background of the first four dogs is one sofa, that
    # of the others another: genuine pairs 1, impostor pairs 1 within a sofa (12 of 28 pairs of dogs) and 0 between.
    sofa = np.eye(2)[LABELS // 4]
    found = background_check(np.eye(8)[LABELS], {"sofa": sofa}, LABELS, GROUPS)
    assert found["sofa"].margin.value == pytest.approx(1 - 12 / 28)
    assert found["sofa"].survives is not None
    assert found["sofa"].survives.value == pytest.approx(1 - 12 / 28)
    assert found["sofa"].auc.value == pytest.approx(1 - 12 / 28 / 2)


def test_a_rate_of_one_percent_is_not_read_off_few_pairs() -> None:
    few = LABELS < 3
    full = around(np.eye(8)[LABELS], 0.1, seed=1)[few]
    found = background_check(full, {"copy": full}, LABELS[few], GROUPS[few])
    assert found["copy"].tar_at_1_percent is None
