"""Stage 2: where are a dog's eyes, ears and nose?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry import LEFT_EYE, NOSE, RIGHT_EYE, FloatArray, ImageArray, Letterbox, letterbox, to_tensor
from ..manifest import KeypointSpec
from ..pyramid import Pyramid
from .session import Session, run

MIN_EYES_APART = 2.0  # photo pixels; closer, the turn and scale of a face chip would be noise


class KeypointEstimator:
    """Finds the face points of every detected dog, all dogs of a photo in one batch.

    With ``close_up_padding`` it looks twice: at the whole dog, then at the face that it found there. The face fills
    little of a whole dog, so the second look places the points; what is visible, both looks say alike.
    """

    def __init__(self, session: Session, spec: KeypointSpec) -> None:
        self._session = session
        self._spec = spec

    def __call__(self, photo: Pyramid, boxes: FloatArray) -> FloatArray:
        """Points ``(n, 5, 3)`` for boxes ``(n, 4)``: x, y in photo pixels and the score 0..1 of being visible."""
        if len(boxes) == 0:
            return np.empty((0, len(self._spec.names), 3), dtype=np.float32)
        points = self._look(photo, boxes, self._spec.padding)
        # Points that are not finite are no face (``has_face``), and there is nothing to look at more closely.
        if self._spec.close_up_padding is not None and np.isfinite(points).all():
            faces = np.stack([close_up(found[:, :2], self._spec.close_up_padding) for found in points])
            near = self._look(photo, faces, padding=0)
            points = np.dstack([near[:, :, :2], (points[:, :, 2] + near[:, :, 2]) / 2])
        return points

    def _look(self, photo: Pyramid, boxes: FloatArray, padding: float) -> FloatArray:
        views = [keypoint_input(photo, box, self._spec.input.side, padding) for box in boxes]
        canvases, mappings = zip(*views, strict=True)
        tensor = to_tensor(canvases, self._spec.input.mean, self._spec.input.std)
        points = run(self._session, self._spec, tensor)
        for index, mapping in enumerate(mappings):
            points[index, :, :2] = mapping.to_photo(points[index, :, :2])
        return points

    def has_face(self, keypoints: FloatArray) -> bool:
        """Whether both eyes and the nose of one dog ``(5, 3)`` are visible enough to cut a face chip."""
        if not np.isfinite(keypoints).all():
            return False
        eyes_apart = float(np.hypot(*(keypoints[RIGHT_EYE, :2] - keypoints[LEFT_EYE, :2])))
        scores = keypoints[[LEFT_EYE, RIGHT_EYE, NOSE], 2]
        return bool(scores.min() >= self._spec.min_face_score and eyes_apart >= MIN_EYES_APART)


@dataclass(frozen=True, slots=True)
class Cut:
    """Maps between a photo and the canvas that one of its dogs is cut onto.

    Attributes:
        letterbox: from the cut to the canvas.
        corner: ``x, y`` of the cut in the photo.
        span: photo pixels to a pixel of the cut.
    """

    letterbox: Letterbox
    corner: tuple[int, int]
    span: int

    def to_canvas(self, points: FloatArray) -> FloatArray:
        """Photo pixels ``(..., 2)`` to canvas pixels."""
        return self.letterbox.to_canvas(((points - self.corner) / self.span).astype(np.float32))

    def to_photo(self, points: FloatArray) -> FloatArray:
        """Canvas pixels ``(..., 2)`` to photo pixels."""
        return (self.letterbox.to_photo(points) * self.span + self.corner).astype(np.float32)


def keypoint_input(photo: Pyramid, box: FloatArray, side: int, padding: float) -> tuple[ImageArray, Cut]:
    """The canvas ``(side, side, 3)`` for one dog and how its points map back to the photo."""
    crop, corner, span = photo.crop(box, padding, side)
    canvas, mapping = letterbox(crop, side)
    return canvas, Cut(mapping, corner, span)


def close_up(points: FloatArray, padding: float) -> FloatArray:
    """The square box ``(4,)`` around ``points (n, 2)``, on each side ``padding`` times their longer extent wider."""
    low, high = points.min(axis=0), points.max(axis=0)
    half = (0.5 + padding) * float((high - low).max())
    centre = (low + high) / 2
    return np.concatenate([centre - half, centre + half]).astype(np.float32)
