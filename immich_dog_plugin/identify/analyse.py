"""Photos in, dogs in the store: a few photos at a time, so that memory does not grow with the folder."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError, PhotoError
from ..files import output_error, whole_file
from ..imaging import megapixels, open_photo
from ..parallel import PhotoWorkers, attempt
from ..pictures import debug_picture, thumbnail
from ..pipeline import Dog
from ..pyramid import Pyramid
from ..scan import Failure, PhotoFile, Scan
from ..stages.embedder import Pictures
from .collect import collect
from .collection import Collection
from .content import digest, read
from .store import Store
from .turned import FindDogs, look

_MAX_NAME_BYTES = 255  # of Linux' file systems
_DEBUG_SUFFIX = ".debug.jpg"  # of no photo and no folder, so that no two pictures share a path
# What a file system says of a name that it does not take, or that is taken.
_ODD_NAME = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)


CutDog = Callable[[Pyramid, Dog], Pictures]


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """What one photo came to, before it is kept.

    Attributes:
        content: sha256 of the file's bytes.
        dogs: in the order of the pipeline; of a photo that the store knows, the store's.
        thumbnail: JPEG of the photo; empty where the store knows it.
        pictures: JPEGs of what was embedded, in the order of ``dogs``; none where the store knows the photo.
        pixels: of the whole photo.
        debug: JPEG; ``None`` where the file's debug picture is there already.
        note: what is wrong with a file that is used all the same.
        turned: degrees clockwise by which the photo was turned to be looked at.
    """

    content: str
    dogs: list[Dog]
    thumbnail: bytes = b""
    pictures: tuple[bytes, ...] = ()
    pixels: int = 0
    debug: bytes | None = None
    note: str | None = None
    turned: int = 0


Outcome = Analysed | PhotoError


class Analyser:
    """Finds the dogs of photo files, or knows them from the store.

    ``read`` may run in several threads at once and changes nothing but marks in the store; ``keep`` writes, photo after
    photo in their order, so that a store does not show how many threads there were.

    Args:
        find: the pipeline.
        cut: a photo and a dog of it to the picture that was embedded.
        store: where the results are kept; a photo that is there is not computed again.
        min_score: least detection score that counts.
        debug: folder of the debug pictures, which mirrors the photos' folder.
        workers: whose memory the photos share.
        retry: read also the photos over which an earlier run died, each while no other is read.

    Attributes:
        computed: how many photos were analysed; the others were known.
        remarks: files with which something is wrong whose dogs count all the same: their end is missing, or the debug
            picture cannot have their name.
    """

    def __init__(
        self,
        find: FindDogs,
        cut: CutDog,
        store: Store,
        min_score: float,
        debug: Path,
        workers: PhotoWorkers,
        *,
        retry: bool = False,
    ) -> None:
        self._find = find
        self._cut = cut
        self._store = store
        self._min_score = min_score
        self._debug = debug
        self._workers = workers
        self._retry = retry
        self._drawn = store.drawn()
        self._claiming = threading.Lock()
        self._claims: dict[str, Future[Outcome]] = {}  # contents that a thread works on, and those that failed
        self.computed = 0
        self.remarks: list[Failure] = []

    def read(self, file: PhotoFile) -> Outcome | Future[Outcome]:
        """What a photo comes to; a future where another thread works on an identical file.

        Raises:
            PhotoError: the file cannot be read.
            OutputError: the store cannot be used.
        """
        content = digest(file.path)
        with self._claiming:
            if content in self._claims:
                return self._claims[content]
            photo = self._store.find(content)
            if photo is not None and self._drawn.get(file.key) == photo and self._debug_path(file.key).exists():
                return Analysed(content, [])
            claim = self._claims[content] = Future()
        try:
            outcome = attempt(lambda file: self._analyse(file, content, photo), file)
        except BaseException as error:
            claim.set_exception(error)
            raise
        claim.set_result(outcome)
        return outcome

    def keep(self, file: PhotoFile, analysed: Analysed) -> int:
        """Put what ``read`` found into the store and the debug folder; returns the photo's id in the store.

        Raises:
            OutputError: the disk is full, or the output folder cannot be written.
        """
        photo = self._store.find(analysed.content)
        if photo is None:
            dogs = zip(analysed.dogs, analysed.pictures, strict=True)
            photo = self._store.add(analysed.content, analysed.thumbnail, analysed.pixels, dogs, analysed.turned)
            self.computed += 1
        with self._claiming:  # from now on the store knows it
            self._claims.pop(analysed.content, None)
        if analysed.debug is not None:
            self._draw(file.key, photo, analysed.debug)
        if analysed.note is not None:
            self.remarks.append(Failure(file.key, f"{analysed.note}; it was used. Copy it again from its source"))
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

    def _analyse(self, file: PhotoFile, content: str, photo: int | None) -> Analysed:
        suspect = content in self._store.suspects
        if suspect and not self._retry:
            raise PhotoError(
                "it was being read when an earlier run died, so it was left out",
                "With --retry it is tried again",
            )
        room = self._workers.room(megapixels(file.path), alone=suspect)
        with room, self._store.reading(content, file.key):
            source = open_photo(read(file.path), "the file")
            image = Pyramid(source)
            if photo is not None:
                dogs = [stored.dog for stored in self._store.dogs(photo)]
                return Analysed(content, dogs, debug=self._debug_picture(image, dogs), note=source.note)
            found = look(self._find, image, self._min_score)
            dogs = found.dogs
            pictures = tuple(thumbnail(self._cut(image, dog)[0]) for dog in dogs)
            pixels = source.width * source.height
            debug = self._debug_picture(image, dogs)
            return Analysed(content, dogs, thumbnail(image), pictures, pixels, debug, source.note, found.turned)

    def _debug_picture(self, image: Pyramid, dogs: list[Dog]) -> bytes:
        return debug_picture(image, dogs, [self._cut(image, dog) for dog in dogs])

    def _draw(self, key: str, photo: int, picture: bytes) -> None:
        path = self._debug_path(key)
        try:
            with whole_file(path) as temporary:
                temporary.write_bytes(picture)
        except OutputError as error:
            if not (isinstance(error.__cause__, OSError) and error.__cause__.errno in _ODD_NAME):
                raise
            reason = f"its debug picture cannot be written ({error.__cause__.strerror}). Rename the file or its folder"
            self.remarks.append(Failure(key, reason))
            return
        self._store.set_drawn(key, photo)
        self._drawn[key] = photo

    def _debug_path(self, key: str) -> Path:
        photo = self._debug / key
        name = os.fsencode(photo.name)
        stem = photo.name if len(name) + len(_DEBUG_SUFFIX) <= _MAX_NAME_BYTES else hashlib.sha256(name).hexdigest()
        return photo.with_name(stem + _DEBUG_SUFFIX)


def analyse(
    found: Scan,
    analyser: Analyser,
    workers: PhotoWorkers,
    store: Store,
    dimension: int,
    track: Callable[[int], None],
) -> Collection:
    """Analyse every photo of a scan; a photo that fails is noted and the others still run.

    Args:
        found: the photos.
        analyser: what to do with each.
        workers: that do it.
        store: where ``analyser`` keeps its results.
        dimension: length of an embedding.
        track: told after each photo how many have failed so far.
    """
    files_of: dict[int, list[PhotoFile]] = {}
    failures = list(found.failures)
    with closing(workers.map(found.photos, analyser.read)) as results:
        for file, result in results:
            outcome = result.result() if isinstance(result, Future) else result
            if isinstance(outcome, PhotoError):
                failures.append(Failure(file.key, str(outcome)))
            else:
                files_of.setdefault(analyser.keep(file, outcome), []).append(file)
            track(len(failures) + len(analyser.remarks))
    analyser.forget_others(file.key for files in files_of.values() for file in files)
    return collect(files_of, store, dimension, found.left_out, failures + analyser.remarks, analyser.computed)
