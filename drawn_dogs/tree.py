"""A folder of drawn photos, one subfolder for each dog, as `immich-dogs identify` reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from drawn_dogs.looks import look_of
from drawn_dogs.photos import DrawnPhoto, Size, draw_dog, draw_scene

NO_DOG = "no-dog"
JPEG_QUALITY = 92


def write_tree(
    folder: Path, *, dogs: int = 6, photos: int = 6, scenes: int = 3, seed: int = 0, size: Size = (640, 480)
) -> list[Path]:
    """Draw `photos` photos of each of `dogs` dogs and `scenes` without a dog; returns the files in order."""
    return list(drawn_files(folder, dogs=dogs, photos=photos, scenes=scenes, seed=seed, size=size))


def drawn_files(
    folder: Path, *, dogs: int, photos: int, scenes: int, seed: int = 0, size: Size = (640, 480)
) -> Iterator[Path]:
    """As `write_tree`, one file at a time as it is written, drawn on all cores."""
    jobs = [
        _Job(
            folder / look_of(dog).name.lower() / f"{photo + 1}.jpg", partial(draw_dog, dog, photo, seed=seed, size=size)
        )
        for dog in range(dogs)
        for photo in range(photos)
    ]
    for scene in range(scenes):
        jobs.append(_Job(folder / NO_DOG / f"{scene + 1}.jpg", partial(draw_scene, scene, seed=seed, size=size)))
    # Not forked: a forked child of a process that has used OpenCV's or NumPy's threads can hang.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield from pool.map(_draw_and_write, jobs)


@dataclass(frozen=True, slots=True)
class _Job:
    path: Path
    draw: Callable[[], DrawnPhoto]


def _draw_and_write(job: _Job) -> Path:
    job.path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(job.draw().image).save(job.path, quality=JPEG_QUALITY)
    return job.path
