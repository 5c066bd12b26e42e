"""What is known about each photo, in one SQLite file: nothing is computed twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import OutputError
from ..files import output_error
from ..geometry import FloatArray
from ..manifest import Crop
from ..pipeline import Dog
from .store_errors import damaged, start_anew, store_error

_SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE photos (
    id INTEGER PRIMARY KEY,
    content TEXT NOT NULL,       -- sha256 of the file's bytes
    model TEXT NOT NULL,         -- fingerprint of the model package
    min_score REAL NOT NULL,     -- least detection score that counted
    thumbnail BLOB NOT NULL,     -- JPEG
    pixels INTEGER NOT NULL,     -- of the whole photo
    turned INTEGER NOT NULL,     -- degrees clockwise by which it was looked at
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
# Beside the version's schema: the stores of earlier runs get it too.
_READING = """
CREATE TABLE IF NOT EXISTS reading (  -- photos in work: what is left here, a process died over
    content TEXT PRIMARY KEY,         -- sha256 of the file's bytes
    key TEXT NOT NULL                 -- the file that was read
)
"""


@dataclass(frozen=True, slots=True, eq=False)
class StoredDog:
    """A dog of the store: ``id`` of its row, ``number`` within its photo, and what the pipeline said."""

    id: int
    number: int
    dog: Dog


class Store:
    """The photos of one model package and one least detection score. Every photo is committed by itself.

    Several threads may use it.

    Args:
        path: the SQLite file; made where it does not exist.
        model: fingerprint of the model package.
        min_score: least detection score that counts.
        dimension: length of an embedding.

    Attributes:
        suspects: photos that an earlier run was reading when its process died: the file's key by the content.

    Raises:
        OutputError: cannot be written or locked, is in use by another run, is not a store, or the disk is full.
    """

    def __init__(self, path: Path, model: str, min_score: float, dimension: int) -> None:
        self._path = path
        self._model = model
        self._min_score = min_score
        self._dimension = dimension
        self._lock = threading.RLock()
        self._marked: set[str] = set()
        self._new = _create(path)
        try:
            with self._explained():
                self._connection = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
            try:
                with self._explained():
                    self._prepare()
                    self.suspects: dict[str, str] = dict(self._connection.execute("SELECT content, key FROM reading"))
            except OutputError:
                self._connection.close()
                raise
        except OutputError:
            if self._untouched():
                path.unlink(missing_ok=True)
            raise
        self._new = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            with suppress(sqlite3.Error):  # the process did not die over what is still read, it gives up
                self._connection.executemany("DELETE FROM reading WHERE content = ?", [(one,) for one in self._marked])
            self._connection.close()

    def find(self, content: str) -> int | None:
        """The id of the photo with this content, ``None`` if it has not been analysed."""
        query = "SELECT id FROM photos WHERE content = ? AND model = ? AND min_score = ?"
        with self._explained():
            row = self._connection.execute(query, (content, self._model, self._min_score)).fetchone()
        return None if row is None else int(row[0])

    def add(
        self, content: str, thumbnail: bytes, pixels: int, dogs: Iterable[tuple[Dog, bytes]], turned: int = 0
    ) -> int:
        """Keep a photo of that many pixels and its dogs, each with the JPEG of its crop; returns the photo's id."""
        with self._explained(), self._transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO photos (content, model, min_score, thumbnail, pixels, turned) VALUES (?, ?, ?, ?, ?, ?)",
                (content, self._model, self._min_score, thumbnail, pixels, turned),
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
        return [StoredDog(id, number, self._dog(*columns)) for id, number, *columns in rows]

    def dog_thumbnail(self, dog: int) -> bytes:
        """The JPEG of a dog's crop, by the dog's id."""
        return self._one("SELECT thumbnail FROM dogs WHERE id = ?", dog)

    def photo_thumbnail(self, photo: int) -> bytes:
        """The JPEG of a whole photo, by the photo's id."""
        return self._one("SELECT thumbnail FROM photos WHERE id = ?", photo)

    def pixels(self) -> dict[int, int]:
        """How many pixels each photo has, by its id."""
        with self._explained():
            return dict(self._connection.execute("SELECT id, pixels FROM photos").fetchall())

    def turned(self) -> dict[int, int]:
        """By how many degrees clockwise each photo was turned to be looked at, by its id."""
        with self._explained():
            return dict(self._connection.execute("SELECT id, turned FROM photos").fetchall())

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

    @contextmanager
    def reading(self, content: str, key: str) -> Iterator[None]:
        """Mark a photo while it is read and analysed; if the process dies, the mark stays (see ``suspects``)."""
        with self._explained():
            self._marked.add(content)
            self._connection.execute("INSERT OR REPLACE INTO reading (content, key) VALUES (?, ?)", (content, key))
        try:
            yield
        finally:
            with self._explained():
                self._connection.execute("DELETE FROM reading WHERE content = ?", (content,))
                self._marked.discard(content)

    def _one(self, query: str, id: int) -> bytes:
        with self._explained():
            value: bytes = self._connection.execute(query, (id,)).fetchone()[0]
        return value

    def _dog(self, box: bytes, score: float, points: bytes | None, crop: Crop, embedding: bytes) -> Dog:
        try:
            keypoints = None if points is None else _floats(points, 15).reshape(5, 3)
            return Dog(_floats(box, 4), score, keypoints, crop, _floats(embedding, self._dimension))
        except (ValueError, TypeError) as error:  # too short or too long, or no bytes at all
            raise damaged(self._path, str(error)) from error

    def _untouched(self) -> bool:
        """Whether this run has just made the file and nobody has written to it: another run would have within the
        second that is waited for its lock."""
        with suppress(OSError):
            return self._new and self._path.stat().st_size == 0
        return False

    def _prepare(self) -> None:
        # Two runs on one store would compute every photo twice: the first keeps the lock until it ends.
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        # A photo is three commits. With a write-ahead log none of them waits for the disk; what is committed outlives
        # the process, however it ends, and the store outlives a power cut, if not the last photos before it.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction("EXCLUSIVE") as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            elif version != _SCHEMA_VERSION:
                raise OutputError(f"{self._path} was written by another version of immich-dogs", start_anew(self._path))
            connection.execute(_READING)
        self._connection.execute("PRAGMA journal_mode = WAL")

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
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise store_error(self._path, error, new=self._untouched()) from error


def _create(path: Path) -> bool:
    """Make an empty store unless there is one; whether there was none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path.parent, error) from error
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError as error:
        raise output_error(path, error) from error
    return True


def _columns(dog: Dog) -> tuple[bytes, float, bytes | None, str, bytes]:
    points = None if dog.keypoints is None else _bytes(dog.keypoints)
    return _bytes(dog.box), float(dog.score), points, dog.crop, _bytes(dog.embedding)


def _bytes(values: FloatArray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def _floats(content: bytes, count: int) -> FloatArray:
    values = np.frombuffer(content, dtype="<f4").astype(np.float32)
    if len(values) != count:
        raise ValueError(f"{len(values)} numbers where {count} should be")
    return values
