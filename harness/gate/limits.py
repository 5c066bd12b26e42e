"""What the gate asks for: ``limits.toml``, the one place that says so."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from immich_dog_plugin.errors import EvaluationError

LIMITS_FILE = "limits.toml"
_HERE = Path(__file__).parent / LIMITS_FILE


class Limits(BaseModel):
    """Least values; ``limits.toml`` says of what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    found: float = Field(ge=0, le=1)
    same_dog: float = Field(ge=0, le=1)
    different_dogs: float = Field(ge=0, le=1)
    margin: float = Field(ge=-2, le=2, description="a difference of cosines")


def default_limits(kind: Literal["real", "drawn"]) -> Limits:
    """The limits for photos of real dogs, or for the drawn ones."""
    return Limits.model_validate(tomllib.loads(_HERE.read_text("utf-8"))[kind])


def limits_of(folder: Path) -> Limits:
    """The limits that a test set brings along, else those for real dogs.

    Raises:
        EvaluationError: the set's own limits cannot be read; names the first thing that is wrong.
    """
    file = folder / LIMITS_FILE
    if not file.is_file():
        return default_limits("real")
    cure = f"It holds the least values {', '.join(Limits.model_fields)}, one a line, such as: found = 0.75"
    try:
        return Limits.model_validate(tomllib.loads(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EvaluationError(f"{file} cannot be read ({error})", cure) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise EvaluationError(f"{file} is not valid: {where}: {first['msg']}", cure) from error
