"""Photos made of others, so that the detector knows a dog from near and from far: close-ups, and dogs pasted small."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from immich_dog_plugin.geometry import FloatArray, ImageArray, clip_boxes, crop_box, resize, whole_box
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.stages.keypoints import close_up as around

from ..data.landmarks import read_landmarks
from .examples import Example

CUT_INTO, LEFT_AROUND = 0.08, 0.15  # of the dog's own size, how far an edge of a close-up lies in or out of its box
FACE_PADDING = (0.3, 0.9)  # of the extent of the face points
FAR = (0.1, 0.35)  # the dog's longer side, of the shorter side of the photo that it is pasted into
PASTE_PADDING = 0.1
SOFT = 0.2  # of an ellipse's radius: there the pasted dog fades into the photo


def close_ups(examples: Iterable[Example], folder: Path, random: np.random.Generator) -> Iterator[Example]:
    """A tight cut around the one dog of each example, written to ``folder``."""
    for example in examples:
        cut, boxes = close_up(read_photo(example.file), example.boxes[0], random)
        yield made(f"near_{example.name}", cut, boxes, folder)


def face_close_ups(data: Path, folder: Path, random: np.random.Generator) -> Iterator[Example]:
    """A cut around the face of each annotated dog that trains and shows one, written to ``folder``."""
    for dog in read_landmarks(data):
        seen = dog.points[dog.points[:, 2] > 0, :2]
        if dog.split != "train" or len(seen) < 3:
            continue
        photo = read_photo(dog.photo)
        # Where only the face is annotated, the dog goes on around it.
        box = dog.box if dog.source == "faye" else np.array([0, 0, photo.shape[1], photo.shape[0]], dtype=np.float32)
        cut, boxes = cut_out(photo, around(seen, random.uniform(*FACE_PADDING)), box)
        yield made(f"face_{dog.source}_{dog.photo.stem}", cut, boxes, folder)


def far_dogs(
    examples: Iterable[Example], hosts: Sequence[Example], folder: Path, random: np.random.Generator
) -> Iterator[Example]:
    """The one dog of each example, pasted small into one of ``hosts``, which show none; written to ``folder``."""
    for example in examples:
        host = read_photo(hosts[int(random.integers(len(hosts)))].file)
        scene, boxes = far_away(read_photo(example.file), example.boxes[0], host, random)
        yield made(f"far_{example.name}", scene, boxes, folder)


def made(name: str, photo: ImageArray, boxes: FloatArray, folder: Path) -> Example:
    """An example whose photo is written to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.jpg"
    cv2.imwrite(str(file), photo[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return Example(file, name, (photo.shape[1], photo.shape[0]), boxes)


def close_up(photo: ImageArray, box: FloatArray, random: np.random.Generator) -> tuple[ImageArray, FloatArray]:
    """A tight cut around the dog in ``box`` ``(4,)``, and where the dog is in it ``(1, 4)``."""
    size = np.tile(box[2:] - box[:2], 2)
    outwards = random.uniform(-CUT_INTO, LEFT_AROUND, 4) * size * (-1, -1, 1, 1)
    return cut_out(photo, (box + outwards).astype(np.float32), box)


def cut_out(photo: ImageArray, part: FloatArray, box: FloatArray) -> tuple[ImageArray, FloatArray]:
    """The ``part`` of a photo, and what of ``box`` lies in it ``(1, 4)``; all of it a view."""
    cut, corner = crop_box(photo, part, padding=0)
    moved = (box - np.tile(np.array(corner, dtype=np.float32), 2))[None]
    return cut, clip_boxes(moved, cut.shape[1], cut.shape[0])


def far_away(
    photo: ImageArray, box: FloatArray, host: ImageArray, random: np.random.Generator
) -> tuple[ImageArray, FloatArray]:
    """``host`` with the dog in ``box`` ``(4,)`` of ``photo`` pasted into it small, and where it is then ``(1, 4)``.

    A soft ellipse is pasted: of a rectangle the network could learn the edges.
    """
    dog, (left, top) = crop_box(photo, box, PASTE_PADDING)
    longer = random.uniform(*FAR) * min(host.shape[:2])
    scale = longer / float((box[2:] - box[:2]).max())
    width, height = (max(1, round(side * scale)) for side in (dog.shape[1], dog.shape[0]))
    small = resize(dog, width, height)
    x = int(random.integers(max(1, host.shape[1] - width + 1)))
    y = int(random.integers(max(1, host.shape[0] - height + 1)))
    x1, y1, x2, y2 = whole_box(np.array([x, y, x + width, y + height]), host.shape[1], host.shape[0])
    small = small[: y2 - y1, : x2 - x1]
    scene = host.copy()
    covered = ellipse(width, height)[: y2 - y1, : x2 - x1, None]
    scene[y1:y2, x1:x2] = np.rint(covered * small + (1 - covered) * scene[y1:y2, x1:x2])
    placed = ((box - (left, top, left, top)) * scale + (x, y, x, y))[None].astype(np.float32)
    return scene, clip_boxes(placed, host.shape[1], host.shape[0])


def ellipse(width: int, height: int) -> FloatArray:
    """1 inside the ellipse that reaches over the middle of each edge, falling softly to 0 in the corners.

    >>> soft = ellipse(9, 9)
    >>> float(soft[4, 4]), float(soft[0, 0]), bool(0 < soft[0, 4] <= 1)
    (1.0, 0.0, True)
    """
    x, y = (
        np.linspace(-1, 1, side, dtype=np.float32) if side > 1 else np.zeros(1, np.float32) for side in (width, height)
    )
    radius = np.hypot(x[None], y[:, None])
    return np.asarray(np.clip((1 + SOFT - radius) / SOFT, 0, 1), dtype=np.float32)
