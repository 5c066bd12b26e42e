"""Dogs in the answer to the faces that Immich's server asks for: the people mode.

A subclass of Immich's own recogniser answers in its place. Immich's rows come first and as Immich made them; where the
dogs cannot be had the request fails as a whole, because an answer with humans alone would make Immich's server delete
the dogs of that photo.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from threading import Lock
from typing import Any

from fastapi import HTTPException
from immich_ml.config import log
from immich_ml.models.facial_recognition.recognition import FaceRecognizer
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from ..errors import DogPluginError
from ..model_package import DEFAULT_PACKAGE
from ..people import FACES, dog_rows, people_exponent
from ..settings import Settings, setting_error
from .shared import SharedDogDetector, SharedDogEmbedder, SharedDogKeypoint

RECOGNITION = "recognition"
_asking_immich: ContextVar[bool] = ContextVar("asking_immich", default=False)


class PeopleRecognizer(FaceRecognizer):  # type: ignore[misc]  # typed only where Immich is
    """Immich's recogniser, which also answers the dogs."""

    def load(self) -> None:
        """Load the dogs' models, then Immich's.

        What goes wrong with the dogs counts as no attempt of Immich's model, and is none of the errors upon which the
        service clears that model's cache.
        """
        people_dogs().load()
        super().load()

    def _predict(self, photo: Image.Image, *inputs: Any, **options: Any) -> list[Any]:
        humans = super()._predict(photo, *inputs, **options)
        return [*humans, *people_dogs().rows(photo, humans)]


class PeopleDogs:
    """The three dog models of the people mode and its settings, one for a process.

    Raises:
        HTTPException: 500, a setting is wrong; from every method: 500, says why there can be no dogs.
    """

    def __init__(self) -> None:
        try:
            self.settings = Settings()
        except ValidationError as error:
            raise HTTPException(500, setting_error(error)) from error
        self._detector = SharedDogDetector(DEFAULT_PACKAGE)
        self._keypoint = SharedDogKeypoint(DEFAULT_PACKAGE)
        self._embedder = SharedDogEmbedder(DEFAULT_PACKAGE)
        self._loading = Lock()
        self._exponent: float | None = None

    def load(self) -> float:
        """Load the models unless they are loaded; returns the exponent that the package and the settings ask for."""
        with self._loading:
            if self._exponent is None:
                with _failing_the_request():
                    for model in (self._detector, self._keypoint, self._embedder):
                        model.load()
                    self._exponent = people_exponent(self._embedder.manifest, self.settings.people_max_distance)
            return self._exponent

    def rows(self, photo: Image.Image, humans: list[Any]) -> list[dict[str, Any]]:
        """The dogs of a photo as rows beside Immich's own."""
        exponent = self.load()
        with _failing_the_request():
            detections = self._detector.predict(photo, minScore=self.settings.people_min_score)
            faces = self._keypoint.predict(photo, detections)
            dogs = self._embedder.predict(photo, detections, faces)
            return dog_rows(dogs, humans, photo.size, self.settings.people_box, exponent)


@cache
def people_dogs() -> PeopleDogs:
    """The dogs of this process."""
    return PeopleDogs()


def recognizer_class(model_name: str, model_type: str, model_task: str) -> type[PeopleRecognizer] | None:
    """The class that answers an entry up to v3.2 where Immich itself would take its recogniser; else ``None``.

    Immich is asked, and asks the plugins in turn, who then leave the entry to it. What it raises is its own answer to a
    request that it does not know.
    """
    if _asking_immich.get():
        return None
    from immich_ml.models import get_model_class

    token = _asking_immich.set(True)
    try:
        own = get_model_class(model_name, model_type, model_task)
    finally:
        _asking_immich.reset(token)
    return PeopleRecognizer if own is FaceRecognizer else None


def take_recognition(entries: str) -> tuple[str, list[Any]]:
    """A request of v3.3 or newer without its face recognition, and the entry that answers it.

    Immich's own parser says what is asked for, and it alone says what is wrong with a request: one that it refuses, or
    that asks for no face recognition, comes back as it is.
    """
    from immich_ml.pipeline import PipelineRequest

    from .entries import DogEntry

    try:
        asked = list(TypeAdapter(PipelineRequest).validate_json(entries).entries())
    except ValueError:
        return entries, []
    taken = [DogEntry(PeopleRecognizer, entry.name, entry.options) for entry in asked if entry.model is FaceRecognizer]
    if not taken:
        return entries, []
    request = json.loads(entries)  # not orjson, which refuses a NaN that Immich's parser takes
    del request[FACES][RECOGNITION]
    return json.dumps(request), taken


@contextmanager
def _failing_the_request() -> Iterator[None]:
    """Whatever goes wrong becomes an answer that makes Immich's server change nothing and ask again."""
    try:
        yield
    except HTTPException as error:
        log.error(f"No dogs for the People page: {error.detail}")
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, DogPluginError) else f"{type(error).__name__}: {error}"
        log.error(f"No dogs for the People page: {reason}")
        raise HTTPException(500, f"No dogs for the People page: {reason}") from error
