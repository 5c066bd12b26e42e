"""Stage 1: where are the dogs?"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import ModelPackageError
from ..geometry import FloatArray, clip_boxes, letterbox, to_tensor
from ..manifest import DetectionSpec
from ..pyramid import Pyramid
from .session import Session, run


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Dogs of one photo, largest score first.

    Attributes:
        boxes: ``(n, 4)`` float32, ``x1 y1 x2 y2`` in photo pixels, inside the photo.
        scores: ``(n,)`` float32 in 0..1.
    """

    boxes: FloatArray
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.boxes)


class Detector:
    """Finds dogs with a one-class YOLO graph."""

    def __init__(self, session: Session, spec: DetectionSpec) -> None:
        self._session = session
        self._spec = spec

    def __call__(self, photo: Pyramid, min_score: float | None = None) -> Detections:
        """Detect the dogs of one photo.

        Args:
            photo: with the halvings that the stages share.
            min_score: least score in 0..1 that counts; the manifest's by default.

        Raises:
            ModelPackageError: the graph's answer is not finite.
        """
        height, width = photo.height, photo.width
        level, span = photo.level(width, height, self._spec.input.side)
        canvas, mapping = letterbox(level, self._spec.input.side)
        tensor = to_tensor([canvas], self._spec.input.mean, self._spec.input.std)
        predictions = run(self._session, self._spec, tensor)[0]  # (5, anchors)
        if not np.isfinite(predictions).all():
            # No dog would be found, which is an answer too: Immich's server deletes the dogs that are left out of one.
            raise ModelPackageError(
                "The detection model answers numbers that are not finite", "Verify it with: immich-dogs models"
            )
        scores = predictions[4]
        candidates = np.flatnonzero(scores >= (self._spec.min_score if min_score is None else min_score))
        centre, size, scores = predictions[:2, candidates].T, predictions[2:4, candidates].T, scores[candidates]
        corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        keep = _non_maximum_suppression(corners, scores, self._spec.iou_threshold)[: self._spec.max_dogs]
        boxes = span * mapping.to_photo(corners[keep].reshape(-1, 2, 2)).reshape(-1, 4)
        boxes = clip_boxes(boxes, width, height)
        # A box in the grey border around the photo shrinks to nothing when it is clipped.
        real = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
        return Detections(boxes[real], scores[keep][real].astype(np.float32))


def _non_maximum_suppression(boxes: FloatArray, scores: FloatArray, iou_threshold: float) -> list[int]:
    """Indices of the boxes ``(n, 4)`` that survive, largest score first."""
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), score_threshold=0.0, nms_threshold=iou_threshold)
    return [int(index) for index in kept]
