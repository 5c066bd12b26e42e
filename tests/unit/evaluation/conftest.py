from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.evaluation.bootstrap import bootstrap_intervals, bootstrap_mean
from immich_dog_plugin.evaluation.household import household
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.model_package import ModelPackage
from tests.tiny_package import GREY, bricks, write_png, write_tiny_package

# Red enough for the tiny detector, not blue enough for a face, and each another direction for the tiny embedder.
COATS = {"Rex": (255, 0, 0), "Bella": (255, 90, 0), "Max": (255, 0, 90), "Luna": (255, 90, 90), "Kira": (255, 45, 0)}

WriteDog = Callable[..., Path]


# Where a module of the evaluation draws, by the name that it knows the function by.
DRAWING = {
    "evaluate": (bootstrap_intervals, bootstrap_mean),
    "background": (bootstrap_intervals,),
    "household": (bootstrap_mean,),
    "reliability": (bootstrap_intervals,),
}


@pytest.fixture
def draws() -> int:
    """How often dogs are drawn for an interval; a test that needs more asks for it by its own fixture."""
    return 50


@pytest.fixture(autouse=True)
def few_homes_and_draws(monkeypatch: pytest.MonkeyPatch, draws: int) -> None:
    """An evaluation of 300 homes and 1,000 draws takes seconds, and no test of it needs so many."""
    evaluation = "immich_dog_plugin.evaluation"
    for module, functions in DRAWING.items():
        for function in functions:
            monkeypatch.setattr(f"{evaluation}.{module}.{function.__name__}", partial(function, draws=draws))
    monkeypatch.setattr(f"{evaluation}.evaluate.household", partial(household, homes=20))


@pytest.fixture(scope="session")
def padded_package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """The tiny package with a crop that shows what is around a dog."""
    folder = write_tiny_package(tmp_path_factory.mktemp("padded"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["crop"] |= {"preference": ["body"], "body_padding": 0.25}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return ModelPackage.open(folder)


@pytest.fixture
def write_dog(photos: Path) -> WriteDog:
    """Writes a photo with ``dogs`` of one coat; another ``shade``, of what is around it, makes it another photo."""

    def write(name: str, coat: str, dogs: int = 1, shade: int = 0) -> Path:
        photo: ImageArray = np.full((192, 256, 3), GREY, dtype=np.uint8)
        photo += np.uint8(shade)
        photo[128:] = bricks(list(COATS).index(coat) * 1000 + shade, photo[128:].shape)
        for number in range(dogs):
            photo[32:96, 64 * number : 64 * number + 64] = COATS[coat]
        return write_png(photos / name, photo)

    return write


@pytest.fixture
def five_dogs(photos: Path, write_dog: WriteDog) -> Path:
    """The folder with four photos of each of five dogs."""
    for dog in COATS:
        for number in range(4):
            write_dog(f"{dog}/{number}.png", dog, shade=number * 30)
    return photos
