"""What the patched service asks before it looks among its own models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ..contract import TASK

if TYPE_CHECKING:
    from .model import DogModel


def find_model_class(model_name: str, model_type: str, model_task: str) -> type[DogModel] | None:
    """The class for one entry of a request, or ``None`` if it is not the plugin's.

    The service up to v3.2 calls it for every entry of every request, so an entry for Immich's own models costs one
    comparison.

    Raises:
        HTTPException: 422, there is no model package of that name.
        AttributeError: the name is not a string; the service answers 422, as for its own models.
    """
    if model_task != TASK:
        return None
    # Imported here, because they name the task and the type that only a patched service has.
    from .dog_detector import DogDetector
    from .dog_embedder import DogEmbedder
    from .dog_keypoint import DogKeypoint
    from .package_cache import require_package

    classes: dict[str, type[DogModel]] = {"detection": DogDetector, "keypoint": DogKeypoint, "recognition": DogEmbedder}
    if model_type in classes:
        require_package(model_name)
    return classes.get(model_type)


def take_entries(entries: str) -> tuple[str, list[Any]]:
    """The plugin's part of a request, for a service from v3.3 on.

    Args:
        entries: the form field, JSON or not.

    Returns:
        The form field without the plugin's task, or as it came if it holds none: what is wrong with it then, the
        service says. And the entries of that task, which the service runs with its own.

    Raises:
        HTTPException: 422, there is no model package of that name.
        ValueError: the plugin's part is not of the request's form; the service answers 422, as for its own tasks.
    """
    try:
        request = orjson.loads(entries)
    except orjson.JSONDecodeError:
        return entries, []
    if not isinstance(request, dict) or TASK not in request:
        return entries, []
    from .entries import plan_entries

    planned = plan_entries(request.pop(TASK), find_model_class)
    return orjson.dumps(request).decode(), planned
