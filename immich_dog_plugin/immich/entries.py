"""The dogs' part of a request as entries of v3.3 and newer, whose own parser forbids tasks that it does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from immich_ml.models.base import InferenceEntry
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ..contract import TASK
from .options import RequestOptions


class _Slot(BaseModel):
    """One model of the request; strict, as Immich is with its own."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_name: str = Field(alias="modelName")
    options: dict[str, Any] = {}


_SLOTS = TypeAdapter(dict[Literal["detection", "keypoint", "recognition"], _Slot])


class DogEntry(InferenceEntry):  # type: ignore[misc]  # typed only where Immich is
    """An entry for a model whose name Immich's own list of models does not hold."""

    def __post_init__(self) -> None:
        """Nothing: the registry found a model package of that name."""


def plan_entries(stages: Any, find_model_class: Callable[[str, str, str], Any]) -> list[DogEntry]:
    """One entry for each model that a request asks for under the dogs' task, of the class that is found for it.

    Raises:
        HTTPException: 422, there is no model package of that name.
        ValueError: not of the request's form; the service answers 422, as for its own tasks.
    """
    slots = _SLOTS.validate_python(stages)
    return [
        DogEntry(find_model_class(slot.model_name, stage, TASK), slot.model_name, RequestOptions(slot.options))
        for stage, slot in slots.items()
    ]
