"""Requests for Immich's own models answer byte for byte as without the patch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.immich_models import FACES
from harness.immich_requests import DETECTION, NO_TASK, RECOGNITION, TWO_TASKS, bad_requests, own_requests
from harness.service import Service
from tests.integration.asking import png
from tests.integration.conftest import StartService
from tests.tiny_package import red_dog_photo

IMAGE = png(red_dog_photo([(16, 48, 96, 128)]))
OWN_REQUESTS, BAD_REQUESTS = own_requests(IMAGE), bad_requests(IMAGE)
BAD_DOG_REQUESTS: list[tuple[str, Any, int]] = [
    ("no model name", {"detection": {}}, 422),
    ("a model name that is no string", {"detection": {"modelName": 1}}, 422),
    ("an unknown type", {"smell": {"modelName": "tiny-v1"}}, 500),
    ("a task that is no object", 1, 422),
]


@pytest.fixture(scope="module")
def service_without_plugin(start: StartService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A patched service with the plugin uninstalled."""
    with start(tmp_path_factory.mktemp("uninstalled"), plugin=None) as running:
        yield running


def assert_same_answer(ours: Service, theirs: Service, entries: Any, payload: dict[str, Any]) -> int:
    our_answer, their_answer = ours.predict(entries, **payload), theirs.predict(entries, **payload)
    assert (our_answer.status_code, our_answer.content) == (their_answer.status_code, their_answer.content)
    assert our_answer.headers["content-type"] == their_answer.headers["content-type"]
    return our_answer.status_code


@pytest.mark.parametrize(("name", "entries", "payload"), OWN_REQUESTS, ids=[name for name, *_ in OWN_REQUESTS])
def test_immichs_own_models_answer_as_released(
    service: Service, released_service: Service, name: str, entries: Any, payload: dict[str, Any]
) -> None:
    assert assert_same_answer(service, released_service, entries, payload) == 200


def test_two_tasks_in_one_request_answer_as_released(service: Service, released_service: Service) -> None:
    ours, theirs = service.predict(TWO_TASKS, image=IMAGE), released_service.predict(TWO_TASKS, image=IMAGE)
    assert ours.status_code == 200
    assert ours.json() == theirs.json()


def test_a_request_for_nothing_is_answered_as_released(service: Service, released_service: Service) -> None:
    assert assert_same_answer(service, released_service, NO_TASK, {"image": IMAGE}) == 200


def test_the_faces_that_are_compared_are_real_answers(released_service: Service) -> None:
    answer = released_service.predict({"facial-recognition": RECOGNITION | DETECTION}, image=IMAGE).json()
    (face,) = answer["facial-recognition"]
    assert len(json.loads(face["embedding"])) == 512
    assert 0.89 < face["score"] < 0.91


@pytest.mark.parametrize(("name", "entries", "payload"), BAD_REQUESTS, ids=[name for name, *_ in BAD_REQUESTS])
def test_bad_requests_are_answered_as_released(
    service: Service, released_service: Service, name: str, entries: Any, payload: dict[str, Any]
) -> None:
    assert assert_same_answer(service, released_service, entries, payload) >= 400


@pytest.mark.parametrize(("name", "entry", "status"), BAD_DOG_REQUESTS, ids=[name for name, *_ in BAD_DOG_REQUESTS])
def test_bad_dog_requests_get_the_codes_of_immichs_own(service: Service, name: str, entry: Any, status: int) -> None:
    dogs = service.predict({"dog-identification": entry}, image=IMAGE)
    assert dogs.status_code == status
    own = json.loads(json.dumps(entry).replace("tiny-v1", FACES))
    faces = service.predict({"facial-recognition": own}, image=IMAGE)
    assert (dogs.status_code, dogs.content) == (faces.status_code, faces.content)


@pytest.mark.parametrize(("name", "entries", "payload"), OWN_REQUESTS, ids=[name for name, *_ in OWN_REQUESTS])
def test_with_the_plugin_uninstalled_a_patched_service_answers_as_released(
    service_without_plugin: Service, released_service: Service, name: str, entries: Any, payload: dict[str, Any]
) -> None:
    assert assert_same_answer(service_without_plugin, released_service, entries, payload) == 200


def test_with_the_plugin_uninstalled_the_task_is_as_unknown_as_it_was(
    service_without_plugin: Service, released_service: Service, tmp_path: Path
) -> None:
    entries = {"dog-identification": {"detection": {"modelName": "tiny-v1"}}}
    assert assert_same_answer(service_without_plugin, released_service, entries, {"image": IMAGE}) == 500
