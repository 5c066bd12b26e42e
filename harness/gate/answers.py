"""Every photo of a set through the service."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import requests

from immich_dog_plugin.commands.predict import predict, upright_bytes
from immich_dog_plugin.contract import DogEntry
from immich_dog_plugin.evaluation.photos import LabelledPhoto


@dataclass(frozen=True, slots=True)
class Answered:
    """A photo of a known dog, and what the service saw in it.

    Attributes:
        photo: which one.
        group: the original that it was cut from, else its content, so that a copy is no pair with its original.
        dog: the surest of the answer; ``None`` where it found none.
    """

    photo: LabelledPhoto
    group: str
    dog: DogEntry | None


def ask(url: str, photos: Iterable[LabelledPhoto], model: str) -> Iterator[Answered]:
    """Send photo after photo.

    Raises:
        PhotoError: a photo cannot be read.
        ServiceError: the service cannot be reached, answers an error, or breaks the contract.
    """
    with requests.Session() as http:
        for photo in photos:
            image = upright_bytes(photo.path)
            answer = predict(http, url, image, model)
            group = photo.group or hashlib.sha256(photo.path.read_bytes()).hexdigest()
            yield Answered(photo, group, answer.dogs[0] if answer.dogs else None)
