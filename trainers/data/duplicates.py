"""Photos that look the same: nothing that measures may be trained on, under whatever name it comes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_dog_plugin.geometry import ImageArray, resize
from immich_dog_plugin.imaging import PHOTO_SUFFIXES, read_photo

BITS = 64
SAME = 6  # bits that may differ after another size or JPEG quality


def difference_hash(image: ImageArray) -> NDArray[np.bool_]:
    """64 bits: is each cell of a 9 x 8 grey thumbnail darker than the cell right of it? (Krawetz' "dHash")"""
    thumbnail = resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None].repeat(3, axis=2), 9, 8)[:, :, 0]
    return np.asarray(thumbnail[:, :-1] < thumbnail[:, 1:]).reshape(BITS)


class SeenPhotos:
    """Hashes of photos that must not be trained on."""

    def __init__(self, files: Iterable[Path]) -> None:
        hashes = [difference_hash(read_photo(file)) for file in files]
        self._hashes = np.stack(hashes) if hashes else np.zeros((0, BITS), dtype=bool)

    def __contains__(self, image: ImageArray) -> bool:
        return bool(((self._hashes != difference_hash(image)).sum(axis=1) <= SAME).any())


def measuring_photos(data: Path) -> list[Path]:
    """The photos that measure: with and without dogs, and the validation and test dogs."""
    from .identity import read_identities

    folders = [data / "photos", data / "negatives"]
    files = [file for folder in folders for file in sorted(folder.rglob("*")) if file.suffix.lower() in PHOTO_SUFFIXES]
    return files + [photo.file for split in ("val", "test") for photo in read_identities(data, split)]
