"""Many photos at once: all cores serve, results come in the photos' order, and memory stays bounded.

A photo is one piece of work from its file to its result, so that while one is decoded others are computed. ONNX Runtime
and the decoders let go of Python's lock, so threads are enough, and all share the sessions of one pipeline.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from .errors import DogPluginError, PhotoError
from .settings import Settings

_P = TypeVar("_P")
_R = TypeVar("_R")

_AHEAD = 2  # photos per worker whose work has begun or waits, before the next result is taken
# What may be decoded at one time. A photo of a telephone has 12 megapixels; a larger photo waits for the others to end.
_MEGAPIXELS_PER_WORKER = 12.0
_LEAST_MEGAPIXELS = 50.0


def default_workers() -> int:
    """So many that all cores which this process may use have something to do.

    The graphs' own threads (one less than the setting: the worker's counts) serve all workers. At least two, where
    there are two cores, so that a photo is decoded while another is computed.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(2, cores), cores - Settings().threads + 1)


def attempt(work: Callable[[_P], _R], photo: _P) -> _R | PhotoError:
    """What ``work`` makes of one photo, or why it failed: nothing that one photo does is a reason to lose the others.

    Raises:
        DogPluginError: it is not the photo that failed (a full disk, a missing package).
    """
    try:
        return work(photo)
    except PhotoError as error:
        # The error outlives the photo, and the frames that raised it hold the photo's bytes and pixels.
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)
    except DogPluginError:
        raise
    except MemoryError:
        return PhotoError("the photo does not fit into the memory", "Scale it down, or use fewer --workers")
    except Exception as error:  # decoders and runtimes raise whatever they like
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return PhotoError(f"the photo could not be analysed ({reason})", "Report it as a bug")


class PhotoWorkers:
    """Threads that work on photos.

    Args:
        workers: how many photos are worked on at once; ``default_workers`` where it is ``None``.

    Attributes:
        workers: how many.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = default_workers() if workers is None else workers
        self._room = _Room(max(_LEAST_MEGAPIXELS, _MEGAPIXELS_PER_WORKER * self.workers))

    def map(self, photos: Iterable[_P], work: Callable[[_P], _R]) -> Generator[tuple[_P, _R | PhotoError], None, None]:
        """Yield each photo with what ``attempt`` says of it, in the order of ``photos``, which is read as it goes.

        Close the iterator (``contextlib.closing``): then photos that nobody works on yet are dropped, and the others
        are waited for.

        Raises:
            DogPluginError: ``attempt`` did, when it is that photo's turn.
        """
        waiting: deque[tuple[_P, Future[_R | PhotoError]]] = deque()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="photo") as executor:
            try:
                for photo in photos:
                    waiting.append((photo, executor.submit(attempt, work, photo)))
                    if len(waiting) >= _AHEAD * self.workers:
                        yield _result(waiting)
                while waiting:
                    yield _result(waiting)
            finally:
                for _, future in waiting:
                    future.cancel()

    @contextmanager
    def room(self, megapixels: float, *, alone: bool = False) -> Iterator[None]:
        """Wait until a photo of this size may be decoded beside the others; ``alone``: until there are no others."""
        with self._room.taken(megapixels, alone=alone):
            yield


def _result(waiting: deque[tuple[_P, Future[_R | PhotoError]]]) -> tuple[_P, _R | PhotoError]:
    photo, future = waiting[0]
    result = future.result()
    waiting.popleft()
    return photo, result


class _Room:
    """Megapixels that several threads share. Who asks for more than there is gets all of it."""

    def __init__(self, megapixels: float) -> None:
        self._all = self._free = megapixels
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, megapixels: float, *, alone: bool) -> Iterator[None]:
        share = self._all if alone else min(megapixels, self._all)
        with self._changed:
            # A sum of fractions given back may fall short of the whole by a rounding error.
            self._changed.wait_for(lambda: self._free >= share - 1e-6)
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()
