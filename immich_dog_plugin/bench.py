"""Times the pipeline against the bare graphs it runs, on the same inputs in the same run.

Every session is wrapped in a stopwatch, so the graphs' own time is taken inside the very pipeline call that it is
compared with. What is left is the cost of everything around the models: letterbox, crops, suppression, copies.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from .errors import DogPluginError, PhotoError
from .geometry import ImageArray
from .imaging import read_photo
from .manifest import STAGE_NAMES
from .model_package import ModelPackage
from .parallel import attempt
from .pipeline import DogPipeline
from .pyramid import Pyramid
from .settings import Settings
from .stages.detector import Detections, Detector
from .stages.embedder import Embedder
from .stages.keypoints import KeypointEstimator
from .stages.session import Session, open_stage

DOGS_IN_ONE_PHOTO = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run showed; times in milliseconds, each the mean over photos of the photo's median over rounds.

    Attributes:
        megapixels: mean size of the photos.
        decode_ms: a file to pixels; not part of the pipeline's time.
        graph_ms: the ONNX Runtime call of each stage.
        pipeline_ms: a decoded photo to its dogs.
        by_dogs_ms: the pipeline on one photo in which the first dog counts ``n`` times, by ``n``.
        peak_mb: largest resident memory of the process so far, megabytes.
    """

    package: str
    threads: int
    photos: int
    megapixels: float
    dogs: int
    decode_ms: float
    graph_ms: dict[str, float]
    pipeline_ms: float
    by_dogs_ms: dict[int, float]
    peak_mb: float

    @property
    def graphs_ms(self) -> float:
        """The three graphs together."""
        return sum(self.graph_ms.values())

    @property
    def ratio(self) -> float:
        """The pipeline's time over its graphs' time; 1 would mean that everything else is free."""
        return self.pipeline_ms / self.graphs_ms


class Stopwatch:
    """A session that adds up the milliseconds of its runs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.ms = 0.0

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]:
        started = time.perf_counter()
        outputs = self._session.run(output_names, input_feed, run_options)
        self.ms += (time.perf_counter() - started) * 1000
        return outputs


class TimedPipeline:
    """A pipeline that knows how much of its time went into each graph.

    Attributes:
        pipeline: the pipeline itself, on sessions with stopwatches.
    """

    def __init__(self, package: ModelPackage) -> None:
        manifest = package.manifest
        self._watches = {stage: Stopwatch(open_stage(package, stage)) for stage in STAGE_NAMES}
        self.pipeline = DogPipeline(
            Detector(self._watches["detection"], manifest.detection),
            KeypointEstimator(self._watches["keypoint"], manifest.keypoint),
            Embedder(self._watches["recognition"], manifest.recognition),
            manifest.crop,
        )
        repeated = _OneDogManyTimes(self._watches["detection"], manifest.detection)
        self._crowd = DogPipeline(repeated, self.pipeline.keypoints, self.pipeline.embedder, manifest.crop)
        self._repeated = repeated

    def __call__(self, photo: ImageArray) -> dict[str, float]:
        """Milliseconds of one run: ``pipeline``, and of it each stage's graph."""
        for watch in self._watches.values():
            watch.ms = 0.0
        total = milliseconds(lambda: self.pipeline(photo))
        return {"pipeline": total} | {stage: watch.ms for stage, watch in self._watches.items()}

    def with_dogs(self, photo: ImageArray, count: int) -> float:
        """Milliseconds of one run in which the photo's first dog counts ``count`` times."""
        self._repeated.count = count
        return milliseconds(lambda: self._crowd(photo))


class _OneDogManyTimes(Detector):
    """Answers the first dog of a photo ``count`` times."""

    count = 1

    def __call__(self, photo: Pyramid, min_score: float | None = None) -> Detections:
        found = super().__call__(photo, min_score)
        return Detections(np.repeat(found.boxes[:1], self.count, axis=0), np.repeat(found.scores[:1], self.count))


def measure(files: Sequence[Path], package: ModelPackage, rounds: int) -> Measurement:
    """Run every photo ``rounds`` times through the pipeline.

    Raises:
        DogPluginError: none of the files is a photo that can be read.
    """
    timed = TimedPipeline(package)
    rows: list[_Row] = []
    for file in files:
        row = attempt(lambda file: _time(file, timed, rounds), file)
        if isinstance(row, PhotoError):
            print(f"immich-dogs: left out: {file}: {row}", file=sys.stderr)
        else:
            rows.append(row)
    if not rows:
        raise DogPluginError("None of the files is a photo that can be read", "Name a folder that holds photos")

    by_dogs = {}
    with_dog = next((row.file for row in rows if row.dogs), None)
    if with_dog is not None:
        photo = read_photo(with_dog)
        for count in DOGS_IN_ONE_PHOTO:
            by_dogs[count] = median(timed.with_dogs(photo, count) for _ in range(rounds + 1))
    averages = {name: mean(row.costs[name] for row in rows) for name in rows[0].costs}
    return Measurement(
        package=str(package),
        threads=Settings().threads,
        photos=len(rows),
        megapixels=mean(row.megapixels for row in rows),
        dogs=sum(row.dogs for row in rows),
        decode_ms=averages["decode"],
        graph_ms={stage: averages[stage] for stage in STAGE_NAMES},
        pipeline_ms=averages["pipeline"],
        by_dogs_ms=by_dogs,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


@dataclass(frozen=True, slots=True)
class _Row:
    file: Path
    megapixels: float
    dogs: int
    costs: dict[str, float]  # milliseconds: decode, pipeline and each graph


def _time(file: Path, timed: TimedPipeline, rounds: int) -> _Row:
    photo = read_photo(file, "the photo")
    dogs = len(timed.pipeline(photo))  # not timed: the first run of a shape allocates
    samples = [{"decode": milliseconds(partial(read_photo, file)), **timed(photo)} for _ in range(rounds)]
    costs = {name: median(sample[name] for sample in samples) for name in samples[0]}
    return _Row(file, photo.shape[0] * photo.shape[1] / 1e6, dogs, costs)


def milliseconds(call: Callable[[], object]) -> float:
    """The time of one call."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000
