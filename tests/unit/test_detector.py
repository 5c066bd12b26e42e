"""The detector's stage behind a session that answers chosen boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from immich_dog_plugin.manifest import DetectionSpec, InputSpec
from immich_dog_plugin.stages.detector import Detections, Detector

SIDE = 64
ANIMALS = ("dog", "cat", "other animal")
SPEC = DetectionSpec(
    sha256="0" * 64,
    input=InputSpec(name="images", side=SIDE, mean=(0, 0, 0), std=(1, 1, 1), resize="letterbox"),
    output="output0",
    classes=ANIMALS,
    min_score=0.5,
    iou_threshold=0.6,
    max_dogs=10,
)
ONE_CLASS = DetectionSpec.model_validate(SPEC.model_dump(exclude={"classes"}))
Box = tuple[float, float, float, float]


class Answers:
    """A session whose graph answers ``boxes`` (corners, in input pixels) with the scores of their classes."""

    def __init__(self, boxes: Sequence[Box], scores: Sequence[Sequence[float]]) -> None:
        corners, by_class = np.float32(boxes).reshape(-1, 4), np.float32(scores).reshape(len(boxes), -1)
        centred = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
        self._output = np.concatenate([centred, by_class], axis=1).T[None]

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]:
        return [self._output]


def detect(
    boxes: Sequence[Box],
    scores: Sequence[Sequence[float]],
    spec: DetectionSpec = SPEC,
    size: tuple[int, int] = (SIDE, SIDE),
    min_score: float | None = None,
) -> Detections:
    """The dogs of a photo of ``size`` (width, height); by default a pixel of it is one of the graph's input."""
    photo = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    return Detector(Answers(boxes, scores), spec)(photo, min_score)


def dogs(*scores: float) -> list[tuple[float, float, float]]:
    """Scores of dogs that are surely no other animals."""
    return [(score, 0.0, 0.0) for score in scores]


def beside(iou: float) -> list[Box]:
    """Two boxes 20 x 20 of that overlap, one right of the other."""
    shift = 20 * (1 - iou) / (1 + iou)
    return [(5, 5, 25, 25), (5 + shift, 5, 25 + shift, 25)]


def test_dogs_that_overlap_little_are_several_and_the_surest_comes_first() -> None:
    found = detect([(0, 0, 20, 20), (30, 30, 50, 50), (10, 0, 30, 20)], dogs(0.6, 0.9, 0.7))
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.6])
    np.testing.assert_allclose(found.boxes, [(30, 30, 50, 50), (10, 0, 30, 20), (0, 0, 20, 20)], atol=1e-4)


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_of_two_boxes_that_overlap_more_than_the_manifest_allows_the_surer_stays(threshold: float) -> None:
    spec = SPEC.model_copy(update={"iou_threshold": threshold})
    found = detect(beside(threshold + 0.02), dogs(0.7, 0.8), spec)
    np.testing.assert_allclose(found.scores, [0.8])
    np.testing.assert_allclose(found.boxes, beside(threshold + 0.02)[1:], atol=1e-4)
    assert len(detect(beside(threshold - 0.02), dogs(0.7, 0.8), spec)) == 2


def test_no_more_dogs_are_answered_than_the_manifest_says() -> None:
    boxes = [(5 * place, 0, 5 * place + 4, 4) for place in range(12)]
    scores = dogs(*(0.6 + 0.01 * place for place in range(12)))
    found = detect(boxes, scores)
    np.testing.assert_allclose(found.scores, sorted((row[0] for row in scores), reverse=True)[:10], rtol=1e-6)


def test_other_animals_do_not_count_as_dogs_of_the_manifests_number() -> None:
    boxes = [(5 * place, 0, 5 * place + 4, 4) for place in range(12)]
    cats_and_dogs = [(0.0, 0.9, 0.0)] * 11 + dogs(0.6)
    np.testing.assert_allclose(detect(boxes, cats_and_dogs).boxes, [(55, 0, 59, 4)], atol=1e-4)


def test_a_box_over_the_border_ends_there() -> None:
    found = detect([(-10, -5, 30, 80)], dogs(0.9))
    np.testing.assert_allclose(found.boxes, [(0, 0, 30, SIDE)], atol=1e-4)


def test_a_box_in_the_grey_around_the_photo_is_gone() -> None:
    # A photo twice as wide as high lies in rows 16 to 48 of the input.
    found = detect([(10, 0, 30, 14), (10, 20, 30, 40)], dogs(0.9, 0.8), size=(2 * SIDE, SIDE))
    np.testing.assert_allclose(found.scores, [0.8])
    np.testing.assert_allclose(found.boxes, [(20, 8, 60, 48)], atol=1e-4)


def test_a_score_at_the_limit_counts_and_one_below_does_not() -> None:
    assert len(detect([(0, 0, 20, 20)], dogs(0.5))) == 1
    assert len(detect([(0, 0, 20, 20)], dogs(0.499))) == 0


def test_a_limit_of_zero_is_one_and_not_the_manifests() -> None:
    boxes: list[Box] = [(0, 0, 20, 20), (30, 30, 50, 50)]
    assert len(detect(boxes, dogs(0.01, 0.6), min_score=0)) == 2
    assert len(detect(boxes, dogs(0.01, 0.6))) == 1


@pytest.mark.parametrize("other", [1, 2])
def test_a_place_that_is_more_of_another_animal_is_no_dog(other: int) -> None:
    scores = [0.8, 0.0, 0.0]
    scores[other] = 0.9
    assert len(detect([(0, 0, 20, 20)], [scores])) == 0
    scores[other] = 0.7
    np.testing.assert_allclose(detect([(0, 0, 20, 20)], [scores]).scores, [0.8])


def test_a_surer_cat_at_the_same_place_removes_the_dog() -> None:
    assert len(detect(beside(0.8), [(0.7, 0.1, 0.0), (0.1, 0.8, 0.0)])) == 0
    assert len(detect(beside(0.8), [(0.9, 0.1, 0.0), (0.1, 0.8, 0.0)])) == 1


def test_of_a_cat_beside_a_dog_only_the_dog_is_answered() -> None:
    found = detect([(0, 0, 30, 60), (32, 0, 62, 60)], [(0.4, 0.9, 0.0), (0.8, 0.1, 0.0)])
    np.testing.assert_allclose(found.scores, [0.8])
    np.testing.assert_allclose(found.boxes, [(32, 0, 62, 60)], atol=1e-4)


def test_a_cat_below_the_limit_leaves_the_dog_below_it_out_too() -> None:
    assert len(detect(beside(0.8), [(0.3, 0.0, 0.0), (0.0, 0.4, 0.0)], min_score=0.2)) == 0


def test_a_package_that_knows_dogs_only_answers_as_it_did() -> None:
    assert ONE_CLASS.classes == ("dog",)
    found = detect(beside(0.8), [[0.7], [0.9]], ONE_CLASS)
    np.testing.assert_allclose(found.scores, [0.9])


def test_a_photo_without_an_animal_has_no_dog() -> None:
    found = detect([(0, 0, 20, 20)], dogs(0.0))
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == (0,)


@pytest.mark.parametrize("classes", [(), ("cat", "dog"), ("dog", "cat", "cat")])
def test_a_manifest_whose_first_class_is_not_the_dog_is_refused(classes: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="the first class must be 'dog'"):
        DetectionSpec.model_validate(SPEC.model_dump() | {"classes": classes})
