"""Errors of the face points on held-out dogs: ``python -m trainers.keypoints.measure``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from immich_dog_plugin.evaluation.metrics import auc
from immich_dog_plugin.evaluation.pairs import Pairs
from immich_dog_plugin.geometry import KEYPOINT_NAMES, LEFT_EYE, NOSE, RIGHT_EYE, FloatArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.keypoints import KeypointEstimator

from ..data.landmarks import AnnotatedDog, read_landmarks
from ..specs import KEYPOINT
from ..torch_session import TorchSession
from .network import ExportedKeypoints
from .trained import load_trained

FACE = (LEFT_EYE, RIGHT_EYE, NOSE)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Annotated points ``expected (n, 5, 3)`` beside the found ones ``found (n, 5, 3)``, in photo pixels."""

    expected: FloatArray
    found: FloatArray

    @property
    def has_face(self) -> NDArray[np.bool_]:
        """Whether both eyes and the nose are annotated, ``(n,)``."""
        return np.asarray((self.expected[:, FACE, 2] > 0).all(axis=1))

    @property
    def face_scores(self) -> FloatArray:
        """What "a face is visible" is decided by: the least score of both eyes and the nose, ``(n,)``."""
        return np.asarray(self.found[:, FACE, 2].min(axis=1), dtype=np.float32)


def estimate(estimator: KeypointEstimator, dogs: Sequence[AnnotatedDog]) -> Answers:
    """The points of every dog from its annotated box, through serving's stage."""
    found = [estimator(Pyramid(read_photo(dog.photo)), dog.box[None])[0] for dog in track(dogs, description="Points")]
    return Answers(np.stack([dog.points for dog in dogs]), np.stack(found))


def relative_errors(answers: Answers) -> FloatArray:
    """Distances ``(n, 5)`` as a fraction of the distance between the annotated eyes.

    NaN where the point is not annotated, and for dogs without both eyes.
    """
    eyes = answers.expected[:, RIGHT_EYE, :2] - answers.expected[:, LEFT_EYE, :2]
    both = (answers.expected[:, [LEFT_EYE, RIGHT_EYE], 2] > 0).all(axis=1)
    scale = np.where(both, np.linalg.norm(eyes, axis=1), np.nan)
    return (_distances(answers) / scale[:, None]).astype(np.float32)


def errors_by_eyes_to_nose(answers: Answers) -> FloatArray:
    """Distances ``(n, 5)`` as a fraction of the distance from the middle of the eyes to the nose; NaN as above.

    Steadier than the eye distance, which shrinks to nothing in profile.
    """
    middle = answers.expected[:, [LEFT_EYE, RIGHT_EYE], :2].mean(axis=1)
    length = np.linalg.norm(middle - answers.expected[:, NOSE, :2], axis=1)
    return (_distances(answers) / np.where(answers.has_face, length, np.nan)[:, None]).astype(np.float32)


def _distances(answers: Answers) -> FloatArray:
    distances = np.linalg.norm(answers.found[:, :, :2] - answers.expected[:, :, :2], axis=2)
    return np.where(answers.expected[:, :, 2] > 0, distances, np.nan).astype(np.float32)


def figures(answers: Answers, min_face_score: float) -> dict[str, Any]:
    """Errors and how well a visible face is told from none."""
    errors, steady = relative_errors(answers), errors_by_eyes_to_nose(answers)
    scores, truth = answers.face_scores, answers.has_face
    record: dict[str, Any] = {
        "dogs": len(truth),
        "median_error_of_eye_distance": float(np.nanmedian(errors)),
        "median_error_of_eyes_to_nose": float(np.nanmedian(steady)),
        "per_point_of_eye_distance": {
            name: float(np.nanmedian(errors[:, index])) for index, name in enumerate(KEYPOINT_NAMES)
        },
        "share_of_points_within_a_quarter_of_the_eye_distance": float((errors[~np.isnan(errors)] < 0.25).mean()),
        "face_found_of_those_with_a_face": float((scores[truth] >= min_face_score).mean()),
    }
    if not truth.all():
        record["face_found_of_those_without"] = float((scores[~truth] >= min_face_score).mean())
        record["face_auc"] = auc(Pairs(scores[truth], scores[~truth]))
    return record


def best_face_threshold(answers: Answers) -> float:
    """The score at which "a face is visible" is right most often, counting dogs with and without a face alike."""
    candidates = np.linspace(0.05, 0.95, 91)
    truth, scores = answers.has_face, answers.face_scores
    balanced = [((scores[truth] >= t).mean() + (scores[~truth] < t).mean()) / 2 for t in candidates]
    return float(np.round(candidates[int(np.argmax(balanced))], 2))


def main() -> None:
    """Print the figures of the trained network: val for choosing, test for reporting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args()
    estimator = KeypointEstimator(TorchSession(ExportedKeypoints(load_trained())), KEYPOINT)
    dogs = read_landmarks(args.data)
    for split in ("val", "test"):
        for source in ("faye", "beagle_faces"):
            answers = estimate(estimator, [dog for dog in dogs if (dog.split, dog.source) == (split, source)])
            print(split, source, figures(answers, KEYPOINT.min_face_score))
            if split == "val" and source == "faye":
                print("best face threshold", best_face_threshold(answers))


if __name__ == "__main__":
    main()
