"""Photos of known dogs: a folder per dog, or an ``index.csv`` that says more than folders can."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import EvaluationError
from ..scan import scan

INDEX = "index.csv"
_REQUIRED = ("dog", "file")
_CURE = f"{INDEX} needs the columns dog and file, and may have split, set, source_group and session"


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """One photo and the dog it shows.

    Attributes:
        path: where to read it.
        key: its path below the folder.
        dog: whose photo it is.
        set: part of the data that is also reported by itself; empty if there is only one.
        group: the original photo that it was cut from; ``None``: the photo itself.
        session: one occasion; photos of one dog and session were taken together. ``None``: not known.
    """

    path: Path
    key: str
    dog: str
    set: str = ""
    group: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class LabelledPhotos:
    """The photos of a folder, and how many in it name no dog."""

    photos: list[LabelledPhoto]
    without_dog_name: int = 0


def read_labelled_photos(folder: Path, split: str | None = None, exclude: Path | None = None) -> LabelledPhotos:
    """Read ``folder/index.csv``, or take the top-level subfolders as the dogs' names where there is none.

    The index holds a row per photo. ``file`` is a path below the folder. Photos of one ``source_group`` (named within
    their ``set``) are cuts of one original and make no pair. Photos of one dog with the same ``session`` were taken on
    one occasion. Further columns are ignored.

    Args:
        folder: of the photos.
        split: only rows with this ``split``.
        exclude: an output folder that is not searched.

    Raises:
        EvaluationError: the index lacks a column or value, a split is missing or unknown, or no folder names a dog.
        PhotoError: the folder cannot be read, or holds no photo.
    """
    index = folder / INDEX
    if index.is_file():
        return LabelledPhotos(_from_index(index, split))
    if split is not None:
        raise EvaluationError(f"--split {split} needs {index}, which is not there", _CURE)
    found = scan(folder, exclude).photos
    photos = [LabelledPhoto(photo.path, photo.key, photo.name) for photo in found if photo.name is not None]
    if not photos:
        raise EvaluationError(
            f"The photos in {folder} lie in no subfolder, so that nothing says which dogs they show",
            "Put the photos of each dog into a folder with its name",
        )
    return LabelledPhotos(photos, len(found) - len(photos))


def _from_index(index: Path, split: str | None) -> list[LabelledPhoto]:
    rows = _rows(index)
    splits = sorted({row["split"] for row in rows if row.get("split")})
    if split is None and len(splits) > 1:
        raise EvaluationError(
            f"{index} has the splits {', '.join(splits)}", "Choose one by --split: dogs trained on prove nothing"
        )
    if split is not None:
        rows = [row for row in rows if row.get("split") == split]
        if not rows:
            raise EvaluationError(f"{index} has no split '{split}'", f"It has: {', '.join(splits) or 'none'}")
    return [_labelled(index.parent, row) for row in rows]


def _rows(index: Path) -> list[dict[str, str]]:
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _REQUIRED if name not in (reader.fieldnames or ())]
            if missing:
                raise EvaluationError(f"{index} has no column {' and no column '.join(missing)}", _CURE)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{index} cannot be read ({error})", "Save it as CSV in UTF-8") from error
    for number, row in enumerate(rows, start=2):
        if not all(row[name] for name in _REQUIRED):
            raise EvaluationError(f"{index}, line {number}, lacks the dog or the file", _CURE)
    if not rows:
        raise EvaluationError(f"{index} has no rows", _CURE)
    _refuse_twice(index, (row["file"] for row in rows))
    return rows


def _refuse_twice(index: Path, files: Iterable[str]) -> None:
    seen: set[str] = set()
    for file in files:
        if file in seen:
            raise EvaluationError(f"{index} lists {file} twice", "Give each photo one row")
        seen.add(file)


def _labelled(folder: Path, row: dict[str, str]) -> LabelledPhoto:
    name = row.get("set") or ""
    group = row.get("source_group")
    return LabelledPhoto(
        path=folder / row["file"],
        key=row["file"],
        dog=row["dog"],
        set=name,
        group=f"{name}/{group}" if group else None,
        session=row.get("session") or None,
    )
