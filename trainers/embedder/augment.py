"""Two looks at one dog: random views that change everything but the dog."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from immich_dog_plugin.geometry import ImageArray, crop_box, resize

from ..keypoints.augment import distort
from .background import Backgrounds, change_background, resize_mask

CHANGED = 0.7  # of the views lie on another background


class RandomView:
    """A random view ``(side, side, 3)`` of a photo; all of it is drawn from torch's generator.

    Where the dog is known, the view shows it as a detector would cut it, at times only a part of it, and often on
    another background. Elsewhere a soft ellipse in the middle takes the place of the mask.

    Args:
        side: of the view in pixels.
        backgrounds: where the dog may be put.
    """

    def __init__(self, side: int, backgrounds: Backgrounds) -> None:
        self._side = side
        self._backgrounds = backgrounds

    def __call__(self, photo: ImageArray, alpha: ImageArray | None = None) -> ImageArray:
        """One view.

        Args:
            photo: ``(height, width, 3)``.
            alpha: how much of each pixel is dog, 0..255, ``(height, width)``; None where nobody knows.
        """
        # torch seeds every worker anew each epoch; numpy would repeat itself.
        random = np.random.default_rng(int(torch.randint(2**31, (1,))))
        view, mask = self._part(photo, alpha, random)
        if random.random() < CHANGED:
            mask = soft_ellipse(self._side, random) if mask is None else mask
            view = change_background(view, mask, self._backgrounds.draw(self._side, random))
        if random.random() < 0.5:
            view = turn(view, angle=float(random.uniform(-20, 20)))
        if random.random() < 0.5:
            view = np.ascontiguousarray(view[:, ::-1])
        view = distort(view, random)
        if random.random() < 0.3:
            view = cut_out(view, random)
        return view

    def _part(
        self, photo: ImageArray, alpha: ImageArray | None, random: np.random.Generator
    ) -> tuple[ImageArray, ImageArray | None]:
        """A random part of the photo and of its mask, both ``side`` x ``side``."""
        if alpha is None:
            cut = random_part(photo.shape[1], photo.shape[0], 0.35, random)
            return resize(photo[cut], self._side, self._side), None
        # One array, so that both are cut alike.
        both, _ = crop_box(
            np.dstack([photo, alpha]), np.array(_box(alpha), dtype=np.float32), float(random.uniform(-0.05, 0.25))
        )
        part = both[random_part(both.shape[1], both.shape[0], 0.5, random)]
        view = resize(np.ascontiguousarray(part[:, :, :3]), self._side, self._side)
        return view, resize_mask(part[:, :, 3], self._side)


def _box(alpha: ImageArray) -> tuple[int, int, int, int]:
    """The box around what is more dog than not, ``x1 y1 x2 y2``; the whole picture where nothing is."""
    x, y, width, height = cv2.boundingRect((alpha >= 128).astype(np.uint8))
    return (x, y, x + width, y + height) if width else (0, 0, alpha.shape[1], alpha.shape[0])


def random_part(width: int, height: int, least: float, random: np.random.Generator) -> tuple[slice, slice]:
    """A part of a picture: ``least`` to all of its area, its sides changed by up to a fifth against each other."""
    share, stretch = np.sqrt(random.uniform(least, 1.0)), np.sqrt(random.uniform(0.8, 1.25))
    part_width, part_height = (
        max(1, int(width * min(share * stretch, 1))),
        max(1, int(height * min(share / stretch, 1))),
    )
    x, y = int(random.integers(0, width - part_width + 1)), int(random.integers(0, height - part_height + 1))
    return slice(y, y + part_height), slice(x, x + part_width)


def turn(view: ImageArray, angle: float) -> ImageArray:
    """Turned by ``angle`` degrees about its centre; the corners are filled with mirrored pixels."""
    height, width = view.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    turned = cv2.warpAffine(view, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(turned, dtype=np.uint8)


def soft_ellipse(side: int, random: np.random.Generator) -> ImageArray:
    """A mask ``(side, side)`` for a dog of which nobody knows where it is: an ellipse around the middle."""
    centre, axes = random.uniform(0.42, 0.58, size=2), random.uniform(0.38, 0.55, size=2)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    radius = np.hypot((x - centre[0]) / axes[0], (y - centre[1]) / axes[1])
    return np.asarray(255 * np.clip((1.15 - radius) / 0.3, 0, 1)).astype(np.uint8)


def cut_out(view: ImageArray, random: np.random.Generator) -> ImageArray:
    """A grey rectangle, up to 45 % wide and high, somewhere (DeVries and Taylor, 2017, "Cutout")."""
    height, width = view.shape[:2]
    high, wide = (random.uniform(0.15, 0.45, size=2) * (height, width)).astype(int)
    y, x = random.integers(0, height - high), random.integers(0, width - wide)
    holed = view.copy()
    holed[y : y + high, x : x + wide] = 128
    return holed
