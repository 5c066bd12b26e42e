"""Readers of the layouts in which photos of dogs come: who is who, and what is one encounter."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from immich_dog_plugin.scan import PhotoFile, scan

from .entries import DataError
from .identity import breed_photos, read_identities

NOT_STATED = "not stated"
PRIVATE = "private use only"
CC_BY = "CC BY 4.0"
RESEARCH = "non-commercial research"
# Of the sets in ../shared/data, as its README says.
SHARED_LICENCES = {"mpdd": CC_BY, "dogfacenet_test": CC_BY, "dreambooth": CC_BY, "stdove": PRIVATE}
_MPDD_NAME = re.compile(r"(?:train|val|query|gallery)_(?P<dog>\d+)_(?P<encounter>c\d+s\d+)_\d+")
_STANFORD_FOLDER = re.compile(r"n\d{8}-(?P<breed>.+)")


@dataclass(frozen=True, slots=True)
class SourcePhoto:
    """One photo as its collection describes it.

    Attributes:
        file: where it lies.
        set: name of the collection.
        dog: its name within the collection, None where only the breed is known.
        group: the encounter or original picture it belongs to, named within the collection.
        breed: name of the breed, if known.
        licence: of the photo.
        split: where the collection has a split of its own; test dogs are never read.
    """

    file: Path
    set: str
    dog: str | None
    group: str
    breed: str | None = None
    licence: str = NOT_STATED
    split: Literal["train", "val"] | None = None


def read_shared(data: Path) -> list[SourcePhoto]:
    """``identity/index.csv``: its training and validation dogs. Its test dogs only measure."""
    splits: tuple[Literal["train", "val"], ...] = ("train", "val")
    return [
        SourcePhoto(
            photo.file,
            photo.set,
            photo.dog,
            photo.group.removeprefix(f"{photo.set}/"),
            licence=SHARED_LICENCES.get(photo.set, NOT_STATED),
            split=split,
        )
        for split in splits
        for photo in read_identities(data, split)
    ]


def read_folders(folder: Path) -> list[SourcePhoto]:
    """A folder per dog, named as the dog. A folder within it is an encounter; else each photo is one."""
    photos = [
        SourcePhoto(
            photo.path,
            folder.resolve().name,
            photo.name,
            photo.key if photo.path.parent.name == photo.name else photo.key.rpartition("/")[0],
        )
        for photo in _scan(folder)
        if photo.name is not None
    ]
    return _some(photos, folder, "a folder per dog with its photos")


def read_dogfacenet(folder: Path) -> list[SourcePhoto]:
    """DogFaceNet as its zip unpacks: ``after_4_bis/<number of the dog>/<photos>``, aligned faces.

    ``folder`` is ``after_4_bis`` or one above it. Nothing says when a photo was taken: each is a group of its own.
    """
    root = next(iter(sorted(folder.rglob("after_4_bis"))), folder)
    photos = [
        SourcePhoto(photo.path, "dogfacenet", photo.name, photo.key, licence=CC_BY)
        for photo in _scan(root)
        if photo.name is not None and photo.name.isdecimal()
    ]
    return _some(photos, folder, "after_4_bis/<number of the dog>/<photos>")


def read_mpdd(folder: Path) -> list[SourcePhoto]:
    """MPDD, anywhere below ``folder``: ``train_12_c3s1_0.jpg`` shows dog 12 by camera 3 in scene 1.

    Every dog may train here, those of MPDD's own query and gallery too: the check finds those that measure.
    """
    photos = [
        SourcePhoto(photo.path, "mpdd", name["dog"], f"{name['dog']}/{name['encounter']}", licence=CC_BY)
        for photo in _scan(folder)
        if (name := _MPDD_NAME.fullmatch(photo.path.stem))
    ]
    return _some(photos, folder, "photos named like train_12_c3s1_0.jpg")


def read_stanford(folder: Path) -> list[SourcePhoto]:
    """Stanford Dogs: a folder per breed, ``n02085620-Chihuahua``. Who a dog is, nobody knows.

    Photos that occur more than once are left out: public copies hold hundreds of one placeholder.
    """
    photos = [
        SourcePhoto(
            file,
            "stanford_dogs",
            None,
            file.stem,
            breed=name["breed"].replace("_", " "),
            licence=RESEARCH,
            split="train",
        )
        for file in breed_photos(folder)
        if (name := _STANFORD_FOLDER.fullmatch(file.parent.name))
    ]
    return _some(photos, folder, "folders named like n02085620-Chihuahua")


def read_csv(file: Path) -> list[SourcePhoto]:
    """A table with a line per photo: ``file`` (relative to the table) and ``dog``.

    Further columns, where known: ``breed``, ``source_group``, ``set``, ``licence``, ``split`` (train or val). A photo
    without a dog needs a breed.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as table:
            reader = csv.DictReader(table)
            rows, columns = list(reader), reader.fieldnames or []
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror})", "Check the path") from error
    if missing := [name for name in ("file", "dog") if name not in columns]:
        raise DataError(f"{file} has no column {' and no '.join(missing)}", "Name the columns in its first line")
    return _some([_line(row, number, file) for number, row in enumerate(rows, 2)], file, "a line per photo")


def _line(row: dict[str, str | None], number: int, table: Path) -> SourcePhoto:
    cell = {name: row.get(name) or "" for name in ("file", "dog", "breed", "source_group", "set", "licence", "split")}
    split: dict[str, Literal["train", "val"] | None] = {"": None, "train": "train", "val": "val"}
    if not cell["file"] or not (cell["dog"] or cell["breed"]):
        raise DataError(f"Line {number} of {table} lacks its file, or both dog and breed", "Fill or remove it")
    if cell["split"] not in split:
        raise DataError(
            f"Line {number} of {table} says split '{cell['split']}'",
            "Write train, val, or nothing: then the dog decides",
        )
    if cell["split"] == "val" and not cell["dog"]:
        raise DataError(f"Line {number} of {table} has no dog, but the split val", "Only known dogs can choose")
    return SourcePhoto(
        table.parent / cell["file"],
        cell["set"] or table.stem,
        cell["dog"] or None,
        cell["source_group"] or cell["file"],
        breed=cell["breed"] or None,
        licence=cell["licence"] or NOT_STATED,
        split=split[cell["split"]],
    )


LAYOUTS: dict[str, Callable[[Path], list[SourcePhoto]]] = {
    "shared": read_shared,
    "folders": read_folders,
    "dogfacenet": read_dogfacenet,
    "mpdd": read_mpdd,
    "stanford": read_stanford,
    "csv": read_csv,
}


def _scan(folder: Path) -> list[PhotoFile]:
    found = scan(folder)
    if found.failures:
        first = found.failures[0]
        raise DataError(f"{folder}/{first.key} cannot be read", first.reason)
    return found.photos


def _some(photos: list[SourcePhoto], place: Path, expected: str) -> list[SourcePhoto]:
    if not photos:
        raise DataError(f"{place} holds no photo in this layout", f"Expected are: {expected}")
    return photos
