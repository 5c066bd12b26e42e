from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import closing

import pytest

from immich_dog_plugin import parallel
from immich_dog_plugin.errors import OutputError, PhotoError
from immich_dog_plugin.parallel import PhotoWorkers, attempt, default_workers

DEADLINE = 20  # seconds; only a test that fails waits so long


def test_results_come_in_the_order_of_the_photos_though_the_first_takes_longest() -> None:
    later_ended = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert later_ended.wait(DEADLINE)
        elif number == 2:
            later_ended.set()
        return number * number

    assert list(PhotoWorkers(3).map(range(10), work)) == [(number, number * number) for number in range(10)]


def test_as_many_photos_as_workers_are_worked_on_at_once() -> None:
    together = threading.Barrier(3, timeout=DEADLINE)
    assert len(list(PhotoWorkers(3).map(range(6), lambda _: together.wait()))) == 6
    assert not together.broken


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PhotoError("it is empty", "Copy it"), "it is empty. Copy it"),
        (RuntimeError("libavif says no"), r"could not be analysed \(RuntimeError: libavif says no\)"),
        (AssertionError(), r"could not be analysed \(AssertionError\)"),
        (MemoryError(), "does not fit into the memory.*--workers"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (SystemError("decoder"), "decoder"),
    ],
)
def test_whatever_one_photo_raises_the_others_run(error: Exception, words: str) -> None:
    def work(number: int) -> int:
        if number == 1:
            raise error
        return number

    results = [result for _, result in PhotoWorkers(2).map(range(3), work)]
    assert results[0::2] == [0, 2]
    assert isinstance(results[1], PhotoError)
    with pytest.raises(PhotoError, match=words):
        raise results[1]


def test_an_error_that_is_not_the_photos_stops_the_run() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        if number == 3:
            raise OutputError("The disk is full", "Free some space")
        return number

    results = PhotoWorkers(2).map(range(100), work)
    with pytest.raises(OutputError):
        done.extend(number for number, _ in results)
    assert done == [0, 1, 2]


def test_an_interruption_is_no_photos_failure() -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(interrupted, 1)


def test_photos_are_taken_only_a_little_ahead_of_their_results() -> None:
    taken: list[int] = []

    def photos() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    with closing(PhotoWorkers(2).map(photos(), lambda number: number)) as results:
        for number, _ in results:
            assert len(taken) - number <= 5
            if number == 50:
                break
    assert len(taken) < 60


def test_results_are_let_go_as_they_are_taken() -> None:
    class Result:
        pass

    with closing(PhotoWorkers(2).map(range(200), lambda _: Result())) as results:
        for number, _ in results:
            if number == 150:
                assert sum(isinstance(thing, Result) for thing in gc.get_objects()) < 10


def test_a_closed_run_waits_for_photos_in_work_and_drops_the_others() -> None:
    begun: list[int] = []
    ended: list[int] = []
    release = threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        assert number == 0 or release.wait(DEADLINE)
        ended.append(number)

    results = PhotoWorkers(2).map(range(100), work)
    next(results)
    while len(begun) < 3:
        time.sleep(0.001)
    closing_soon = threading.Timer(0.1, release.set)
    closing_soon.start()
    results.close()
    closing_soon.join()
    assert sorted(begun) == sorted(ended) == [0, 1, 2]


def test_photos_share_the_memory_and_a_huge_one_is_alone() -> None:
    workers = PhotoWorkers(4)
    inside: list[float] = []
    most: list[float] = []
    lock = threading.Lock()

    def work(megapixels: float) -> None:
        with workers.room(megapixels):
            with lock:
                inside.append(megapixels)
                most.append(sum(inside))
                if 182 in inside:
                    assert len(inside) == 1
            time.sleep(0.002)
            with lock:
                inside.remove(megapixels)

    sizes = [12.3, 24.1, 182, 24.7, 12.9, 182, 182] * 6
    assert [result for _, result in workers.map(sizes, work)] == [None] * len(sizes)
    assert 24 < max(size for size in most if size != 182) <= 50


def test_a_photo_that_asks_to_be_alone_is() -> None:
    workers = PhotoWorkers(4)
    inside: list[bool] = []
    lock = threading.Lock()

    def work(alone: bool) -> None:
        with workers.room(1, alone=alone):
            with lock:
                inside.append(alone)
                assert True not in inside or inside == [True]
            time.sleep(0.002)
            with lock:
                inside.remove(alone)

    assert {result for _, result in workers.map([False, False, True, False] * 8, work)} == {None}


@pytest.mark.parametrize(
    ("cores", "threads", "workers"), [(1, 2, 1), (2, 2, 2), (4, 2, 3), (4, 1, 4), (16, 2, 15), (8, 8, 2), (1, 8, 1)]
)
def test_by_default_all_cores_serve(monkeypatch: pytest.MonkeyPatch, cores: int, threads: int, workers: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setenv("IMMICH_DOGS_THREADS", str(threads))
    assert default_workers() == PhotoWorkers().workers == workers
    assert parallel.PhotoWorkers(7).workers == 7


def test_an_error_does_not_keep_the_photo_that_it_speaks_of() -> None:
    class Pixels:
        """What a decoder holds."""

    held: list[weakref.ref[Pixels]] = []

    def decode(photo: str) -> None:
        pixels = Pixels()
        held.append(weakref.ref(pixels))
        try:
            raise OSError("cut off")
        except OSError as error:
            raise PhotoError(f"{photo} is damaged", "Copy it again") from error

    error = attempt(decode, "a.jpg")
    gc.collect()
    assert isinstance(error, PhotoError)
    assert held[0]() is None
