"""Photos in, dogs in the store: one photo at a time, so that memory does not grow with the folder."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import DogPluginError, OutputError, PhotoError
from ..files import output_error, whole_file
from ..geometry import ImageArray, largest_box
from ..imaging import read_photo
from ..pictures import debug_picture, thumbnail
from ..pipeline import Dog
from ..scan import Failure, PhotoFile, Scan
from ..stages.embedder import Pictures
from .collection import Collection, Photo, Sighting
from .store import Store, StoredDog

_MAX_FILE_BYTES = 1 << 30  # a file is read whole; no photo is larger, but a film with a photo's suffix is
_MAX_NAME_BYTES = 255  # of Linux' file systems
_DEBUG_SUFFIX = ".debug.jpg"  # of no photo and no folder, so that no two pictures share a path
# What a file system says of a name that it does not take, or that is taken.
_ODD_NAME = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)


class FindDogs(Protocol):
    """The pipeline: a photo ``(height, width, 3)`` RGB to its dogs, largest score first."""

    def __call__(self, photo: ImageArray, min_score: float | None = None) -> list[Dog]: ...


CutDog = Callable[[ImageArray, Dog], Pictures]


class Analyser:
    """Finds the dogs of photo files, or knows them from the store.

    Args:
        find: the pipeline.
        cut: a photo and a dog of it to the picture that was embedded.
        store: where the results are kept; a photo that is there is not computed again.
        min_score: least detection score that counts.
        debug: folder of the debug pictures, which mirrors the photos' folder.

    Attributes:
        computed: how many photos were analysed; the others were known.
        undrawn: files whose name the debug picture cannot have; their dogs count all the same.
    """

    def __init__(self, find: FindDogs, cut: CutDog, store: Store, min_score: float, debug: Path) -> None:
        self._find = find
        self._cut = cut
        self._store = store
        self._min_score = min_score
        self._debug = debug
        self._drawn = store.drawn()
        self.computed = 0
        self.undrawn: list[Failure] = []

    def __call__(self, file: PhotoFile) -> int:
        """The id in the store of a file's photo, analysed now or before.

        Raises:
            PhotoError: the photo cannot be read or analysed; nothing is kept of it, so the next run tries again.
            OutputError: the disk is full, or the output folder cannot be written.
        """
        content = _read(file.path)
        digest = hashlib.sha256(content).hexdigest()
        photo = self._store.find(digest)
        if photo is not None and self._drawn.get(file.key) == photo and self._debug_path(file.key).exists():
            return photo
        image = read_photo(content, "the file")
        if photo is None:
            dogs = self._find_dogs(image)
            pictures = [thumbnail(self._cut(image, dog)[0]) for dog in dogs]
            photo = self._store.add(digest, thumbnail(image), zip(dogs, pictures, strict=True))
            self.computed += 1
        else:
            dogs = [stored.dog for stored in self._store.dogs(photo)]
        self._draw(file.key, photo, image, dogs)
        return photo

    def forget_others(self, keys: Iterable[str]) -> None:
        """Delete the debug pictures of earlier runs whose photo is not among ``keys`` (gone, renamed or damaged)."""
        stale = sorted(self._drawn.keys() - set(keys))
        for key in stale:
            path = self._debug_path(key)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise output_error(path, error) from error
        self._store.forget_drawn(stale)

    def _find_dogs(self, image: ImageArray) -> list[Dog]:
        try:
            return self._find(image, self._min_score)
        except DogPluginError:
            raise
        # Whatever a runtime stumbles over in one photo (out of memory, say) is no reason to lose the others.
        except Exception as error:
            raise PhotoError(f"the photo could not be analysed ({error})", "Report it as a bug") from error

    def _draw(self, key: str, photo: int, image: ImageArray, dogs: list[Dog]) -> None:
        path = self._debug_path(key)
        try:
            with whole_file(path) as temporary:
                temporary.write_bytes(debug_picture(image, dogs, [self._cut(image, dog) for dog in dogs]))
        except OutputError as error:
            if not (isinstance(error.__cause__, OSError) and error.__cause__.errno in _ODD_NAME):
                raise
            reason = f"its debug picture cannot be written ({error.__cause__.strerror}). Rename the file or its folder"
            self.undrawn.append(Failure(key, reason))
            return
        self._store.set_drawn(key, photo)
        self._drawn[key] = photo

    def _debug_path(self, key: str) -> Path:
        photo = self._debug / key
        name = os.fsencode(photo.name)
        stem = photo.name if len(name) + len(_DEBUG_SUFFIX) <= _MAX_NAME_BYTES else hashlib.sha256(name).hexdigest()
        return photo.with_name(stem + _DEBUG_SUFFIX)


def analyse(found: Scan, analyser: Analyser, store: Store, dimension: int, track: Callable[[int], None]) -> Collection:
    """Analyse every photo of a scan; a photo that fails is noted and the others still run.

    Args:
        found: the photos.
        analyser: what to do with each.
        store: where ``analyser`` keeps its results.
        dimension: length of an embedding.
        track: told after each photo how many have failed so far.
    """
    files_of: dict[int, list[PhotoFile]] = {}
    failures = list(found.failures)
    for file in found.photos:
        try:
            files_of.setdefault(analyser(file), []).append(file)
        except PhotoError as error:
            failures.append(Failure(file.key, str(error)))
        track(len(failures) + len(analyser.undrawn))
    analyser.forget_others(file.key for files in files_of.values() for file in files)
    sightings: list[Sighting] = []
    embeddings = []
    photos = []
    conflicts = []
    for id, files in files_of.items():
        names = [file.name for file in files if file.name is not None]
        photo = Photo(id, tuple(file.key for file in files), names[0] if names else None)
        photos.append(photo)
        if len(set(names)) > 1:
            conflicts.append(photo)
        dogs = store.dogs(id)
        sightings += _sightings(photo, dogs)
        embeddings += [stored.dog.embedding for stored in dogs]
    return Collection(
        sightings=sightings,
        embeddings=np.stack(embeddings) if embeddings else np.empty((0, dimension), dtype=np.float32),
        photos=photos,
        failures=failures + analyser.undrawn,
        other_files=found.other_files,
        computed=analyser.computed,
        conflicts=conflicts,
    )


def _sightings(photo: Photo, dogs: list[StoredDog]) -> list[Sighting]:
    boxes = [stored.dog.box.astype(float) for stored in dogs]
    named = largest_box(np.stack(boxes)) if boxes else None
    return [
        Sighting(
            id=stored.id,
            photo=photo,
            number=stored.number,
            name=photo.name if index == named else None,
            box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            score=stored.dog.score,
            crop=stored.dog.crop,
        )
        for index, (stored, box) in enumerate(zip(dogs, boxes, strict=True))
    ]


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError("the file is no regular file", "Remove it")
        if status.st_size > _MAX_FILE_BYTES:
            raise PhotoError(f"the file has {status.st_size / 1e9:.1f} GB, more than any photo", "Remove it")
        return path.read_bytes()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise PhotoError("the link leads to no file", "Remove the link, or put its target back") from error
        raise PhotoError("the file disappeared during the run", "Start again if it should be there") from error
    except OSError as error:
        raise PhotoError(f"the file cannot be read ({error.strerror})", "Check its permissions and the disk") from error
