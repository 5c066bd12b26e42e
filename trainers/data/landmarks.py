"""Dogs with annotated face points: the readers and the fixed split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from immich_dog_plugin.geometry import KEYPOINT_NAMES, FloatArray

Split = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedDog:
    """One dog of an annotated photo.

    Attributes:
        photo: file.
        source: ``"faye"`` (whole dogs) or ``"beagle_faces"`` (faces).
        box: ``(4,)`` float32, ``x1 y1 x2 y2``: the whole dog for faye, the face for beagle_faces.
        points: ``(5, 3)`` float32 in the order of ``KEYPOINT_NAMES``: x, y and 1, or zeros where not annotated.
    """

    photo: Path
    source: Literal["faye", "beagle_faces"]
    box: FloatArray
    points: FloatArray

    @property
    def split(self) -> Split:
        """By the photo's name, so that no photo is in two splits: 15 % test, 10 % val."""
        return split_of(self.photo.name)


def split_of(name: str) -> Split:
    """The split of a photo by a hash of its name: 15 % test, 10 % val, the rest train.

    >>> split_of("0A9YZ3Q2B4Z4.jpg")
    'train'
    """
    bucket = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100
    return "test" if bucket < 15 else "val" if bucket < 25 else "train"


def read_landmarks(data: Path) -> list[AnnotatedDog]:
    """Every annotated dog under ``<data>/keypoints``. Photos without exactly one box are left out (2 of 1,007)."""
    return [*_read(data / "keypoints", "faye"), *_read(data / "keypoints", "beagle_faces")]


def _read(folder: Path, source: Literal["faye", "beagle_faces"]) -> Iterator[AnnotatedDog]:
    for entry in json.loads((folder / source / "annotations.json").read_text()):
        boxes = entry["boxes"] if source == "faye" else [entry["face_box"]]
        if len(boxes) != 1:
            continue  # it is unknown to which dog the points belong
        yield AnnotatedDog(
            photo=folder / source / "images" / entry["image"],
            source=source,
            box=np.array(boxes[0], dtype=np.float32),
            points=_points(entry["keypoints"]),
        )


def _points(named: dict[str, list[float]]) -> FloatArray:
    points = np.zeros((len(KEYPOINT_NAMES), 3), dtype=np.float32)
    for index, name in enumerate(KEYPOINT_NAMES):
        # beagle_faces writes (0, 0) for a point that cannot be seen (62 points of 55 faces); faye leaves it out.
        if any(named.get(name, ())):
            points[index] = (*named[name], 1)
    return points
