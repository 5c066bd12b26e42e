from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.identify.identify import Options, Result, identify
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import Dog, DogPipeline
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.scan import scan
from tests.tiny_package import bricks, red_dog_photo, write_png

WritePhoto = Callable[..., Path]


class CountingPipeline:
    """The tiny pipeline; counts how many photos it is asked for."""

    def __init__(self, pipeline: DogPipeline) -> None:
        self._pipeline = pipeline
        self.calls = 0

    def __call__(self, photo: Pyramid, min_score: float | None = None) -> list[Dog]:
        self.calls += 1
        return self._pipeline(photo, min_score)


@pytest.fixture
def pipeline(tiny_pipeline: DogPipeline) -> CountingPipeline:
    return CountingPipeline(tiny_pipeline)


@pytest.fixture
def write_photo(photos: Path) -> WritePhoto:
    """Writes a photo with ``dogs`` red rectangles; another ``shade`` makes it another photo, ``striped`` other dogs."""

    def write(name: str, dogs: int = 1, shade: int = 0, striped: bool = False) -> Path:
        # Each fills one cell of the tiny detector, so that each is found once.
        photo = red_dog_photo([(32 + 64 * number, 32, 64 + 64 * number, 64) for number in range(dogs)])
        if striped:
            photo[48:64][photo[48:64, :, 1] == 0] = (255, 120, 120)
        photo[96:] = bricks(shade, photo[96:].shape)
        return write_png(photos / name, photo)

    return write


@pytest.fixture
def run(photos: Path, tmp_path: Path, pipeline: CountingPipeline, tiny_package: ModelPackage) -> Callable[..., Result]:
    """Runs ``identify`` on ``photos`` into ``tmp_path/out`` with the tiny pipeline."""

    def run_identify(options: Options | None = None) -> Result:
        out = tmp_path / "out"
        return identify(scan(photos, exclude=out), photos, out, pipeline, tiny_package, options or Options())

    return run_identify


def unit_rows(rows: NDArray[np.floating]) -> FloatArray:
    """Rows scaled to unit length."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
