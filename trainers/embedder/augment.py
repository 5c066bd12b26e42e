"""Two looks at one dog: random views that change everything but the dog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from immich_dog_plugin.geometry import (
    LEFT_EYE,
    RIGHT_EYE,
    FaceChipRule,
    FloatArray,
    ImageArray,
    crop_box,
    face_chip,
    resize,
)
from immich_dog_plugin.imaging import read_photo

from ..data.found import Places, key
from ..data.masks import Masks
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
        random = drawn_from_torch()
        view, mask = self._part(photo, alpha, random)
        if random.random() < CHANGED:
            mask = soft_ellipse(self._side, random) if mask is None else mask
            view = change_background(view, mask, self._backgrounds.draw(self._side, random))
        return changed(view, random)

    def twice(self, masks: Masks) -> Callable[[Path], list[ImageArray]]:
        """What makes two views of a photo, each with a background of its own: a shared one would tell the network that
        they belong together."""

        def views(file: Path) -> list[ImageArray]:
            photo, alpha = read_photo(file), masks.get(file)
            return [self(photo, alpha) for _ in range(2)]

        return views

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


class BodyAndFace:
    """Two views of a dog's body and two of its face, ``(side, side, 3)`` each, cut as in service but less exactly.

    All that body and face have in common is the dog: a face chip shows hardly anything of the place.

    Args:
        side: of the views in pixels.
        places: where the dogs are; a dog that is cut here has a face.
    """

    def __init__(self, side: int, places: Places) -> None:
        self._side = side
        self._places = places

    def __call__(self, file: Path) -> list[ImageArray]:
        """The views of the dog in a photo; all of them is drawn from torch's generator."""
        random, photo, place = drawn_from_torch(), read_photo(file), self._places[key(file)]
        if place.keypoints is None:
            raise ValueError(f"no face is known in {file}")
        box = place.box_in(photo.shape[1], photo.shape[0])
        bodies = [self._body(photo, box, random) for _ in range(2)]
        faces = [self._face(photo, place.keypoints, random) for _ in range(2)]
        return [changed(view, random) for view in (*bodies, *faces)]

    def _body(self, photo: ImageArray, box: FloatArray, random: np.random.Generator) -> ImageArray:
        body, _ = crop_box(photo, box, float(random.uniform(-0.05, 0.2)))
        return resize(body[random_part(body.shape[1], body.shape[0], 0.5, random)], self._side, self._side)

    def _face(self, photo: ImageArray, points: FloatArray, random: np.random.Generator) -> ImageArray:
        apart = np.hypot(*(points[RIGHT_EYE, :2] - points[LEFT_EYE, :2]))
        moved = points[:, :2] + random.normal(0, 0.06 * apart, size=points[:, :2].shape)
        rule = FaceChipRule(float(random.uniform(0.14, 0.26)), float(random.uniform(0.36, 0.48)))
        return face_chip(photo, np.asarray(moved, dtype=np.float32), self._side, rule)


def drawn_from_torch() -> np.random.Generator:
    """A generator seeded by torch's, which every worker seeds anew each epoch; numpy's own would repeat itself."""
    return np.random.default_rng(int(torch.randint(2**31, (1,))))


def changed(view: ImageArray, random: np.random.Generator) -> ImageArray:
    """Turned, mirrored, in another light, blurred and with a hole, each at times."""
    if random.random() < 0.5:
        view = turn(view, angle=float(random.uniform(-20, 20)))
    if random.random() < 0.5:
        view = np.ascontiguousarray(view[:, ::-1])
    view = distort(view, random)
    return cut_out(view, random) if random.random() < 0.3 else view


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
