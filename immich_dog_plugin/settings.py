"""Settings from the environment, all named ``IMMICH_DOGS_*``."""

from __future__ import annotations

from typing import Literal

from pydantic import DirectoryPath, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PeopleBox = Literal["head", "body"]


class PeopleSwitch(BaseSettings):
    """Whether the people mode is on, read alone: a mistake in another setting must not reach Immich's own faces."""

    model_config = SettingsConfigDict(env_prefix="IMMICH_DOGS_", env_ignore_empty=True)

    people: bool = Field(default=False, description="dogs among the faces that Immich's server asks for")


class PhotoLimit(BaseSettings):
    """What is read for each photo: a folder of models that went away since they were loaded is no concern of photos."""

    model_config = SettingsConfigDict(env_prefix="IMMICH_DOGS_", env_ignore_empty=True)

    max_megapixels: float = Field(
        default=100,
        gt=0,
        description="a larger photo is refused before it fills the memory, or decoded smaller where its format allows",
    )


class Settings(PeopleSwitch, PhotoLimit):
    """Every setting there is; the README lists them with unit and default."""

    models: DirectoryPath | None = Field(
        default=None, description="folder searched for model packages before the installed one"
    )
    threads: int = Field(
        default=2, ge=1, description="threads of a graph outside Immich (Immich's own setting counts inside)"
    )
    people_min_score: float | None = Field(
        default=None, ge=0, le=1, description="least score of a dog on the People page; the manifest's by default"
    )
    people_max_distance: float = Field(
        default=0.5, gt=0, lt=2, description="the maximum recognition distance of Immich's server, which this follows"
    )
    people_box: PeopleBox = Field(default="head", description="what a dog's box shows where its face is visible")


def setting_error(error: ValidationError) -> str:
    """The first setting that is wrong, by the name of its variable, and what is wrong with it."""
    first = error.errors()[0]
    name = "_".join(str(part) for part in first["loc"]).upper()
    return f"The setting IMMICH_DOGS_{name} is {first['input']!r}: {first['msg']}. The README lists the settings."
