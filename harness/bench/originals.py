"""Photos as people have them against the previews that Immich makes of them: time, agreement, memory, workers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median

import numpy as np

from harness.bench.peak import find_dogs
from harness.bench.photos import HUGE, as_huge, as_original, as_preview
from immich_dog_plugin.bench import milliseconds
from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.geometry import FloatArray, ImageArray
from immich_dog_plugin.identify.identify import Options, identify
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.parallel import default_workers
from immich_dog_plugin.pipeline import Dog, DogPipeline
from immich_dog_plugin.scan import scan

AGREES = 0.98  # cosine of a dog's embeddings from the original and from the preview
_SAME_BOX = 0.5  # intersection over union
_RUNS = 3  # of identify, with one worker and with all in turn


@dataclass(frozen=True, slots=True)
class Originals:
    """What originals cost; milliseconds, seconds and megabytes.

    Attributes:
        megapixels: of an original, mean.
        original_ms, preview_ms: from file to dogs, mean over photos of the photo's median.
        dogs: found in the previews.
        agreeing: of these, how many are found in the original with an embedding of cosine ``AGREES`` or more.
        huge_megapixels, huge_mb: size of a huge JPEG, and the peak of a process that finds its dogs.
        identified: photos of the runs of ``identify``.
        one_worker_s: such a run with one worker, median.
        workers: by default on this machine.
        workers_s: such a run with them, median.
    """

    megapixels: float
    original_ms: float
    preview_ms: float
    dogs: int
    agreeing: int
    huge_megapixels: float
    huge_mb: float
    identified: int
    one_worker_s: float
    workers: int
    workers_s: float


def measure(photos: Sequence[ImageArray], package: ModelPackage, rounds: int) -> Originals:
    """All of it, on originals that are made of ``photos``."""
    originals = [as_original(photo) for photo in photos]
    sizes = [read_photo(original).shape for original in originals]
    original_ms, preview_ms, dogs, agreeing = _compare(originals, package, rounds)
    with tempfile.TemporaryDirectory() as scratch:
        huge = Path(scratch, "huge.jpg")
        huge.write_bytes(as_huge(originals[0]))
        huge_mb = peak_mb(huge, HUGE[0] * HUGE[1] / 1e6)
    workers = default_workers()
    seconds = identify_seconds(originals, package, (1, workers))
    return Originals(
        megapixels=mean(height * width / 1e6 for height, width, _ in sizes),
        original_ms=original_ms,
        preview_ms=preview_ms,
        dogs=dogs,
        agreeing=agreeing,
        huge_megapixels=HUGE[0] * HUGE[1] / 1e6,
        huge_mb=huge_mb,
        identified=len(originals),
        one_worker_s=seconds[1],
        workers=workers,
        workers_s=seconds[workers],
    )


def _compare(originals: Sequence[bytes], package: ModelPackage, rounds: int) -> tuple[float, float, int, int]:
    """Time of originals and of their previews, which take turns; dogs in the previews, and how many agree."""
    pipeline = DogPipeline.open(package)
    costs: dict[str, list[float]] = {"original": [], "preview": []}
    dogs = agreeing = 0
    for original in originals:
        pixels = read_photo(original)
        preview = as_preview(pixels)
        scale = max(pixels.shape) / max(read_photo(preview).shape)
        seen = find_dogs(pipeline, preview)
        dogs += len(seen)
        agreeing += sum(agree(seen, find_dogs(pipeline, original), scale))
        runs: dict[str, list[float]] = {"original": [], "preview": []}
        for _ in range(rounds):
            runs["original"].append(milliseconds(partial(find_dogs, pipeline, original)))
            runs["preview"].append(milliseconds(partial(find_dogs, pipeline, preview)))
        for name, times in runs.items():
            costs[name].append(median(times))
    return mean(costs["original"]), mean(costs["preview"]), dogs, agreeing


def agree(seen: Sequence[Dog], expected: Sequence[Dog], scale: float) -> list[bool]:
    """For each dog of a preview, whether the original shows it with the same embedding.

    Args:
        seen: in the preview.
        expected: in the original.
        scale: pixels of the original to one of the preview.
    """

    def same(dog: Dog) -> bool:
        others = [other for other in expected if _overlap(dog.box * scale, other.box) >= _SAME_BOX]
        return any(float(dog.embedding @ other.embedding) >= AGREES for other in others)

    return [same(dog) for dog in seen]


def _overlap(first: FloatArray, second: FloatArray) -> float:
    """Intersection over union of two boxes ``x1 y1 x2 y2``."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    both = float(np.prod(sides.clip(min=0)))
    return both / float(np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - both)


def peak_mb(photo: Path, megapixels: float) -> float:
    """Largest resident memory of a process of its own that finds the dogs of a photo, megabytes (Linux).

    Raises:
        DogPluginError: it found none of them: the photo cannot be read.
    """
    allowed = os.environ | {"IMMICH_DOGS_MAX_MEGAPIXELS": str(megapixels + 1)}
    command = [sys.executable, "-m", "harness.bench.peak", str(photo)]
    ended = subprocess.run(command, env=allowed, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise DogPluginError(f"The dogs of {photo} could not be looked for ({ended.stderr.strip()})", "See the reason")
    return float(ended.stdout)


def identify_seconds(photos: Sequence[bytes], package: ModelPackage, workers: Sequence[int]) -> dict[int, float]:
    """Seconds of ``identify`` on a folder of photos by how many workers it has, medians of runs that take turns."""
    pipeline = DogPipeline.open(package)
    seconds: dict[int, list[float]] = {count: [] for count in workers}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "photos")
        folder.mkdir()
        for number, photo in enumerate(photos):
            (folder / f"{number}.jpg").write_bytes(photo)
        found = scan(folder)
        for turn in range(_RUNS):
            for count, times in seconds.items():
                out, options = Path(scratch, f"out-{turn}-{count}"), Options(workers=count)
                run = partial(identify, found, folder, out, pipeline, package, options)
                times.append(milliseconds(run) / 1000)
    return {count: median(times) for count, times in seconds.items()}
