"""Random views of an annotated dog: turned, scaled, mirrored photo and a box as either look of serving gives it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from immich_dog_plugin.geometry import FLIP_ORDER, FloatArray, ImageArray
from immich_dog_plugin.stages.keypoints import close_up

from ..data.landmarks import AnnotatedDog


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A photo, a box in it and the points in its pixels."""

    photo: ImageArray
    box: FloatArray
    points: FloatArray


def random_view(dog: AnnotatedDog, photo: ImageArray, random: np.random.Generator) -> View:
    """One augmented view. Its box then goes through serving's own crop and letterbox."""
    box, points = random_box(dog, photo.shape[1], photo.shape[0], random)
    view = View(photo, box, points)
    if random.random() < 0.5:
        view = flip(view)
    if random.random() < 0.7:
        view = turn(view, angle=float(np.clip(random.normal(0, 15), -40, 40)))
    return View(distort(view.photo, random), view.box, view.points)


def random_box(
    dog: AnnotatedDog, width: int, height: int, random: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """A close-up (half of all), a box as the detector might give it, the whole photo, or a dog's part without face."""
    whole = np.array([0, 0, width, height], dtype=np.float32)
    seen = dog.points[dog.points[:, 2] > 0, :2]
    kind = random.random()
    if kind < 0.05 and len(seen):
        part = _part_without(seen, dog.box, random)
        if part is not None:
            return part, np.zeros_like(dog.points)
    if kind < 0.55 and len(seen) >= 3:
        box = grow(close_up(seen, padding=0), random.uniform(0.1, 0.7), random)
    elif kind < 0.62:
        box = whole
    elif dog.source == "beagle_faces":
        box = grow(dog.box, random.uniform(0.0, 1.0), random)
    else:
        box = grow(dog.box, random.uniform(-0.05, 0.1), random)
    return np.clip(box, 0, (width, height, width, height)).astype(np.float32), dog.points


def grow(box: FloatArray, share: float, random: np.random.Generator) -> FloatArray:
    """Move each side of a box outwards by ``share`` of the longer side, give or take 5 %."""
    longer = float(max(box[2] - box[0], box[3] - box[1]))
    margin = longer * (share + random.uniform(-0.05, 0.05, size=4))
    return (box + margin * (-1, -1, 1, 1)).astype(np.float32)


def _part_without(seen: FloatArray, box: FloatArray, random: np.random.Generator) -> FloatArray | None:
    """The part of a dog beside its face: the widest strip of its box that holds no point, or None if all are slim."""
    low, high = seen.min(axis=0), seen.max(axis=0)
    strips = np.array(
        [[box[0], box[1], low[0], box[3]], [high[0], box[1], box[2], box[3]], [box[0], high[1], box[2], box[3]]]
    )
    # A margin of 15 % keeps the fur around the outermost points out of the strip.
    margin = 0.15 * (box[2:] - box[:2])
    strips += np.array([[0, 0, -margin[0], 0], [margin[0], 0, 0, 0], [0, margin[1], 0, 0]])
    sides = np.minimum(strips[:, 2] - strips[:, 0], strips[:, 3] - strips[:, 1])
    wide = np.flatnonzero(sides > 40)
    return strips[random.choice(wide)].astype(np.float32) if len(wide) else None


def flip(view: View) -> View:
    """Mirror left and right; the points swap with their partners."""
    width = view.photo.shape[1]
    points = view.points[list(FLIP_ORDER)].copy()
    points[:, 0] = np.where(points[:, 2] > 0, width - points[:, 0], 0)
    box = np.array([width - view.box[2], view.box[1], width - view.box[0], view.box[3]], dtype=np.float32)
    return View(np.ascontiguousarray(view.photo[:, ::-1]), box, points)


def turn(view: View, angle: float) -> View:
    """Turn the photo by ``angle`` degrees about the centre of the box, which keeps its place and size."""
    centre = (view.box[:2] + view.box[2:]) / 2
    rotation = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), angle, 1.0)
    matrix = np.asarray(rotation, dtype=np.float64)
    points = view.points.copy()
    points[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    points[view.points[:, 2] == 0] = 0
    # Points count from the photo's edge, OpenCV's pixels from their centres.
    pixels = matrix.copy()
    pixels[:, 2] += matrix[:, :2] @ (0.5, 0.5) - (0.5, 0.5)
    size = (view.photo.shape[1], view.photo.shape[0])
    photo = cv2.warpAffine(view.photo, pixels, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return View(np.asarray(photo, dtype=np.uint8), view.box, points)


def distort(photo: ImageArray, random: np.random.Generator) -> ImageArray:
    """Random light, colour, blur and JPEG quality."""
    if random.random() < 0.8:
        pixels = photo.astype(np.float32)
        grey = pixels.mean(axis=2, keepdims=True)
        pixels = grey + (pixels - grey) * random.uniform(0.5, 1.4)  # saturation
        pixels = (pixels - 128) * random.uniform(0.6, 1.4) + 128 + random.uniform(-35, 35)
        photo = np.clip(pixels * random.uniform(0.92, 1.08, size=3), 0, 255).astype(np.uint8)
    if random.random() < 0.2:
        photo = np.asarray(cv2.GaussianBlur(photo, (0, 0), float(random.uniform(0.5, 1.8))), dtype=np.uint8)
    if random.random() < 0.2:
        _, encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 85))])
        photo = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return photo
