"""Photos of known dogs: a folder per dog, or an ``index.csv`` that says more than folders can."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..dog_names import Names, anyway, choose_names, refusal
from ..errors import EvaluationError
from ..scan import Failure, LeftOut, scan

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
    """The photos of a folder, and what else is in it.

    Attributes:
        photos: with their dogs.
        without_dog_name: how many photos lie in no subfolder.
        by_folder: whether subfolders name the dogs, and no index.
        refused_names: subfolders that do not look like dogs' names, whose photos are left out too.
        failures: folders that cannot be read.
        left_out: files that are no photos, and folders that hold none of their own.
    """

    photos: list[LabelledPhoto]
    without_dog_name: int = 0
    by_folder: bool = False
    refused_names: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def read_labelled_photos(
    folder: Path, split: str | None = None, exclude: Path | None = None, names: Names = "folder"
) -> LabelledPhotos:
    """Read ``folder/index.csv``, or take the top-level subfolders as the dogs' names where there is none.

    The index holds a row per photo. ``file`` is a path below the folder. Photos of one ``source_group`` (named within
    their ``set``) are cuts of one original and make no pair. Photos of one dog with the same ``session`` were taken on
    one occasion. Further columns are ignored.

    Args:
        folder: of the photos.
        split: only rows with this ``split``.
        exclude: an output folder that is not searched.
        names: which subfolders' names are taken for dogs' names; an index is believed.

    Raises:
        EvaluationError: the index lacks a column or value or leaves the folder, a split is missing or unknown, or no
            folder names a dog.
        PhotoError: the folder cannot be read, or holds no photo.
    """
    index = folder / INDEX
    if index.is_file():
        return LabelledPhotos(_from_index(index, split))
    if split is not None:
        raise EvaluationError(f"--split {split} needs {index}, which is not there", _CURE)
    found = scan(folder, exclude)
    named = choose_names(found, names)
    photos = [LabelledPhoto(photo.path, photo.key, photo.name) for photo in named.scan.photos if photo.name is not None]
    if not photos and named.refused:
        raise no_names(named.refused)
    if not photos:
        raise EvaluationError(
            f"The photos in {folder} lie in no subfolder, so that nothing says which dogs they show",
            "Put the photos of each dog into a folder with its name",
        )
    return LabelledPhotos(
        photos,
        without_dog_name=sum(photo.name is None for photo in found.photos),
        by_folder=True,
        refused_names=named.refused,
        failures=tuple(found.failures),
        left_out=tuple(found.left_out),
    )


def no_names(folders: Sequence[str]) -> EvaluationError:
    """The error where folders' names say nothing of dogs: figures over them would say nothing of the model package."""
    cure = f"Put the photos of each dog into a folder with its name, or write an {INDEX}; {anyway(folders)}"
    return EvaluationError(refusal(folders), cure)


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
        # An index comes with photos of others; what it names ends up as pictures in a report that is passed on.
        if not _is_below(index.parent, row["file"]):
            raise EvaluationError(
                f"{index}, line {number}, names {row['file']}, which is not in {index.parent}",
                "Put the photo there, and name it by its path below that folder",
            )
    if not rows:
        raise EvaluationError(f"{index} has no rows", _CURE)
    _refuse_twice(index, (row["file"] for row in rows))
    return rows


def _is_below(folder: Path, file: str) -> bool:
    """Whether a path stays in the folder, links followed."""
    try:
        return (folder / file).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # a circle of links, or a NUL in the name
        return False


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
