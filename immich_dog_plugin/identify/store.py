"""What is known about each photo, in one SQLite file: nothing is computed twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import OutputError
from ..files import CONTINUES, disk_full, output_error
from ..geometry import FloatArray
from ..pipeline import Dog

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE photos (
    id INTEGER PRIMARY KEY,
    content TEXT NOT NULL,       -- sha256 of the file's bytes
    model TEXT NOT NULL,         -- fingerprint of the model package
    min_score REAL NOT NULL,     -- least detection score that counted
    thumbnail BLOB NOT NULL,     -- JPEG
    UNIQUE (content, model, min_score)
);
CREATE TABLE dogs (
    id INTEGER PRIMARY KEY,
    photo INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,     -- 0 has the largest score
    box BLOB NOT NULL,           -- 4 float32: x1 y1 x2 y2, photo pixels
    score REAL NOT NULL,
    keypoints BLOB,              -- 5 x 3 float32: x, y in photo pixels and score
    crop TEXT NOT NULL,          -- face, body or both
    embedding BLOB NOT NULL,     -- float32, unit length
    thumbnail BLOB NOT NULL,     -- JPEG of the crop that was embedded, of body and face the body
    UNIQUE (photo, number)
);
CREATE TABLE drawn (             -- which photo each picture in debug/ shows
    key TEXT PRIMARY KEY,
    photo INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True, eq=False)
class StoredDog:
    """A dog of the store: ``id`` of its row, ``number`` within its photo, and what the pipeline said."""

    id: int
    number: int
    dog: Dog


class Store:
    """The photos of one model package and one least detection score. Every photo is committed by itself.

    Args:
        path: the SQLite file; made where it does not exist.
        model: fingerprint of the model package.
        min_score: least detection score that counts.

    Raises:
        OutputError: cannot be written, is in use by another run, is not a store, or the disk is full.
    """

    def __init__(self, path: Path, model: str, min_score: float) -> None:
        self._path = path
        self._model = model
        self._min_score = min_score
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(path.parent, error) from error
        with self._explained():
            self._connection = sqlite3.connect(path, timeout=1, isolation_level=None)
        try:
            with self._explained():
                self._prepare()
        except OutputError:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def find(self, content: str) -> int | None:
        """The id of the photo with this content, ``None`` if it has not been analysed."""
        query = "SELECT id FROM photos WHERE content = ? AND model = ? AND min_score = ?"
        with self._explained():
            row = self._connection.execute(query, (content, self._model, self._min_score)).fetchone()
        return None if row is None else int(row[0])

    def add(self, content: str, thumbnail: bytes, dogs: Iterable[tuple[Dog, bytes]]) -> int:
        """Keep a photo and its dogs, each with the JPEG of its crop; returns the photo's id."""
        with self._explained(), self._transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO photos (content, model, min_score, thumbnail) VALUES (?, ?, ?, ?)",
                (content, self._model, self._min_score, thumbnail),
            )
            photo = cursor.lastrowid
            assert photo is not None  # sqlite3 gives one after every INSERT of one row
            connection.executemany(
                "INSERT INTO dogs (photo, number, box, score, keypoints, crop, embedding, thumbnail) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(photo, number, *_columns(dog), picture) for number, (dog, picture) in enumerate(dogs)],
            )
        return photo

    def dogs(self, photo: int) -> list[StoredDog]:
        """The dogs of a photo, largest score first."""
        query = "SELECT id, number, box, score, keypoints, crop, embedding FROM dogs WHERE photo = ? ORDER BY number"
        with self._explained():
            rows = self._connection.execute(query, (photo,)).fetchall()
        return [
            StoredDog(
                id,
                number,
                Dog(
                    _floats(box),
                    score,
                    None if points is None else _floats(points).reshape(-1, 3),
                    crop,
                    _floats(embedding),
                ),
            )
            for id, number, box, score, points, crop, embedding in rows
        ]

    def dog_thumbnail(self, dog: int) -> bytes:
        """The JPEG of a dog's crop, by the dog's id."""
        return self._one("SELECT thumbnail FROM dogs WHERE id = ?", dog)

    def photo_thumbnail(self, photo: int) -> bytes:
        """The JPEG of a whole photo, by the photo's id."""
        return self._one("SELECT thumbnail FROM photos WHERE id = ?", photo)

    def drawn(self) -> dict[str, int]:
        """Which photo (its id) each picture in ``debug/`` shows, by the photo file's key."""
        with self._explained():
            return dict(self._connection.execute("SELECT key, photo FROM drawn").fetchall())

    def set_drawn(self, key: str, photo: int) -> None:
        with self._explained():
            self._connection.execute("INSERT OR REPLACE INTO drawn (key, photo) VALUES (?, ?)", (key, photo))

    def forget_drawn(self, keys: Sequence[str]) -> None:
        with self._explained():
            self._connection.executemany("DELETE FROM drawn WHERE key = ?", [(key,) for key in keys])

    def _one(self, query: str, id: int) -> bytes:
        with self._explained():
            value: bytes = self._connection.execute(query, (id,)).fetchone()[0]
        return value

    def _prepare(self) -> None:
        # Two runs on one store would compute every photo twice: the first keeps the lock until it ends.
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction("EXCLUSIVE") as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            elif version != _SCHEMA_VERSION:
                raise OutputError(
                    f"{self._path} was written by another version of immich-dogs",
                    _start_anew(self._path),
                )

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite has rolled back by itself after some errors
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _output_error(self._path, error) from error


def _output_error(path: Path, error: sqlite3.Error) -> OutputError:
    """The error for a user out of SQLite's."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        return disk_full(path)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return OutputError(f"{path} is in use by another run", "Wait until it ends, or choose another folder by --out")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return OutputError(f"{path} is damaged or no store of immich-dogs ({error})", _start_anew(path))
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
        return OutputError(
            f"{path} cannot be written ({error})", "Check its permissions, or choose another folder by --out"
        )
    return OutputError(f"{path} cannot be used ({error})", f"Check the disk. {CONTINUES}")


def _start_anew(path: Path) -> str:
    return f"Choose another folder by --out, or delete what the earlier run left in {path.parent}"


def _columns(dog: Dog) -> tuple[bytes, float, bytes | None, str, bytes]:
    points = None if dog.keypoints is None else _bytes(dog.keypoints)
    return _bytes(dog.box), float(dog.score), points, dog.crop, _bytes(dog.embedding)


def _bytes(values: FloatArray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def _floats(content: bytes) -> FloatArray:
    return np.frombuffer(content, dtype="<f4").astype(np.float32)
