"""The package that ships, on a cat beside a dog; needs the photos of ``../shared/data``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.geometry import ImageArray, resize
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

ROOT = Path(__file__).parents[2]
REAL_PHOTOS = ROOT.parent / "shared" / "data"
SIDE = 400
PAIRS = 8


@pytest.fixture(scope="module")
def pipeline() -> DogPipeline:
    return DogPipeline.open(ModelPackage.open(ROOT / "artifacts" / "dog-identification-v1"))


def photos(folder: str) -> list[ImageArray]:
    """The first of a folder by name, each squashed to a square no more than a little, so that it fills its half."""
    if not (REAL_PHOTOS / folder).is_dir():
        pytest.skip(
            f"{REAL_PHOTOS / folder} is not here: what is answered for a real cat beside a real dog is not tested"
        )
    files = sorted((REAL_PHOTOS / folder).glob("*"))
    squarish = [photo for photo in map(read_photo, files) if 0.7 < photo.shape[0] / photo.shape[1] < 1.4]
    return [resize(photo, SIDE, SIDE) for photo in squarish[:PAIRS]]


def test_of_a_cat_beside_a_dog_the_dog_is_found_and_the_cat_is_not(pipeline: DogPipeline) -> None:
    found = confused = 0
    for number, (cat, dog) in enumerate(zip(photos("negatives/cats"), photos("photos/breed_dogs"), strict=True)):
        dog_left = number % 2 == 0
        dogs = pipeline(np.hstack([dog, cat] if dog_left else [cat, dog]))
        on_left = [bool(one.box[::2].mean() < SIDE) for one in dogs]
        found += dog_left in on_left
        confused += (not dog_left) in on_left
    assert (found, confused) == (PAIRS, 0)


def test_two_cats_side_by_side_are_no_dogs(pipeline: DogPipeline) -> None:
    cats = photos("negatives/cats")
    counts = [len(pipeline(np.hstack(pair))) for pair in zip(cats[::2], cats[1::2], strict=True)]
    assert counts == [0] * (PAIRS // 2)
