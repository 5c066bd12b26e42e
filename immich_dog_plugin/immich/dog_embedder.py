"""Embeds each detected dog; its output is the answer of the task."""

from __future__ import annotations

from typing import Any, ClassVar

from immich_ml.schemas import ModelIdentity, ModelTask, ModelType
from PIL import Image

from ..contract import as_answer
from ..manifest import Manifest
from ..pipeline import embed_dogs
from ..stages.detector import Detections
from ..stages.embedder import Embedder
from ..stages.session import Session
from .dog_detector import DogDetector
from .dog_keypoint import DogFaces, DogKeypoint
from .model import DogModel, to_photo


class DogEmbedder(DogModel):
    """Answers the contract's list, largest score first; an empty one without a dog."""

    depends: ClassVar[list[ModelIdentity]] = [DogDetector.identity, DogKeypoint.identity]
    identity = (ModelType.RECOGNITION, ModelTask.DOG_IDENTIFICATION)
    stage_name = "recognition"

    def _build(self, session: Session, manifest: Manifest) -> None:
        self.embed = Embedder(session, manifest.recognition)
        self.crop = manifest.crop
        self.classifier = manifest.dog_classifier

    def _predict(
        self, photo: Image.Image | str, detections: Detections, faces: DogFaces, /, **_: Any
    ) -> list[dict[str, Any]]:
        pyramid = to_photo(photo, is_last=True)  # it depends on the other two
        dogs = embed_dogs(pyramid, detections, faces.keypoints, self.embed, self.crop, self.classifier)
        return [as_answer(dog, pyramid.width, pyramid.height) for dog in dogs]
