"""The people mode in real, patched services: Immich's faces byte for byte, the dogs after them, or no answer at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.immich_requests import DETECTION, RECOGNITION, bad_requests, own_requests
from harness.service import Service
from immich_dog_plugin.contract import request_entries
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage
from immich_dog_plugin.people import dog_rows
from tests.integration.asking import png
from tests.integration.conftest import StartService
from tests.tiny_package import PEOPLE, red_dog_photo

FACES = {"facial-recognition": DETECTION | RECOGNITION}
DOG = red_dog_photo([(160, 96, 240, 176)])
NO_DOG = png(red_dog_photo([]))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_package: ModelPackage) -> Path:
    """A folder with the tiny package as the default one, ready for the People page."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_package.path, folder / DEFAULT_PACKAGE)
    manifest = tiny_package.manifest.model_copy(update={"people": PEOPLE})
    (folder / DEFAULT_PACKAGE / "manifest.json").write_text(manifest.model_dump_json())
    return folder


@pytest.fixture(scope="module")
def people_service(start: StartService, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A patched service with the people mode on."""
    settings = {"IMMICH_DOGS_PEOPLE": "on", "IMMICH_DOGS_MODELS": str(models)}
    with start(tmp_path_factory.mktemp("people"), settings=settings) as running:
        yield running


def rows(service: Service, image: bytes, entries: Any = FACES) -> list[dict[str, Any]]:
    response = service.predict(entries, image=image)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["facial-recognition"]
    return found


@pytest.mark.parametrize("order", [DETECTION | RECOGNITION, RECOGNITION | DETECTION], ids=["as sent", "the other way"])
def test_humans_are_byte_for_byte_as_released_and_dogs_follow(
    people_service: Service, released_service: Service, order: Any
) -> None:
    entries, image = {"facial-recognition": order}, png(DOG)
    ours, theirs = (service.predict(entries, image=image).content for service in (people_service, released_service))
    human, rest = theirs.split(b"]", maxsplit=2)[0], theirs[theirs.rindex(b"}],") + 1 :]
    assert ours.startswith(human)
    assert ours.endswith(rest)
    assert len(json.loads(ours)["facial-recognition"]) > len(json.loads(theirs)["facial-recognition"]) == 1


def test_the_dogs_are_those_of_their_own_task_asked_alone_or_beside(people_service: Service) -> None:
    dogs = people_service.predict(request_entries(DEFAULT_PACKAGE), image=png(DOG)).json()
    (human, *alone) = rows(people_service, png(DOG))
    size = (dogs["imageWidth"], dogs["imageHeight"])
    assert alone == dog_rows(dogs["dog-identification"], [human], size, "head", 0.5)
    both = people_service.predict({**FACES, **request_entries(DEFAULT_PACKAGE)}, image=png(DOG)).json()
    assert both["dog-identification"] == dogs["dog-identification"]
    assert both["facial-recognition"] == [human, *alone]


def test_a_photo_without_a_dog_and_every_other_request_is_answered_as_released(
    people_service: Service, released_service: Service
) -> None:
    for _, entries, payload in [*own_requests(NO_DOG), *bad_requests(NO_DOG)]:
        ours, theirs = (service.predict(entries, **payload) for service in (people_service, released_service))
        assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)


def test_requests_in_parallel_do_not_mix(people_service: Service) -> None:
    photos = [png(red_dog_photo([(x, y, x + 80, y + 80)])) for x in (0, 80, 160) for y in (0, 100)] * 4
    alone = [rows(people_service, photo) for photo in photos]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda photo: rows(people_service, photo), photos)) == alone


def test_a_mode_that_cannot_be_served_answers_500_and_never_humans_alone(
    start: StartService, models: Path, tmp_path: Path
) -> None:
    settings = {
        "IMMICH_DOGS_PEOPLE": "on",
        "IMMICH_DOGS_MODELS": str(models),
        "IMMICH_DOGS_PEOPLE_MAX_DISTANCE": "0.9",
    }
    with start(tmp_path, settings=settings) as service:
        for _ in range(4):
            response = service.predict(FACES, image=png(DOG))
            assert response.status_code == 500
            assert "IMMICH_DOGS_PEOPLE_MAX_DISTANCE is 0.9" in response.text
        assert (service.cache / "facial-recognition" / "buffalo_l" / "recognition" / "model.onnx").is_file()
