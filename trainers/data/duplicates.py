"""Photos that look the same: nothing that measures may be trained on, under whatever name it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_dog_plugin.geometry import FloatArray, ImageArray, resize
from immich_dog_plugin.imaging import PHOTO_SUFFIXES, read_photo

BITS = 64
# Of the 18 million pairs of a Stanford Dogs photo and one that measures, 40 show the same picture, most of them
# squashed and saved anew: their hashes differ in up to 16 bits, their thumbnails correlate by at least 0.899. No other
# pair reaches 0.875.
CANDIDATE = 18
ALIKE = 0.88
_SIDE = 32


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What ``n`` photos look like.

    Attributes:
        hashes: ``(n, 8, 8)`` bool, see ``difference_hash``. Mirrored, the columns turn round and the bits turn over.
        thumbnails: ``(n, 32, 32)`` float32, grey, of mean 0 and length 1: their product is the correlation.
    """

    hashes: NDArray[np.bool_]
    thumbnails: FloatArray

    def rows(self, chosen: Sequence[int]) -> Looks:
        """Those of some of the photos."""
        return Looks(self.hashes[list(chosen)], self.thumbnails[list(chosen)])


def looks(images: Iterable[ImageArray]) -> Looks:
    """Hash and shrink every photo."""
    pairs = [(difference_hash(image), _thumbnail(image)) for image in images]
    return Looks(
        np.array([bits for bits, _ in pairs], dtype=bool).reshape(-1, 8, 8),
        np.array([thumbnail for _, thumbnail in pairs], dtype=np.float32).reshape(-1, _SIDE, _SIDE),
    )


def look_alikes(first: Looks, second: Looks) -> list[tuple[int, int]]:
    """Pairs ``(i, j)``: photo ``i`` of the first shows the same picture as photo ``j`` of the second, or its mirror.

    The hash finds candidates, the correlation of the thumbnails decides.
    """
    mirrored = Looks(~first.hashes[:, :, ::-1], first.thumbnails[:, :, ::-1])
    return sorted({*_alike(first, second), *_alike(mirrored, second)})


def _alike(first: Looks, second: Looks) -> Iterator[tuple[int, int]]:
    signs = 2 * second.hashes.reshape(-1, BITS).astype(np.float32) - 1
    for start in range(0, len(first.hashes), 1000):
        block = slice(start, start + 1000)
        agreeing = (2 * first.hashes[block].reshape(-1, BITS).astype(np.float32) - 1) @ signs.T
        rows, columns = np.nonzero(agreeing >= BITS - 2 * CANDIDATE)
        likeness = np.einsum("nij,nij->n", first.thumbnails[block][rows], second.thumbnails[columns])
        for row, column in zip(rows[likeness >= ALIKE], columns[likeness >= ALIKE], strict=True):
            yield start + int(row), int(column)


def difference_hash(image: ImageArray) -> NDArray[np.bool_]:
    """64 bits ``(8, 8)``: is a cell of a 9 x 8 grey thumbnail darker than the cell right of it? (Krawetz' "dHash")"""
    thumbnail = _grey(image, 9, 8)
    return np.asarray(thumbnail[:, :-1] < thumbnail[:, 1:])


def _thumbnail(image: ImageArray) -> FloatArray:
    values = _grey(image, _SIDE, _SIDE).astype(np.float32)
    values -= values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6), dtype=np.float32)


def _grey(image: ImageArray, width: int, height: int) -> ImageArray:
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return resize(grey[:, :, None].repeat(3, axis=2), width, height)[:, :, 0]  # it takes photos


class SeenPhotos:
    """Photos that must not be trained on: ``image in seen`` tells whether an image shows the same as one of them."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._looks = looks(read_photo(file) for file in files)

    def __contains__(self, image: ImageArray) -> bool:
        return bool(look_alikes(looks([image]), self._looks))


def measuring_photos(data: Path) -> list[Path]:
    """The photos that measure: with and without dogs, and the validation and test dogs."""
    from .identity import read_identities

    folders = [data / "photos", data / "negatives"]
    files = [file for folder in folders for file in sorted(folder.rglob("*")) if file.suffix.lower() in PHOTO_SUFFIXES]
    return files + [photo.file for split in ("val", "test") for photo in read_identities(data, split)]
