"""Masks of the dogs in photos: where they are kept, and which are good enough to be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from immich_dog_plugin.files import whole_file
from immich_dog_plugin.geometry import FloatArray, ImageArray, crop_box

from .found import key

MASKS = Path("runs/masks")
BODY_PADDING = 0.1  # of the crop around a dog in which the mask is looked for
SURE = 128  # at least so much of 255 of a pixel belongs to the dog


class Masks:
    """The masks of a folder, found by the content of their photos."""

    def __init__(self, folder: Path = MASKS) -> None:
        self.folder = folder

    def get(self, photo: Path) -> ImageArray | None:
        """How much of each pixel is dog, 0..255, ``(height, width)`` of the photo; None without a good mask."""
        return _read(self.file(photo, good=True))

    def any(self, photo: Path) -> ImageArray | None:
        """The same, but also a rejected mask; None where none was made yet."""
        mask = self.get(photo)
        return _read(self.file(photo, good=False)) if mask is None else mask

    def file(self, photo: Path, good: bool) -> Path:
        """Where the mask of a photo lies if it is good, or if it is rejected."""
        return self.folder / ("good" if good else "rejected") / f"{key(photo)}.png"

    def keep(self, photo: Path, mask: ImageArray, good: bool) -> None:
        """Write a mask; one that the photo had under the other verdict goes."""
        with whole_file(self.file(photo, good)) as partial:
            partial.write_bytes(cv2.imencode(".png", mask)[1].tobytes())
        self.file(photo, not good).unlink(missing_ok=True)


def _read(file: Path) -> ImageArray | None:
    if not file.is_file():
        return None
    mask = cv2.imdecode(np.frombuffer(file.read_bytes(), dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if mask is None else np.asarray(mask, dtype=np.uint8)


def mask_fault(alpha: ImageArray, box: FloatArray) -> str | None:
    """Why a mask ``(height, width)`` cannot be that of the dog in ``box`` ``(4,)``, None if it can.

    The box and the mask come from networks that know nothing of each other: where they agree, both are right.
    """
    sure = (alpha >= SURE).astype(np.uint8)
    area = int(sure.sum())
    crop, _ = crop_box(alpha, box, BODY_PADDING)
    width, height = box[2:] - box[:2]
    edge = np.concatenate([crop[0], crop[-1], crop[:, 0], crop[:, -1]])
    faults: dict[str, Callable[[], bool | np.bool_]] = {
        "covers too little": lambda: area < 0.2 * width * height,
        "covers all": lambda: area > 0.92 * crop.size,
        "unsure": lambda: ((crop > 50) & (crop < 205)).sum() > 0.25 * area,
        "in pieces": lambda: _largest_part(sure) < 0.9 * area,
        "another place": lambda: _overlap(cv2.boundingRect(sure), box) < 0.65,
        "open at the border": lambda: (edge >= SURE).mean() > 0.5,
    }
    return next((name for name, found in faults.items() if found()), None)


def _largest_part(sure: ImageArray) -> int:
    return int(cv2.connectedComponentsWithStats(sure)[2][1:, cv2.CC_STAT_AREA].max(initial=0))


def _overlap(rectangle: Sequence[int], box: FloatArray) -> float:
    """Intersection over union of ``x y width height`` and ``x1 y1 x2 y2``."""
    x, y, width, height = rectangle
    inside = max(0.0, min(box[2], x + width) - max(box[0], x)) * max(0.0, min(box[3], y + height) - max(box[1], y))
    return float(inside / (width * height + (box[2] - box[0]) * (box[3] - box[1]) - inside))
