"""Where the dogs are in photos that train, as a package's own detector and keypoints see them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from immich_dog_plugin.files import whole_file
from immich_dog_plugin.geometry import FloatArray

from .entries import DataError

FOUND = Path("runs/found.json")
MADE_BY = "Look for dogs with: python -m trainers.data.find_dogs"
Point = tuple[float, float, float]


class Place(BaseModel):
    """Where the largest dog of a photo is.

    Attributes:
        box: ``x1 y1 x2 y2`` in pixels; None where the detector found no dog.
        face: ``x, y, score`` of the points in the order of ``KEYPOINT_NAMES``; None where no face is visible.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    box: tuple[float, float, float, float] | None
    face: tuple[Point, Point, Point, Point, Point] | None

    def box_in(self, width: int, height: int) -> FloatArray:
        """The box ``(4,)``; all of a photo of ``width`` x ``height`` pixels where no dog was found."""
        return np.array(self.box or (0, 0, width, height), dtype=np.float32)

    @property
    def keypoints(self) -> FloatArray | None:
        """The points of the face ``(5, 3)``."""
        return None if self.face is None else np.array(self.face, dtype=np.float32)


Places = Mapping[str, Place]  # by ``key`` of the photo
NOWHERE = Place(box=None, face=None)
_FILE = TypeAdapter(dict[str, Place])


def key(photo: Path) -> str:
    """What a photo is known by: its content, so that one that moves is still known."""
    return hashlib.md5(photo.read_bytes(), usedforsecurity=False).hexdigest()


def place_of(photo: Path, places: Places) -> Place:
    """Where the dog of a photo is.

    Raises:
        DataError: nobody has looked for it.
    """
    try:
        return places[key(photo)]
    except KeyError as error:
        raise DataError(f"Nobody has looked for the dog in {photo}", MADE_BY) from error


def write_places(file: Path, places: Places) -> None:
    """Write all places; a file of that name is replaced whole.

    Raises:
        OutputError: the folder cannot be written.
    """
    with whole_file(file) as partial:
        partial.write_bytes(_FILE.dump_json(dict(places)))


def read_places(file: Path = FOUND) -> dict[str, Place]:
    """Read what ``python -m trainers.data.find_dogs`` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        return _FILE.validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{file} is missing", MADE_BY) from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise DataError(f"{file} does not say where dogs are ({fault['msg']})", MADE_BY) from error
