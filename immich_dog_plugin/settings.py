"""Settings from the environment, all named ``IMMICH_DOGS_*``."""

from __future__ import annotations

from pydantic import DirectoryPath, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting there is; the README lists them with unit and default."""

    model_config = SettingsConfigDict(env_prefix="IMMICH_DOGS_", env_ignore_empty=True)

    models: DirectoryPath | None = Field(
        default=None, description="folder searched for model packages before the installed one"
    )
    threads: int = Field(
        default=2, ge=1, description="threads of a graph outside Immich (Immich's own setting counts inside)"
    )
    max_megapixels: float = Field(
        default=100,
        gt=0,
        description="a larger photo is refused before it fills the memory, or decoded smaller where its format allows",
    )


def setting_error(error: ValidationError) -> str:
    """The first setting that is wrong, by the name of its variable, and what is wrong with it."""
    first = error.errors()[0]
    name = "_".join(str(part) for part in first["loc"]).upper()
    return f"The setting IMMICH_DOGS_{name} is {first['input']!r}: {first['msg']}. The README lists the settings."
