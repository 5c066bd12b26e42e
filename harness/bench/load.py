"""A running service under load: how fast, how evenly, how much memory."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.service import Service
from immich_dog_plugin.contract import check_answer, request_entries
from immich_dog_plugin.errors import ServiceError
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

MEMORY_EVERY = 100  # photos between two looks at the memory


@dataclass(frozen=True, slots=True)
class Load:
    """A number of clients, each sending its next photo when the last is answered; milliseconds."""

    clients: int
    photos_per_second: float
    p50: float
    p95: float


def overhead(service: Service, photos: Sequence[bytes], package: ModelPackage, rounds: int) -> tuple[float, float]:
    """Median milliseconds of a photo, file to dogs: in this process, and asked of the service; the two take turns."""
    pipeline = DogPipeline.open(package)
    here: list[float] = []
    there: list[float] = []
    for turn in range(rounds + 1):
        for photo in photos:
            started = time.perf_counter()
            pipeline(read_photo(photo))
            middle = time.perf_counter()
            answered(service, package.manifest.name, photo)
            ended = time.perf_counter()
            if turn:
                here.append((middle - started) * 1000)
                there.append((ended - middle) * 1000)
    return float(np.median(here)), float(np.median(there))


def under_load(service: Service, photos: Sequence[bytes], model: str, clients: int, requests: int) -> Load:
    """Send ``requests`` photos from ``clients`` clients at once."""

    def timed(photo: bytes) -> float:
        started = time.perf_counter()
        answered(service, model, photo)
        return (time.perf_counter() - started) * 1000

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        times = list(pool.map(timed, itertools.islice(itertools.cycle(photos), requests)))
    seconds = time.perf_counter() - started
    return Load(clients, requests / seconds, float(np.percentile(times, 50)), float(np.percentile(times, 95)))


def memory(
    service: Service, photos: Sequence[bytes], model: str, requests: int, resident_mb: Callable[[], float]
) -> list[tuple[int, float]]:
    """Resident megabytes of the service after each ``MEMORY_EVERY`` of ``requests`` photos, sent by two clients."""
    seen: list[tuple[int, float]] = []
    endless = itertools.cycle(photos)
    with ThreadPoolExecutor(2) as pool:
        for done in range(MEMORY_EVERY, requests + 1, MEMORY_EVERY):
            list(pool.map(lambda photo: answered(service, model, photo), itertools.islice(endless, MEMORY_EVERY)))
            seen.append((done, resident_mb()))
    return seen


def growth(seen: Sequence[tuple[int, float]], after: int) -> float:
    """How much more memory there is at the end than after ``after`` photos, as a fraction.

    Means over a tenth of the looks on each side: one look may meet a photo in flight.

    >>> growth([(100, 150.0), (1000, 200.0), (1100, 200.0), (2000, 210.0)], after=1000)  # doctest: +ELLIPSIS
    0.05...
    """
    late = [mb for photos, mb in seen if photos >= after]
    few = max(1, len(late) // 10)
    return float(np.mean(late[-few:]) / np.mean(late[:few]) - 1)


def answered(service: Service, model: str, photo: bytes) -> None:
    """One request, its answer checked.

    Raises:
        ServiceError: another status than 200, or an answer that breaks the contract.
    """
    response = service.predict(request_entries(model), image=photo)
    if response.status_code != 200:
        printed = f"See what it printed: {service.log[-500:]}"
        raise ServiceError(f"The service answered {response.status_code}: {response.text[:300]}", printed)
    check_answer(response.content)


def resident_mb(process_id: int) -> float:
    """Megabytes that a process and its descendants hold, shared pages counted once per process (Linux)."""
    family, waiting = [], [process_id]
    while waiting:
        family.append(waiting.pop())
        children = Path(f"/proc/{family[-1]}/task/{family[-1]}/children")
        waiting += [int(child) for child in children.read_text().split()] if children.is_file() else []
    pages = sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in family)
    return pages * 4096 / 1e6
