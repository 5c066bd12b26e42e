"""A photo that lies on its side though its file does not say so: scans, screenshots, photos that lost their EXIF.

Where no dog is found upright, the photo is looked at turned. A look that is wrong sees dogs in anything, so more is
asked of it: a sure detection whose face is sure too. ``python -m harness.turned`` measures what that finds and what
it takes for dogs. Inside Immich nothing is turned: its server sends previews that are upright.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import LEFT_EYE, NOSE, RIGHT_EYE, FloatArray
from ..pipeline import Dog
from ..pyramid import Pyramid

MIN_SCORE, MIN_FACE_SCORE = 0.5, 0.8  # of a turned look
SIDE = 1440  # pixels of the photo's longer side: a preview, as Immich would send it
_QUARTERS = (1, 3)  # counter-clockwise; nobody stores a photo upside down, and that look errs most

FindDogs = Callable[[Pyramid, float | None], list[Dog]]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The dogs of a photo and how it was looked at.

    Attributes:
        dogs: boxes and points in pixels of the photo as it lies; "left" is the left of the turned picture.
        turned: degrees clockwise by which the photo was turned: 0, 90 or 270.
    """

    dogs: list[Dog]
    turned: int = 0


def look(find: FindDogs, photo: Pyramid, min_score: float) -> Look:
    """The dogs of a photo upright; where there is none, those of the turned look with the surest dog."""
    dogs = find(photo, min_score)
    if dogs:
        return Look(dogs)
    looks = [_turned(find, photo, quarters, max(min_score, MIN_SCORE)) for quarters in _QUARTERS]
    return max(looks, key=lambda one: max((dog.score for dog in one.dogs), default=0.0), default=Look([]))


def _turned(find: FindDogs, photo: Pyramid, quarters: int, min_score: float) -> Look:
    overview = photo.overview(SIDE)
    dogs = find(Pyramid(np.ascontiguousarray(np.rot90(overview, quarters))), min_score)
    scale = np.float32(photo.width / overview.shape[1])
    sure = [_back(dog, quarters, overview.shape[1], overview.shape[0], scale) for dog in dogs if _has_sure_face(dog)]
    return Look(sure, (-90 * quarters) % 360 if sure else 0)


def _has_sure_face(dog: Dog) -> bool:
    points = dog.keypoints
    return points is not None and float(points[[LEFT_EYE, RIGHT_EYE, NOSE], 2].min()) >= MIN_FACE_SCORE


def _back(dog: Dog, quarters: int, width: int, height: int, scale: np.float32) -> Dog:
    """A dog of the turned picture where it is in the photo as it lies."""
    corners = turned_back(dog.box.reshape(2, 2), quarters, width, height) * scale
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    if dog.keypoints is None:
        return replace(dog, box=box)
    points = turned_back(dog.keypoints[:, :2], quarters, width, height) * scale
    return replace(dog, box=box, keypoints=np.concatenate([points, dog.keypoints[:, 2:]], axis=1))


def turned_back(points: FloatArray, quarters: int, width: int, height: int) -> FloatArray:
    """Points ``(n, 2)`` of a picture that ``numpy.rot90`` turned, in the picture of ``width`` x ``height`` before.

    >>> turned_back(np.float32([[0, 0], [2, 1]]), 1, width=4, height=3).tolist()
    [[4.0, 0.0], [3.0, 2.0]]
    >>> turned_back(np.float32([[0, 0], [2, 1]]), 3, width=4, height=3).tolist()
    [[0.0, 3.0], [1.0, 1.0]]
    """
    x, y = points[:, 0], points[:, 1]
    back = (width - y, x) if quarters == 1 else (y, height - x)
    return np.stack(back, axis=1).astype(np.float32)
