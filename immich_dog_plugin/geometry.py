"""Where pixels go: letterbox, box crops and the upright face chip.

The trainers and the served stages call the same functions, so a network sees in service exactly what it
was trained on. Everything here is numpy and OpenCV; images are RGB ``uint8`` of shape ``(height, width, 3)``,
boxes are ``x1 y1 x2 y2`` in pixels, points are ``(..., 2)`` as ``x y``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

ImageArray = NDArray[np.uint8]
FloatArray = NDArray[np.float32]

# "Left" is the image's left: no annotation tells a dog's own left reliably, and a mirrored photo stays valid.
KEYPOINT_NAMES = ("left_eye", "right_eye", "left_ear", "right_ear", "nose")
LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR, NOSE = range(5)
FLIP_ORDER = (RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR, NOSE)

OPENCV_MAX_SIDE = 32767  # of what cv2.warpAffine takes; a panorama may be longer
LETTERBOX_GREY = 114  # ultralytics trains with this fill


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Maps between a photo and the square canvas it was letterboxed onto: ``canvas = photo * scale + (left, top)``."""

    scale_x: float
    scale_y: float
    left: int
    top: int

    def to_canvas(self, points: FloatArray) -> FloatArray:
        """Photo pixels ``(..., 2)`` to canvas pixels."""
        return (points * (self.scale_x, self.scale_y) + (self.left, self.top)).astype(np.float32)

    def to_photo(self, points: FloatArray) -> FloatArray:
        """Canvas pixels ``(..., 2)`` to photo pixels."""
        return ((points - (self.left, self.top)) / (self.scale_x, self.scale_y)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class FaceChipRule:
    """Where the two eyes land in a square face chip, as fractions of its side.

    The left eye lies at ``(0.5 - eye_distance / 2, eye_height)``, the right eye at its mirror image. The wish is a
    chip that holds the ears and the chin, which for most breeds is an eye distance of about a quarter of the side.
    """

    eye_distance: float
    eye_height: float


def resize(image: ImageArray, width: int, height: int) -> ImageArray:
    """Resize as a mipmap does: average blocks of 2 x 2 while the image is twice too large, then bilinearly.

    No pixel is skipped, so fur does not alias, at a tenth of what area averaging to any size costs.
    """
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        image = halved(image)
    if image.shape[:2] == (height, width):
        return image
    # One side may still be far too large (a panorama squashed to a square): bilinear steps would skip pixels there.
    shrinks_much = image.shape[1] >= 2 * width or image.shape[0] >= 2 * height
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks_much else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def halved(image: ImageArray) -> ImageArray:
    """Blocks of 2 x 2 pixels averaged; a last odd row or column is left out."""
    even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    return np.asarray(cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def letterbox(image: ImageArray, side: int, fill: int = LETTERBOX_GREY) -> tuple[ImageArray, Letterbox]:
    """Scale ``image`` to fit a ``side`` x ``side`` canvas without distortion and centre it on grey.

    The rounding is ultralytics' own (``LetterBox`` with ``auto=False, scaleup=True``), because the detector is
    trained behind it. The two scales differ only by the rounding to whole pixels, which matters for slim photos.
    """
    height, width = image.shape[:2]
    scale = min(side / height, side / width)
    inner_width = max(1, round(width * scale))
    inner_height = max(1, round(height * scale))
    left = round((side - inner_width) / 2 - 0.1)
    top = round((side - inner_height) / 2 - 0.1)
    canvas = np.full((side, side, 3), fill, dtype=np.uint8)
    canvas[top : top + inner_height, left : left + inner_width] = resize(image, inner_width, inner_height)
    return canvas, Letterbox(inner_width / width, inner_height / height, left, top)


def clip_boxes(boxes: FloatArray, width: int, height: int) -> FloatArray:
    """Clip boxes ``(n, 4)`` to a photo of ``width`` x ``height`` pixels."""
    return np.clip(boxes, 0, (width, height, width, height)).astype(np.float32)


def largest_box(boxes: FloatArray) -> int:
    """The index of the box of ``(n, 4)`` with the largest area: the dog that a photo's name means.

    Not the surest: a detector can be surer of a dog cut by the photo's edge than of the one that was photographed.

    >>> largest_box(np.array([[0, 0, 9, 9], [0, 0, 10, 20], [5, 5, 9, 9]], dtype=np.float32))
    1
    """
    return int(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).argmax())


def whole_box(box: FloatArray, width: int, height: int) -> tuple[int, int, int, int]:
    """A box as whole pixels ``x1 y1 x2 y2`` inside the photo and at least one pixel wide and high."""
    x1 = min(max(int(np.floor(box[0])), 0), width - 1)
    y1 = min(max(int(np.floor(box[1])), 0), height - 1)
    x2 = min(max(int(np.ceil(box[2])), x1 + 1), width)
    y2 = min(max(int(np.ceil(box[3])), y1 + 1), height)
    return x1, y1, x2, y2


def crop_box(image: ImageArray, box: FloatArray, padding: float) -> tuple[ImageArray, tuple[int, int]]:
    """Cut ``box``, grown on every side by ``padding`` times its longer side, clipped to the photo.

    Returns the crop (a view) and the photo coordinates ``(x, y)`` of its upper left corner.
    """
    x1, y1, x2, y2 = grown_box(box, padding, image.shape[1], image.shape[0])
    return image[y1:y2, x1:x2], (x1, y1)


def grown_box(box: FloatArray, padding: float, width: int, height: int) -> tuple[int, int, int, int]:
    """``box`` grown on every side by ``padding`` times its longer side, as whole pixels inside the photo."""
    margin = padding * max(float(box[2] - box[0]), float(box[3] - box[1]))
    grown = np.asarray(box, dtype=np.float32) + np.array((-margin, -margin, margin, margin), dtype=np.float32)
    return whole_box(grown, width, height)


def face_chip(image: ImageArray, keypoints: FloatArray, side: int, rule: FaceChipRule) -> ImageArray:
    """Cut the face so that both eyes land where ``rule`` says: upright, ``side`` x ``side`` pixels.

    Args:
        image: the photo.
        keypoints: ``(5, 2)`` or ``(5, 3)`` in photo pixels, in the order of ``KEYPOINT_NAMES``.
        side: side of the chip in pixels.
        rule: where the eyes land.

    Raises:
        ValueError: both eyes at the same place, which leaves the turn and the scale undefined.
    """
    left, right = keypoints[LEFT_EYE, :2].astype(np.float64), keypoints[RIGHT_EYE, :2].astype(np.float64)
    across = right - left
    distance = float(np.hypot(*across))
    if distance < 1e-3:
        raise ValueError("the two eyes lie at the same place: no face chip can be cut")
    scale = rule.eye_distance * side / distance
    cos, sin = across / distance * scale
    turn = np.array([[cos, sin], [-sin, cos]])  # rotates the line of the eyes to the horizontal
    target = np.array([0.5, rule.eye_height]) * side
    matrix = np.column_stack([turn, target - turn @ ((left + right) / 2)])
    # A chip far smaller than its source would alias: shrink the photo's part first, then turn it.
    shrink = int(min(8, max(1, 1 / (2 * scale)))) if scale < 0.5 else 1
    if shrink > 1 or max(image.shape) >= OPENCV_MAX_SIDE:
        image, offset = _around_chip(image, matrix, side)
        matrix[:, 2] += matrix[:, :2] @ np.array(offset, dtype=np.float64)
        small = resize(image, max(1, image.shape[1] // shrink), max(1, image.shape[0] // shrink))
        ratio = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        # Area averaging puts a small pixel's centre at the centre of the block it averages.
        matrix[:, 2] += matrix[:, :2] @ ((ratio - 1) / 2)
        matrix[:, :2] *= ratio
        image = small
    fill = (LETTERBOX_GREY, LETTERBOX_GREY, LETTERBOX_GREY)
    chip = cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=fill
    )
    return np.asarray(chip, dtype=np.uint8)


def to_tensor(images: Sequence[ImageArray], mean: Sequence[float], std: Sequence[float]) -> FloatArray:
    """Stack RGB images of one size into ``(n, 3, height, width)`` float32 as ``(pixel / 255 - mean) / std``."""
    height, width = images[0].shape[:2]
    batch = np.empty((len(images), 3, height, width), dtype=np.float32)
    # Plane by plane: OpenCV splits channels thirty times faster than numpy transposes them.
    for planes, image in zip(batch, images, strict=True):
        for plane, channel, centre, spread in zip(planes, cv2.split(image), mean, std, strict=True):
            # One pass from bytes to numbers; numpy would make two.
            cv2.addWeighted(channel, 1 / (255 * spread), channel, 0, -centre / spread, dst=plane, dtype=cv2.CV_32F)
    return batch


def _around_chip(image: ImageArray, matrix: NDArray[np.float64], side: int) -> tuple[ImageArray, tuple[int, int]]:
    """The part of the photo under the chip, with its upper left corner: no need to shrink the rest."""
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], dtype=np.float64)
    in_photo = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    box = np.concatenate([in_photo.min(axis=0), in_photo.max(axis=0)]).astype(np.float32)
    part, corner = crop_box(image, box, padding=0.05)
    return part, corner
