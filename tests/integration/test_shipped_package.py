"""The models that ship, in a real service: on drawn dogs always, on real photos where there are any."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from drawn_dogs.photos import draw_dog, draw_group, draw_scene
from harness.service import Service
from immich_dog_plugin.client import upright_bytes
from immich_dog_plugin.contract import TASK, check_answer, request_entries
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage
from immich_dog_plugin.pipeline import Dog, DogPipeline
from tests.integration.asking import ask, assert_same_dogs, ordered_entries, png

REAL_PHOTOS = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def pipeline() -> DogPipeline:
    return DogPipeline.open(ModelPackage.open())


@pytest.fixture(scope="module")
def drawn(pipeline: DogPipeline) -> list[tuple[bytes, list[Dog]]]:
    """Drawn photos as PNG, with what the pipeline finds in each."""
    size = (400, 300)
    photos = [draw_dog(identity, identity, size=size).image for identity in range(3)]
    photos += [draw_group([0, 1], 0, size=size).image, draw_scene(0, size=size).image]
    return [(png(photo), pipeline(photo)) for photo in photos]


@pytest.mark.parametrize("order", list(itertools.permutations(("detection", "keypoint", "recognition"))), ids="-".join)
def test_drawn_dogs_keep_the_contract_in_every_order_of_the_entries(
    service: Service, drawn: list[tuple[bytes, list[Dog]]], order: tuple[str, ...]
) -> None:
    assert sum(len(dogs) for _, dogs in drawn) >= 3
    for image, dogs in drawn:
        response = service.predict(ordered_entries(DEFAULT_PACKAGE, order), image=image)
        assert response.status_code == 200
        assert_same_dogs(check_answer(response.content), dogs)


def test_a_grey_photo_holds_no_dog(service: Service) -> None:
    response = service.predict(request_entries(DEFAULT_PACKAGE), image=png(np.full((60, 80, 3), 128, dtype=np.uint8)))
    assert response.json() == {TASK: [], "imageHeight": 60, "imageWidth": 80}


def test_the_least_score_decides_how_many_dogs_there_are(
    service: Service, drawn: list[tuple[bytes, list[Dog]]]
) -> None:
    def count(min_score: float) -> int:
        return sum(len(ask(service, image, DEFAULT_PACKAGE, min_score).dogs) for image, _ in drawn)

    assert count(0.01) > count(1.0) == 0


@pytest.mark.parametrize("folder", ["photos/home_dogs", "photos/breed_dogs", "negatives"])
def test_real_photos_keep_the_contract_and_answer_as_the_pipeline(
    service: Service, pipeline: DogPipeline, folder: str
) -> None:
    photos = sorted(file for file in (REAL_PHOTOS / folder).rglob("*") if file.is_file())[::8]
    if not photos:
        pytest.skip(f"no real photos: {REAL_PHOTOS / folder} is not there; drawn dogs were tested")
    found = 0
    for photo in photos:
        answer = ask(service, upright_bytes(photo), DEFAULT_PACKAGE)
        assert_same_dogs(answer, pipeline(read_photo(photo)))
        found += len(answer.dogs) > 0
    assert (found < len(photos) / 2) if folder == "negatives" else (found > len(photos) / 2)
