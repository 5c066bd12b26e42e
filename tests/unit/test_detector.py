"""The detector's stage behind a session that answers chosen boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from immich_dog_plugin.errors import ModelPackageError
from immich_dog_plugin.manifest import DetectionSpec, InputSpec
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.detector import Detections, Detector

SIDE = 64
SPEC = DetectionSpec(
    sha256="0" * 64,
    input=InputSpec(name="images", side=SIDE, mean=(0, 0, 0), std=(1, 1, 1), resize="letterbox"),
    output="output0",
    min_score=0.5,
    iou_threshold=0.6,
    max_dogs=10,
)
Box = tuple[float, float, float, float]


class Answers:
    """A session whose graph answers ``boxes`` (corners, in input pixels) with their scores."""

    def __init__(self, boxes: Sequence[Box], scores: Sequence[float]) -> None:
        corners, column = np.float32(boxes).reshape(-1, 4), np.float32(scores).reshape(-1, 1)
        centred = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
        self._output = np.concatenate([centred, column], axis=1).T[None]

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]:
        return [self._output]


def detect(
    boxes: Sequence[Box],
    scores: Sequence[float],
    spec: DetectionSpec = SPEC,
    size: tuple[int, int] = (SIDE, SIDE),
    min_score: float | None = None,
) -> Detections:
    """The dogs of a photo of ``size`` (width, height); by default a pixel of it is one of the graph's input."""
    photo = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    return Detector(Answers(boxes, scores), spec)(Pyramid(photo), min_score)


def beside(iou: float) -> list[Box]:
    """Two boxes 20 x 20 of that overlap, one right of the other."""
    shift = 20 * (1 - iou) / (1 + iou)
    return [(5, 5, 25, 25), (5 + shift, 5, 25 + shift, 25)]


def test_dogs_that_overlap_little_are_several_and_the_surest_comes_first() -> None:
    found = detect([(0, 0, 20, 20), (30, 30, 50, 50), (10, 0, 30, 20)], [0.6, 0.9, 0.7])
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.6])
    np.testing.assert_allclose(found.boxes, [(30, 30, 50, 50), (10, 0, 30, 20), (0, 0, 20, 20)], atol=1e-4)


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_of_two_boxes_that_overlap_more_than_the_manifest_allows_the_surer_stays(threshold: float) -> None:
    spec = SPEC.model_copy(update={"iou_threshold": threshold})
    found = detect(beside(threshold + 0.02), [0.7, 0.8], spec)
    np.testing.assert_allclose(found.scores, [0.8])
    np.testing.assert_allclose(found.boxes, beside(threshold + 0.02)[1:], atol=1e-4)
    assert len(detect(beside(threshold - 0.02), [0.7, 0.8], spec)) == 2


def test_no_more_dogs_are_answered_than_the_manifest_says() -> None:
    boxes = [(5 * place, 0, 5 * place + 4, 4) for place in range(12)]
    scores = [0.6 + 0.01 * place for place in range(12)]
    found = detect(boxes, scores)
    np.testing.assert_allclose(found.scores, sorted(scores, reverse=True)[:10], rtol=1e-6)


def test_a_box_over_the_border_ends_there() -> None:
    found = detect([(-10, -5, 30, 80)], [0.9])
    np.testing.assert_allclose(found.boxes, [(0, 0, 30, SIDE)], atol=1e-4)


def test_a_box_in_the_grey_around_the_photo_is_gone() -> None:
    # A photo twice as wide as high lies in rows 16 to 48 of the input.
    found = detect([(10, 0, 30, 14), (10, 20, 30, 40)], [0.9, 0.8], size=(2 * SIDE, SIDE))
    np.testing.assert_allclose(found.scores, [0.8])
    np.testing.assert_allclose(found.boxes, [(20, 8, 60, 48)], atol=1e-4)


def test_a_score_at_the_limit_counts_and_one_below_does_not() -> None:
    assert len(detect([(0, 0, 20, 20)], [0.5])) == 1
    assert len(detect([(0, 0, 20, 20)], [0.499])) == 0


def test_a_limit_of_zero_is_one_and_not_the_manifests() -> None:
    boxes: list[Box] = [(0, 0, 20, 20), (30, 30, 50, 50)]
    assert len(detect(boxes, [0.01, 0.6], min_score=0)) == 2
    assert len(detect(boxes, [0.01, 0.6])) == 1


def test_a_photo_without_an_animal_has_no_dog() -> None:
    found = detect([(0, 0, 20, 20)], [0.0])
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == (0,)


@pytest.mark.parametrize(("box", "score"), [((1, 2, 30, 40), np.nan), ((1, np.inf, 30, 40), 0.1)])
def test_an_answer_that_is_not_finite_is_no_photo_without_a_dog(box: Box, score: float) -> None:
    with pytest.raises(ModelPackageError, match="not finite"):
        detect([box], [score])
