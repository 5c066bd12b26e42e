"""Embeddings that another program made, or ``immich-dogs identify``: from a ``.npz`` or ``.csv`` file.

- ``.npz`` as ``identify`` writes it, an array per dog of each photo with the name ``Rex/1.jpg#0``; which of a photo's
  dogs bears the folder's name stands in the ``dogs.csv`` beside it, and without that file the first (``#0``) does.
- ``.npz`` with the arrays ``embeddings`` ``(n, d)`` and ``labels`` ``(n,)``, and perhaps ``groups``, ``sets``,
  ``sessions`` and ``keys``, all ``(n,)``.
- ``.csv`` with a row per photo: the column ``dog``, perhaps ``file``, ``source_group``, ``set`` and ``session``, and
  the embedding in columns named ``0``, ``1``, ``2``, …
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..errors import EvaluationError
from ..spreadsheet import ENCODING, cell_text
from .embedded import EmbeddedPhotos, Texts
from .pairs import Floats

_CURE = "Give a file that immich-dogs identify wrote, or see immich-dogs evaluate --help for the formats"


def read_embeddings(file: Path) -> EmbeddedPhotos:
    """Read embeddings with their dogs; each is scaled to unit length.

    Raises:
        EvaluationError: not one of the formats, or a row that is no direction (zero, not finite).
    """
    reader: dict[str, Callable[[Path], EmbeddedPhotos]] = {".npz": _read_npz, ".csv": _read_csv}
    if file.suffix.lower() not in reader:
        raise EvaluationError(f"{file} is neither .npz nor .csv", _CURE)
    try:
        return reader[file.suffix.lower()](file)
    # numpy's reader raises a KeyError for arrays that are not in the file, and a ValueError for pickled ones.
    except (OSError, ValueError, KeyError, UnicodeDecodeError, zipfile.BadZipFile, csv.Error) as error:
        raise EvaluationError(f"The embeddings in {file} cannot be read ({error})", _CURE) from error


def _read_npz(file: Path) -> EmbeddedPhotos:
    with np.load(file, allow_pickle=False) as arrays:
        if "embeddings" not in arrays:
            return _of_identify(file, {key: arrays[key] for key in arrays.files})
        optional = {name: arrays[name] for name in ("groups", "sets", "sessions", "keys") if name in arrays}
        return _embedded(file, arrays["embeddings"], arrays["labels"], **optional)


def _of_identify(file: Path, arrays: dict[str, Floats]) -> EmbeddedPhotos:
    names = _names(file.with_name("dogs.csv"), list(arrays))
    keys = [key for key in arrays if names.get(key)]
    if not keys:
        raise EvaluationError(f"No embedding in {file} has the name of a dog", _CURE)
    files = [key.rsplit("#", 1)[0] for key in keys]
    return _embedded(file, [arrays[key] for key in keys], [names[key] for key in keys], groups=files, keys=files)


def _names(dogs: Path, keys: Sequence[str]) -> dict[str, str]:
    """The dog's name of each key that has one."""
    if not dogs.is_file():
        return {key: key.split("/")[0] for key in keys if "/" in key and key.endswith("#0")}
    with dogs.open(newline="", encoding=ENCODING) as table:
        return {cell_text(row["key"]): cell_text(row["name"]) for row in csv.DictReader(table)}


def _read_csv(file: Path) -> EmbeddedPhotos:
    with file.open(newline="", encoding=ENCODING) as table:
        reader = csv.DictReader(table)
        headings = reader.fieldnames or ()
        columns = sorted((name for name in headings if name.isdecimal()), key=int)
        if "dog" not in headings or not columns:
            raise EvaluationError(f"{file} lacks the column dog, or the columns 0, 1, 2, … of the embeddings", _CURE)
        rows = list(reader)
    optional = {
        argument: [row[column] or "" for row in rows]
        for argument, column in (("keys", "file"), ("groups", "source_group"), ("sets", "set"), ("sessions", "session"))
        if column in headings
    }
    vectors = [[float(row[name]) for name in columns] for row in rows]
    return _embedded(file, vectors, [row["dog"] for row in rows], **optional)


def _embedded(
    file: Path,
    embeddings: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    sets: ArrayLike | None = None,
    sessions: ArrayLike | None = None,
    keys: ArrayLike | None = None,
) -> EmbeddedPhotos:
    vectors = np.asarray(embeddings, dtype=np.float64)
    if vectors.ndim != 2 or not vectors.size:
        raise EvaluationError(f"The embeddings in {file} have the shape {vectors.shape}, not (photos, numbers)", _CURE)
    count = len(vectors)
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        row = int(np.argmin(np.isfinite(lengths) & (lengths > 0)))
        raise EvaluationError(f"Row {row} of {file} is zero or not finite", "Leave it out: it has no direction")

    def texts(name: str, values: ArrayLike | None, default: Sequence[str]) -> Texts:
        array = np.asarray(default if values is None else values).astype(np.str_)
        if array.shape != (count,):
            raise EvaluationError(f"{file} has {count} embeddings, but its {name} have the shape {array.shape}", _CURE)
        return array

    numbers = [str(row) for row in range(count)]
    names = texts("keys", keys, numbers)
    own = texts("groups", groups, [""] * count)
    # A photo without a group is its own.
    alone = np.char.add("photo ", np.array(numbers))
    return EmbeddedPhotos(
        embeddings=vectors / lengths[:, None],
        labels=texts("labels", labels, []),
        groups=np.where(own == "", alone, own),
        sets=texts("sets", sets, [""] * count),
        sessions=texts("sessions", sessions, [""] * count),
        dogs=np.ones(count, dtype=np.int64),
        times=np.full(count, np.nan),
        keys=names.tolist(),
    )
