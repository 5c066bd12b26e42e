"""The face points of a dog, and when they are a face."""

from __future__ import annotations

import numpy as np
import pytest

from immich_dog_plugin.geometry import LEFT_EYE, NOSE, RIGHT_EYE, FloatArray
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.keypoints import MIN_EYES_APART, KeypointEstimator
from tests.tiny_package import red_dog_photo


class Answering:
    """Answers the same points, in pixels of the graph's input, to every picture."""

    def __init__(self, points: FloatArray) -> None:
        self.points = points

    def run(self, names, feed, options=None):  # type: ignore[no-untyped-def]
        (canvases,) = feed.values()
        return [np.repeat(self.points[None], len(canvases), axis=0)]


@pytest.fixture
def estimator(tiny_package: ModelPackage) -> KeypointEstimator:
    """Sees a face from a score of 0.5 on."""
    assert tiny_package.manifest.keypoint.min_face_score == 0.5
    return KeypointEstimator(Answering(face()), tiny_package.manifest.keypoint)


def face(eyes_apart: float = 20) -> FloatArray:
    """Five points of score 0.9."""
    places = [(32 - eyes_apart / 2, 30), (32 + eyes_apart / 2, 30), (20, 10), (44, 10), (32, 45)]
    return np.array([(*place, 0.9) for place in places], dtype=np.float32)


@pytest.mark.parametrize("point", range(5))
def test_a_face_needs_the_scores_of_both_eyes_and_of_the_nose_and_of_no_ear(
    estimator: KeypointEstimator, point: int
) -> None:
    points = face()
    points[point, 2] = 0.5
    assert estimator.has_face(points)
    points[point, 2] = 0.49
    assert estimator.has_face(points) == (point not in (LEFT_EYE, RIGHT_EYE, NOSE))


def test_eyes_that_lie_closer_than_a_chip_can_be_turned_by_are_no_face(estimator: KeypointEstimator) -> None:
    assert estimator.has_face(face(MIN_EYES_APART))
    for eyes_apart in (0, 1, MIN_EYES_APART - 0.01):
        assert not estimator.has_face(face(eyes_apart))
    upright = face(0)
    upright[RIGHT_EYE, 1] += MIN_EYES_APART
    assert estimator.has_face(upright)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_points_of_which_one_is_not_finite_are_no_face(estimator: KeypointEstimator, value: float) -> None:
    for place in range(15):
        points = face()
        points.flat[place] = value
        assert not estimator.has_face(points)


@pytest.mark.parametrize("eyes_apart", [0, 1])
def test_a_dog_whose_eyes_touch_is_embedded_by_its_body(tiny_package: ModelPackage, eyes_apart: float) -> None:
    photo = red_dog_photo([(64, 64, 96, 96)])
    stages = DogPipeline.open(tiny_package)
    estimator = KeypointEstimator(Answering(face(eyes_apart)), tiny_package.manifest.keypoint)
    (dog,) = DogPipeline(stages.detector, estimator, stages.embedder, tiny_package.manifest.crop)(photo)
    assert dog.crop == "body"
    assert dog.keypoints is None
    np.testing.assert_array_equal(dog.embedding, stages(photo)[0].embedding)


def test_a_second_look_sees_the_face_alone_and_places_its_points(tiny_package: ModelPackage) -> None:
    class Looking:
        """Puts all points around the brightest pixel, 2 % of the input apart."""

        def __init__(self) -> None:
            self.seen: list[float] = []

        def run(self, names, feed, options=None):  # type: ignore[no-untyped-def]
            (canvases,) = feed.values()
            grey = canvases.mean(axis=1)
            self.seen.append(float((grey[0] > grey[0].max() - 0.1).mean()))
            apart = 0.02 * grey.shape[1] * np.array([[-1, 0], [1, 0], [-1, -1], [1, -1], [0, 1]])
            places = [np.argwhere(look > look.max() - 0.1).mean(axis=0)[::-1] + 0.5 + apart for look in grey]
            scores = np.full((len(grey), 5, 1), (0.9, 0.5)[len(self.seen) - 1])
            return [np.concatenate([np.array(places), scores], axis=2).astype(np.float32)]

    photo = np.zeros((256, 256, 3), dtype=np.uint8)
    photo[100:104, 60:64] = 255
    spec = tiny_package.manifest.keypoint.model_copy(update={"close_up_padding": 0.5})
    session, box = Looking(), np.array([[0, 0, 256, 256]], dtype=np.float32)
    (points,) = KeypointEstimator(session, spec)(Pyramid(photo), box)
    # The outermost points lie 4 % of the dog apart. With half as much again on each side, and whole pixels, the
    # second look shows a tenth of the photo's side at most.
    first, second = session.seen
    assert second >= 100 * first
    np.testing.assert_allclose(points[:, :2].mean(axis=0), [62, 102], atol=0.5)
    assert np.ptp(points[:, 0]) < 0.1 * 0.04 * 256 * 1.5  # 2 % of the close-up, not of the dog
    np.testing.assert_allclose(points[:, 2], 0.7)


def test_points_that_are_not_finite_are_not_looked_at_again_and_are_no_face(tiny_package: ModelPackage) -> None:
    class Broken:
        runs = 0

        def run(self, names, feed, options=None):  # type: ignore[no-untyped-def]
            self.runs += 1
            return [np.full((1, 5, 3), np.nan, dtype=np.float32)]

    spec = tiny_package.manifest.keypoint.model_copy(update={"close_up_padding": 0.5})
    estimator = KeypointEstimator(session := Broken(), spec)
    (points,) = estimator(Pyramid(np.zeros((64, 64, 3), dtype=np.uint8)), np.array([[0, 0, 64, 64]], dtype=np.float32))
    assert session.runs == 1
    assert not estimator.has_face(points)
