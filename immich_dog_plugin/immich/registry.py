"""What the patched service asks before it looks among its own models."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from pydantic import ValidationError

from ..contract import TASK
from ..people import FACES
from ..settings import PeopleSwitch, setting_error


@cache
def people_is_on() -> bool:
    """Whether faces are answered with dogs; a process keeps to what its environment said first.

    Raises:
        HTTPException: 500, the setting is neither on nor off. To go on without dogs would lose those there are.
    """
    try:
        return PeopleSwitch().people
    except ValidationError as error:
        from fastapi import HTTPException

        raise HTTPException(500, setting_error(error)) from error


def find_model_class(model_name: str, model_type: str, model_task: str) -> type[Any] | None:
    """The class for one entry of a request, or ``None`` if it is not the plugin's.

    The service up to v3.2 calls it for every entry of every request, so an entry for Immich's own models costs one
    comparison, or two while the people mode is on.

    Raises:
        HTTPException: 422, there is no model package of that name.
        AttributeError: the name is not a string; the service answers 422, as for its own models.
    """
    if model_task == FACES and people_is_on():
        from .people import recognizer_class

        return recognizer_class(model_name, model_type, model_task)
    if model_task != TASK:
        return None
    # Imported here, because they name the task and the type that only a patched service has.
    from .package_cache import require_package

    classes = _dog_models()
    if model_type in classes:
        require_package(model_name)
    return classes.get(model_type)


def _dog_models() -> dict[str, type[Any]]:
    """The class of each stage."""
    if people_is_on():
        from .shared import SharedDogDetector, SharedDogEmbedder, SharedDogKeypoint

        return {"detection": SharedDogDetector, "keypoint": SharedDogKeypoint, "recognition": SharedDogEmbedder}
    from .dog_detector import DogDetector
    from .dog_embedder import DogEmbedder
    from .dog_keypoint import DogKeypoint

    return {"detection": DogDetector, "keypoint": DogKeypoint, "recognition": DogEmbedder}


def take_entries(entries: str) -> tuple[str, list[Any]]:
    """The plugin's part of a request, for a service from v3.3 on.

    Args:
        entries: the form field, JSON or not.

    Returns:
        The form field without the plugin's task, or as it came if it holds none: what is wrong with it then, the
        service says. And the entries of that task, which the service runs with its own. While the people mode is on,
        face recognition is taken the same way.

    Raises:
        HTTPException: 422, there is no model package of that name.
        ValueError: the plugin's part is not of the request's form; the service answers 422, as for its own tasks.
    """
    entries, dogs = _take_dogs(entries)
    if not people_is_on():
        return entries, dogs
    from .people import take_recognition

    entries, faces = take_recognition(entries)
    return entries, [*dogs, *faces]


def _take_dogs(entries: str) -> tuple[str, list[Any]]:
    try:
        request = orjson.loads(entries)
    except orjson.JSONDecodeError:
        return entries, []
    if not isinstance(request, dict) or TASK not in request:
        return entries, []
    from .entries import plan_entries

    planned = plan_entries(request.pop(TASK), find_model_class)
    return orjson.dumps(request).decode(), planned
