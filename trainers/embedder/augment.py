"""Two looks at one dog: random views that change everything but the dog."""

from __future__ import annotations

import cv2
import numpy as np

from immich_dog_plugin.geometry import ImageArray, resize

from ..keypoints.augment import distort


def random_view(photo: ImageArray, other: ImageArray, side: int, random: np.random.Generator) -> ImageArray:
    """A random view ``(side, side, 3)`` of ``photo``, at times with its borders taken from the photo ``other``."""
    view = resize(random_crop(photo, random), side, side)
    if random.random() < 0.5:
        view = np.ascontiguousarray(view[:, ::-1])
    if random.random() < 0.5:
        view = turn(view, angle=float(random.uniform(-20, 20)))
    if random.random() < 0.4:
        view = change_borders(view, resize(other, side, side), random)
    view = distort(view, random)
    if random.random() < 0.3:
        view = cut_out(view, random)
    return view


def random_crop(photo: ImageArray, random: np.random.Generator) -> ImageArray:
    """A part of the photo: 35 to 100 % of its area, its sides changed by up to a fifth against each other."""
    height, width = photo.shape[:2]
    share, stretch = np.sqrt(random.uniform(0.35, 1.0)), np.sqrt(random.uniform(0.8, 1.25))
    part_width, part_height = int(width * min(share * stretch, 1)), int(height * min(share / stretch, 1))
    x, y = random.integers(0, width - part_width + 1), random.integers(0, height - part_height + 1)
    return photo[y : y + part_height, x : x + part_width]


def turn(view: ImageArray, angle: float) -> ImageArray:
    """Turned by ``angle`` degrees about its centre; the corners are filled with mirrored pixels."""
    height, width = view.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    turned = cv2.warpAffine(view, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(turned, dtype=np.uint8)


def change_borders(view: ImageArray, other: ImageArray, random: np.random.Generator) -> ImageArray:
    """The view in a soft ellipse, around it the blurred ``other`` or one colour.

    What surrounds a dog is the same in two views of one photo, and another on another day.
    """
    height, width = view.shape[:2]
    centre, axes = random.uniform(0.42, 0.58, size=2), random.uniform(0.38, 0.55, size=2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = np.hypot((x / width - centre[0]) / axes[0], (y / height - centre[1]) / axes[1])
    inside = np.clip((1.15 - radius) / 0.3, 0, 1)[:, :, None]
    if random.random() < 0.7:
        around = cv2.GaussianBlur(other, (0, 0), float(random.uniform(1, 10))).astype(np.float32)
    else:
        around = np.broadcast_to(random.uniform(0, 255, size=3).astype(np.float32), view.shape)
    return np.asarray(inside * view + (1 - inside) * around).astype(np.uint8)


def cut_out(view: ImageArray, random: np.random.Generator) -> ImageArray:
    """A grey rectangle, up to 45 % wide and high, somewhere (DeVries and Taylor, 2017, "Cutout")."""
    height, width = view.shape[:2]
    high, wide = (random.uniform(0.15, 0.45, size=2) * (height, width)).astype(int)
    y, x = random.integers(0, height - high), random.integers(0, width - wide)
    holed = view.copy()
    holed[y : y + high, x : x + wide] = 128
    return holed
