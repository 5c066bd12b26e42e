"""Every photo of a set through the service."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from immich_dog_plugin.client import http_session, predict, upright_bytes
from immich_dog_plugin.contract import DogEntry
from immich_dog_plugin.evaluation.photos import LabelledPhoto
from immich_dog_plugin.geometry import largest_box


@dataclass(frozen=True, slots=True)
class Answered:
    """A photo of a known dog, and what the service saw in it.

    Attributes:
        photo: which one.
        group: the original that it was cut from, else its content, so that a copy is no pair with its original.
        dog: the largest of the answer, as everywhere where a photo has a name; ``None`` where it found none.
    """

    photo: LabelledPhoto
    group: str
    dog: DogEntry | None


def ask(url: str, photos: Iterable[LabelledPhoto], model: str) -> Iterator[Answered]:
    """Send photo after photo.

    Raises:
        MissingPackageError: requests is not installed.
        PhotoError: a photo cannot be read.
        ServiceError: the service cannot be reached, answers an error, or breaks the contract.
    """
    with http_session() as http:
        for photo in photos:
            image = upright_bytes(photo.path)
            answer = predict(http, url, image, model)
            group = photo.group or hashlib.sha256(photo.path.read_bytes()).hexdigest()
            yield Answered(photo, group, largest(answer.dogs))


def largest(dogs: Sequence[DogEntry]) -> DogEntry | None:
    """The dog that the photo's name is taken to mean; ``None`` where there is none."""
    if not dogs:
        return None
    boxes = [(dog.bounding_box.x1, dog.bounding_box.y1, dog.bounding_box.x2, dog.bounding_box.y2) for dog in dogs]
    return dogs[largest_box(np.array(boxes, dtype=np.float32))]
