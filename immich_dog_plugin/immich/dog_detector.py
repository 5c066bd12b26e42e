"""Finds the dogs of a photo."""

from __future__ import annotations

import math
from reprlib import repr as shortened
from typing import Any, ClassVar

from fastapi import HTTPException
from immich_ml.schemas import ModelIdentity, ModelTask, ModelType
from PIL import Image

from ..manifest import Manifest
from ..stages.detector import Detections, Detector
from ..stages.session import Session
from .model import DogModel, to_photo


class DogDetector(DogModel):
    """Answers ``{"boxes": [[x1, y1, x2, y2], ...], "scores": [...]}`` to a request for nothing else."""

    depends: ClassVar[list[ModelIdentity]] = []
    identity = (ModelType.DETECTION, ModelTask.DOG_IDENTIFICATION)
    stage_name = "detection"

    def _build(self, session: Session, manifest: Manifest) -> None:
        self.detect = Detector(session, manifest.detection)

    def _predict(self, photo: Image.Image | str, /, **options: Any) -> Detections:
        return self.detect(to_photo(photo), _checked_min_score(options.get("minScore")))


def _checked_min_score(value: Any) -> float | None:
    """The option ``minScore``; ``None`` stands for the manifest's.

    Raises:
        HTTPException: 422, it is no number from 0 to 1.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and 0 <= value <= 1):
        raise HTTPException(422, f"The option minScore is {shortened(value)}: it must be a number from 0 to 1")
    return float(value)
