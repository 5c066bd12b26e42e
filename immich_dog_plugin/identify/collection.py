"""All dogs of a folder, as every later step reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..geometry import FloatArray
from ..scan import Failure, LeftOut


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo, however many identical files and copies of it there are.

    Attributes:
        id: its row in the store.
        files: keys of the files that hold it, in natural order.
        name: the dog that the folder of its first file in a subfolder names, or ``None``.
        copies: keys of files that hold it in a smaller size, another format, or slightly cropped or edited.
        turned: degrees clockwise by which it was turned to be looked at: 0, 90 or 270.
    """

    id: int
    files: tuple[str, ...]
    name: str | None
    copies: tuple[str, ...] = ()
    turned: int = 0


@dataclass(frozen=True, slots=True)
class Detection:
    """One dog in one photo.

    Attributes:
        id: its row in the store.
        photo: where it is.
        number: 0 for the dog of the largest score in its photo.
        name: the photo's name for the largest dog of the photo, ``None`` for the others: the name can be meant
            for one of them only.
        box: ``x1 y1 x2 y2`` in photo pixels.
        score: the detector's, 0..1.
        crop: the part that was embedded, ``face``, ``body`` or ``both``.
    """

    id: int
    photo: Photo
    number: int
    name: str | None
    box: tuple[float, float, float, float]
    score: float
    crop: str

    @property
    def keys(self) -> tuple[str, ...]:
        """``file#number`` for every file of the photo."""
        return tuple(f"{file}#{self.number}" for file in self.photo.files)

    @property
    def key(self) -> str:
        """``file#number`` of the first file."""
        return f"{self.photo.files[0]}#{self.number}"


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """What the analysis of a folder found.

    Attributes:
        detections: every dog of every photo, in natural order of the photos.
        embeddings: ``(n, dimension)`` float32 of unit length, a row for each of ``detections``.
        photos: every photo that could be read, once.
        failures: files that could not be used, and those whose debug picture could not be written.
        left_out: files that are no photos, and folders that hold none of their own.
        contents: how many different contents those files have; a photo and its smaller copy are two.
        computed: how many contents this run analysed; the others were known.
        conflicts: photos whose files and copies lie in folders of different names.
    """

    detections: list[Detection]
    embeddings: FloatArray
    photos: list[Photo]
    failures: list[Failure]
    left_out: list[LeftOut]
    contents: int
    computed: int
    conflicts: list[Photo]

    @property
    def files(self) -> int:
        """How many photo files could be read."""
        return sum(len(photo.files) + len(photo.copies) for photo in self.photos)

    @property
    def without_dog(self) -> list[Photo]:
        """Photos in which no dog was found."""
        with_dog = {detection.photo.id for detection in self.detections}
        return [photo for photo in self.photos if photo.id not in with_dog]

    def without_names(self) -> Collection:
        """The same dogs and photos, and no folder has named any of them."""
        photos = {photo.id: replace(photo, name=None) for photo in self.photos}
        detections = [replace(one, photo=photos[one.photo.id], name=None) for one in self.detections]
        return replace(self, detections=detections, photos=list(photos.values()), conflicts=[])

    @property
    def photo_ids(self) -> NDArray[np.int64]:
        """``(n,)``: the photo of each detection. Two dogs of one photo are never the same dog."""
        return np.array([detection.photo.id for detection in self.detections], dtype=np.int64)
