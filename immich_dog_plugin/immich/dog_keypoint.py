"""Finds the face of each detected dog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from immich_ml.schemas import ModelIdentity, ModelTask, ModelType
from PIL import Image

from ..geometry import FloatArray
from ..manifest import Manifest
from ..pipeline import faces
from ..stages.detector import Detections
from ..stages.keypoints import KeypointEstimator
from ..stages.session import Session
from .dog_detector import DogDetector
from .model import DogModel, to_photo


@dataclass(frozen=True, slots=True, eq=False)
class DogFaces(Detections):
    """Detected dogs with their faces.

    Attributes:
        keypoints: for each dog ``(5, 3)`` float32: x, y in photo pixels and score; ``None`` where no face is visible.
    """

    keypoints: list[FloatArray | None]


class DogKeypoint(DogModel):
    """Answers the detector's answer with ``"keypoints"`` beside it to a request without recognition."""

    depends: ClassVar[list[ModelIdentity]] = [DogDetector.identity]
    identity = (ModelType.KEYPOINT, ModelTask.DOG_IDENTIFICATION)
    stage_name = "keypoint"

    def _build(self, session: Session, manifest: Manifest) -> None:
        self.estimate = KeypointEstimator(session, manifest.keypoint)

    def _predict(self, photo: Image.Image | str, detections: Detections, /, **_: Any) -> DogFaces:
        keypoints = self.estimate(to_photo(photo), detections.boxes)
        return DogFaces(detections.boxes, detections.scores, faces(self.estimate, keypoints))
