"""The same dog somewhere else: what surrounds a dog must not tell who it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from immich_dog_plugin.geometry import FloatArray, ImageArray, resize
from immich_dog_plugin.imaging import read_photo

from ..data.masks import Masks

PLAIN = 0.1  # share of backgrounds of one colour with coarse noise
PARTS = 12  # of a photo that are looked at


class Backgrounds:
    """Pictures without a dog: photos that may be trained on, their dog erased.

    Args:
        files: photos of dogs; those without a good mask are left out.
        masks: where their dogs are.
    """

    def __init__(self, files: Sequence[Path], masks: Masks) -> None:
        self._masks = masks
        self._files = [file for file in files if masks.file(file, good=True).is_file()]

    def draw(self, side: int, random: np.random.Generator) -> ImageArray:
        """One of them ``(side, side, 3)``: a part of a photo, at times mirrored or blurred."""
        if not self._files or random.random() < PLAIN:
            return _plain(side, random)
        file = self._files[int(random.integers(len(self._files)))]
        photo, alpha = read_photo(file), self._masks.get(file)
        if alpha is None:
            return _plain(side, random)
        place = _emptiest_part(resize(photo, side, side), resize_mask(alpha, side), random)
        if random.random() < 0.5:
            place = np.ascontiguousarray(place[:, ::-1])
        if random.random() < 0.3:
            place = np.asarray(cv2.GaussianBlur(place, (0, 0), float(random.uniform(1, 4))), dtype=np.uint8)
        return place


def _emptiest_part(photo: ImageArray, alpha: ImageArray, random: np.random.Generator) -> ImageArray:
    """Of some random parts of a square photo the one that shows least of the dog, which is erased; at full size.

    Where a dog was erased nothing is left to see, and a network would learn that a lively background is the dog's own.
    """
    side = len(alpha)
    sums = cv2.integral(_reached(alpha))

    def covered(part: tuple[int, int, int]) -> float:
        x, y, size = part
        inside = sums[y + size, x + size] - sums[y, x + size] - sums[y + size, x] + sums[y, x]
        return float(inside / size**2)

    sizes = (side * random.uniform(0.3, 0.8, size=PARTS)).astype(int)
    corners = (random.random(size=(PARTS, 2)) * (side - sizes + 1)[:, None]).astype(int)
    x, y, size = min(((int(x), int(y), int(size)) for (x, y), size in zip(corners, sizes, strict=True)), key=covered)
    place = erase(photo, alpha) if covered((x, y, size)) > 0 else photo
    return resize(np.ascontiguousarray(place[y : y + size, x : x + size]), side, side)


def change_background(photo: ImageArray, alpha: ImageArray, background: ImageArray) -> ImageArray:
    """The dog on another background; pixels that are all dog stay as they are.

    At the dog's edge, a pixel's colour is mixed with the old background's. There the colour of the dog beside it is
    laid over the new background instead, so that no seam of the old place remains.

    Args:
        photo: ``(height, width, 3)``.
        alpha: how much of each pixel is dog, 0..255, ``(height, width)``.
        background: ``(height, width, 3)``.
    """
    share = alpha.astype(np.float32) / 255
    shares, dog = cv2.merge([share] * 3), spread(photo, np.square(np.square(share)))
    return np.asarray(shares * dog + (1 - shares) * background + 0.5).astype(np.uint8)


def erase(photo: ImageArray, alpha: ImageArray) -> ImageArray:
    """The photo ``(height, width, 3)`` without its dog: the surroundings continue smoothly where it was."""
    kept = (_reached(alpha) == 0).astype(np.float32)
    return np.asarray(np.rint(spread(photo, kept))).astype(np.uint8)


def _reached(alpha: ImageArray) -> ImageArray:
    """1 where the dog is or is near, else 0: a soft edge and a shadow tell of a dog too."""
    reach = max(3, round(0.04 * max(alpha.shape)))
    return np.asarray(cv2.dilate(alpha, np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)) >= 25, dtype=np.uint8)


def spread(photo: ImageArray, weight: FloatArray) -> FloatArray:
    """The photo where ``weight`` ``(height, width)`` is 1, and where it is 0 the colours that are near.

    Pull and push: averages over ever larger blocks, weighted, fill what has no weight at the finer level (Gortler et
    al., 1996, "The lumigraph", section 3.4).
    """
    # numpy is slow where a last axis of length one is repeated.
    weights = np.asarray(cv2.merge([weight] * 3), dtype=np.float32)
    return _filled(photo * weights, weights)


def _filled(weighted: FloatArray, weights: FloatArray) -> FloatArray:
    """All three ``(height, width, 3)``."""
    height, width = weights.shape[:2]
    if min(height, width) <= 2:
        around = weighted.sum(axis=(0, 1)) / np.maximum(weights.sum(axis=(0, 1)), 1e-6)
    else:
        half = (width // 2, height // 2)
        coarse = _filled(
            np.asarray(cv2.resize(weighted, half, interpolation=cv2.INTER_AREA), dtype=np.float32),
            np.asarray(cv2.resize(weights, half, interpolation=cv2.INTER_AREA), dtype=np.float32),
        )
        around = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(weighted + (1 - weights) * around, dtype=np.float32)


def resize_mask(alpha: ImageArray, side: int) -> ImageArray:
    """A mask ``(height, width)`` scaled to ``side`` x ``side`` pixels, as ``resize`` scales its photo."""
    return np.ascontiguousarray(resize(np.repeat(alpha[:, :, None], 3, axis=2), side, side)[:, :, 0])


def _plain(side: int, random: np.random.Generator) -> ImageArray:
    """One colour with coarse noise, such as a wall or a road."""
    grain = random.normal(0, random.uniform(0, 25), size=(int(random.integers(4, 64)),) * 2 + (1,))
    coarse = np.clip(random.uniform(20, 235, size=3) + grain, 0, 255).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 255), dtype=np.uint8)
