"""The lists of photos that train and choose: ``identity_train.json``, ``identity_val.json``, ``breed_train.json``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.files import whole_file

FOLDER = Path("datasets/identity")
TRAIN, VAL, BREEDS = "identity_train.json", "identity_val.json", "breed_train.json"


class DataError(DogPluginError):
    """Photos, or lists of photos, that must not be trained on as they are."""


class Entry(BaseModel):
    """One photo of one dog.

    Attributes:
        file_path: in the file relative to the file's own folder.
        identity_label: the same whole number for all photos of a dog, in one list only; None where only the breed is
            known.
        breed_label: the breed's name, None where it is not known.
        source_group: photos of one group are cuts of one picture or belong to one encounter; unique over all sets.
        set: which collection the photo comes from.
        licence: of the photo.
        dog: what its collection calls the dog, for people who read the list.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    file_path: Path
    identity_label: int | None
    breed_label: str | None
    source_group: str
    set: str
    licence: str
    dog: str | None = None


_LIST = TypeAdapter(list[Entry])


def write_entries(file: Path, entries: Sequence[Entry]) -> None:
    """Write a list, one entry a line; a file of that name is replaced whole.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = file.parent.resolve()
    placed = [
        entry.model_copy(update={"file_path": Path(os.path.relpath(entry.file_path.resolve(), folder))})
        for entry in entries
    ]
    with whole_file(file) as partial:
        lines = ",\n".join(entry.model_dump_json() for entry in placed)
        partial.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read_entries(file: Path) -> list[Entry]:
    """Read a list, whether the command or a person wrote it.

    Raises:
        DataError: no such file, or it holds something else than a list of entries; names the first fault.
    """
    try:
        entries = _LIST.validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{file} is missing", "Make it with: python -m trainers.data") from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ", ".join(str(part) for part in fault["loc"])
        raise DataError(
            f"{file} is no list of photos ({error.error_count()} faults; the first: entry {place}: {fault['msg']})",
            "Mend the entry, counted from 0, or make the list anew: python -m trainers.data",
        ) from error
    folder = file.parent
    return [
        entry.model_copy(update={"file_path": Path(os.path.normpath(folder / entry.file_path))}) for entry in entries
    ]
