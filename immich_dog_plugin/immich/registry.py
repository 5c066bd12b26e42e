"""What the patched service asks for a model class before it looks among its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contract import TASK

if TYPE_CHECKING:
    from .model import DogModel


def find_model_class(model_name: str, model_type: str, model_task: str) -> type[DogModel] | None:
    """The class for one entry of a request, or ``None`` if it is not the plugin's.

    The service calls it for every entry of every request, so an entry for Immich's own models costs one comparison.

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
