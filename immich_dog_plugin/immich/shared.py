"""What two tasks of one request share: each dog model looks at a photo once, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from PIL import Image

from ..manifest import Manifest
from ..stages.session import Session
from .dog_detector import DogDetector
from .dog_embedder import DogEmbedder
from .dog_keypoint import DogKeypoint
from .model import DogModel
from .options import as_keywords

_SHARED = "_immich_dogs_shared"  # attribute of a decoded photo, gone with the request


class SharedModel(DogModel):
    """A dog model whose output for a photo another task of the same request finds again."""

    def predict(self, photo: Image.Image | str, /, *inputs: Any, **options: Any) -> Any:
        if isinstance(photo, str):
            return super().predict(photo, *inputs, **options)
        # Inputs are outputs of other dog models, which are the same objects where they were shared and live as long.
        given = repr(as_keywords(options).get("minScore"))
        key = (self.model_name, self.stage_name, given, *map(id, inputs))
        return once(photo, key, lambda: super(SharedModel, self).predict(photo, *inputs, **options))


class SharedDogDetector(SharedModel, DogDetector):
    """The detector while the people mode is on."""


class SharedDogKeypoint(SharedModel, DogKeypoint):
    """The keypoint model while the people mode is on."""


class SharedDogEmbedder(SharedModel, DogEmbedder):
    """The embedder while the people mode is on.

    Attributes:
        manifest: of the package that was loaded.
    """

    manifest: Manifest

    def _build(self, session: Session, manifest: Manifest) -> None:
        super()._build(session, manifest)
        self.manifest = manifest


def once(photo: Image.Image, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
    """What ``compute`` returns, computed once for a decoded photo; what it raises is raised to whoever asked.

    A decoded photo belongs to one request, whose tasks run in threads: the second waits for the first.
    """
    lock, results = vars(photo).setdefault(_SHARED, (Lock(), {}))
    with lock:
        if key not in results:
            results[key] = compute()
        return results[key]
