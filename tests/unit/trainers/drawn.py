"""Small drawn pictures and trees of them, so that tests need no photo that somebody took."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from immich_dog_plugin.geometry import ImageArray
from trainers.data.entries import Entry


def drawn_photo(seed: int, width: int = 80, height: int = 60) -> ImageArray:
    """Blobs of colour; another seed looks quite different."""
    blobs = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def write_photo(file: Path, photo: ImageArray | int) -> Path:
    """Write a picture, or the one drawn from a seed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = drawn_photo(photo) if isinstance(photo, int) else photo
    assert cv2.imwrite(str(file), image[:, :, ::-1])
    return file


def disc(side: int, radius: float) -> ImageArray:
    """A mask ``(side, side)`` that is all dog in a circle around the middle, with a soft edge of two pixels."""
    y, x = np.mgrid[0:side, 0:side] - (side - 1) / 2
    return np.asarray(np.clip((radius + 1 - np.hypot(x, y)) / 2, 0, 1) * 255, dtype=np.uint8)


def entry(file: Path, label: int | None, **known: str) -> Entry:
    """An entry whose dog is named by its label."""
    dog = None if label is None else f"dog{label}"
    fields = {"breed_label": None, "source_group": file.name, "set": "drawn", "licence": "ours", "dog": dog}
    return Entry(file_path=file, identity_label=label, **{**fields, **known})
