"""Dogs as faces of Immich's People page: which box, whether it may be there at all, and the row of the answer.

What Immich's server does with an answer sets the rules: its boxes are integer columns, an embedding that is not 512
finite numbers loses all faces of the photo, and two boxes of an answer that overlap by more than 0.5 make every later
refresh of the photo fail. On a refresh a face is known again by its box alone, so the same photo must get the same box:
nothing here is random or remembers, and the server sends the same file again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from .contract import EMBEDDING_LENGTH
from .errors import ModelPackageError
from .geometry import KEYPOINT_NAMES, LEFT_EYE, NOSE, RIGHT_EYE, FloatArray, whole_box
from .manifest import Manifest
from .people_map import signed_power
from .settings import PeopleBox

Box = tuple[float, float, float, float]  # x1 y1 x2 y2 in photo pixels

FACES = "facial-recognition"  # Immich's task
MAX_IOU = 0.45  # the server takes two boxes above 0.5 for one face; the rest is for what it rounds
MIN_SIDE = 20  # pixels of the photo; less is no picture of anybody
# The side of a square head, in eye distances and in distances from the eyes' middle to the nose: the larger of the two,
# because a head that is turned or raised shortens one of them.
EYE_DISTANCES, NOSE_DISTANCES = 4.2, 2.6


def people_exponent(manifest: Manifest, max_distance: float) -> float:
    """The exponent that puts a package's ``same_dog`` at the server's distance.

    Raises:
        ModelPackageError: the package cannot serve the People page, or not at this distance.
    """
    if manifest.recognition.dimension != EMBEDDING_LENGTH:
        raise ModelPackageError(
            f"The embeddings of {manifest.name} {manifest.version} have {manifest.recognition.dimension} numbers, and "
            f"Immich's server stores {EMBEDDING_LENGTH}",
            "Put another model package there, or set IMMICH_DOGS_PEOPLE=off",
        )
    if manifest.people is None:
        raise ModelPackageError(
            f"{manifest.name} {manifest.version} does not say how far apart its dogs are for Immich's People page",
            "Use a newer package, measure it with `python -m trainers.calibrate --package FOLDER`, or set "
            "IMMICH_DOGS_PEOPLE=off",
        )
    return manifest.people.exponent(max_distance)


def dog_rows(
    dogs: Sequence[Mapping[str, Any]],
    humans: Sequence[Mapping[str, Any]],
    size: tuple[int, int],
    box: PeopleBox,
    exponent: float,
) -> list[dict[str, Any]]:
    """The dogs of a photo as rows to append to Immich's ``facial-recognition`` answer.

    A dog whose boxes both overlap with a human's or a surer dog's, or are too small, is left out.

    Args:
        dogs: entries of a ``dog-identification`` answer, surest first.
        humans: rows of Immich's own answer; they are only looked at.
        size: width and height of the photo.
        box: which box is tried first.
        exponent: of ``signed_power``.

    Raises:
        ModelPackageError: an embedding that Immich's server would refuse.
    """
    taken = [_corners(human) for human in humans]
    rows = []
    for dog in dogs:
        free = (
            candidate
            for candidate in _boxes(dog, size, box)
            if not any(overlap(candidate, other) > MAX_IOU for other in taken)
        )
        if (chosen := next(free, None)) is not None:
            taken.append(chosen)
            x1, y1, x2, y2 = chosen
            rows.append(
                {
                    "boundingBox": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
                    "embedding": mapped_embedding(dog["embedding"], exponent),
                    "score": dog["score"],
                }
            )
    return rows


def mapped_embedding(embedding: str, exponent: float) -> str:
    """An answer's embedding, a JSON array in a string, after ``signed_power``, in the same form.

    Raises:
        ModelPackageError: it is not of 512 numbers, or not all of the mapped ones are finite.
    """
    values = np.array(orjson.loads(embedding), dtype=np.float64)  # null, which stands for a NaN, becomes one
    mapped = signed_power(values.astype(np.float32), exponent)
    if mapped.shape != (EMBEDDING_LENGTH,) or not np.isfinite(mapped).all():
        raise ModelPackageError(
            f"A dog's embedding is not {EMBEDDING_LENGTH} finite numbers that are not all zero",
            "Put another model package there, or set IMMICH_DOGS_PEOPLE=off",
        )
    return orjson.dumps(mapped, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def head_box(keypoints: FloatArray, width: int, height: int) -> Box:
    """The square round eyes and nose, moved into the photo where it fits there and cut where it does not.

    Args:
        keypoints: ``(5, 2)`` or ``(5, 3)`` in photo pixels, in the order of ``KEYPOINT_NAMES``.
        width, height: of the photo.
    """
    left, right, nose = (keypoints[point, :2].astype(np.float64) for point in (LEFT_EYE, RIGHT_EYE, NOSE))
    eyes = (left + right) / 2
    side = max(EYE_DISTANCES * math.dist(left, right), NOSE_DISTANCES * math.dist(eyes, nose))
    low = (eyes + nose) / 2 - side / 2
    low = np.maximum(np.minimum(low, np.array((width, height)) - side), 0)
    return float(low[0]), float(low[1]), float(low[0] + side), float(low[1] + side)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union (IoU) of two boxes.

    >>> overlap((0, 0, 2, 2), (0, 1, 2, 3))
    0.3333333333333333
    """
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return float(shared / (sum(areas) - shared))


def _boxes(dog: Mapping[str, Any], size: tuple[int, int], first: PeopleBox) -> list[tuple[int, int, int, int]]:
    """The boxes that a dog may have, the one that is asked for first."""
    wanted = {"body": _corners(dog)}
    if dog["keypoints"] is not None:
        points = np.array([dog["keypoints"][name] for name in KEYPOINT_NAMES], dtype=np.float32)
        wanted["head"] = head_box(points, *size)
    names: tuple[PeopleBox, PeopleBox] = ("head", "body") if first == "head" else ("body", "head")
    boxes = [whole_box(np.array(wanted[name]), *size) for name in names if name in wanted]
    return [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= MIN_SIDE]


def _corners(row: Mapping[str, Any]) -> Box:
    x1, y1, x2, y2 = (float(row["boundingBox"][corner]) for corner in ("x1", "y1", "x2", "y2"))
    return x1, y1, x2, y2
