"""Which part of a request is the plugin's, and with which options."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import entry_points
from typing import Any

import pytest
from PIL import Image

from immich_dog_plugin.contract import TASK, request_entries
from immich_dog_plugin.immich.options import RequestOptions, as_keywords
from immich_dog_plugin.immich.registry import find_model_class, take_entries
from immich_dog_plugin.model_package import ModelPackage
from tests.unit.immich.conftest import from_v3_3
from tests.unit.immich.stand_in import HTTPException, InferenceEntry, Service


@pytest.mark.parametrize(
    ("group", "function"), [("immich_ml.models", find_model_class), ("immich_ml.entries", take_entries)]
)
def test_the_entry_points_lead_to_the_registry(group: str, function: object) -> None:
    (entry_point,) = entry_points(group=group, name="dogs")
    assert entry_point.load() is function


@pytest.mark.parametrize("model_name", ["buffalo_l", "dog-identification-v1", 1, None])
def test_immichs_own_tasks_are_left_to_immich(model_name: Any) -> None:
    assert find_model_class(model_name, "detection", "facial-recognition") is None


@pytest.mark.parametrize(
    "name",
    ["no-such-model", "", "../../etc", "x/tiny-v1", "clip/../tiny-v1", "tiny-v1/", "x/own-v1", "own-v1.", "n" * 300],
)
def test_a_name_that_is_not_a_packages_own_is_refused_with_those_there_are_every_time(
    service: Service, tiny_package: ModelPackage, name: str
) -> None:
    for folder in ("own-v1", ".dogs-of-a-copy"):
        shutil.copytree(tiny_package.path, service.cache / folder)
    for _ in range(3):
        with pytest.raises(HTTPException, match=r"no dog model package .*own-v1, tiny-v1\. Name one") as caught:
            service.ask(request_entries(name), Image.new("RGB", (64, 64)))
        assert caught.value.status_code == 422
        assert ".dogs-of-a-copy" not in caught.value.detail
    assert not service.models


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("name", [1, None, ["tiny-v1"]])
def test_a_name_that_is_no_string_is_an_attribute_error_which_the_service_answers_as_its_own(name: Any) -> None:
    with pytest.raises(AttributeError):
        find_model_class(name, "detection", TASK)


@pytest.mark.usefixtures("service")
def test_a_type_that_dogs_do_not_have_is_left_to_immich() -> None:
    assert find_model_class("tiny-v1", "textual", TASK) is None


@pytest.mark.parametrize(
    "entries",
    [
        '{"clip":  {"visual": {"modelName": "ViT-B-32__openai"}}}',
        '{"facial-recognition": {"detection": {"modelName": "buffalo_l", "options": {"minScore": NaN}}}}',
        "{",
        "",
        "[]",
        '"dog-identification"',
        "[" * 100_000,
    ],
    ids=["another task", "no JSON to us", "cut", "empty", "a list", "a string", "deep"],
)
def test_a_request_without_dogs_is_handed_on_as_it_came(entries: str) -> None:
    assert take_entries(entries) == (entries, [])


@from_v3_3
@pytest.mark.usefixtures("service")
def test_the_dogs_are_taken_out_of_a_request_and_planned_in_its_order() -> None:
    slots = {
        "recognition": {"modelName": "tiny-v1"},
        "detection": {"modelName": "tiny-v1", "options": {"minScore": 0.3, "other": None}},
    }
    faces = {"recognition": {"modelName": "buffalo_l"}}
    rest, planned = take_entries(json.dumps({"dog-identification": slots, "facial-recognition": faces}))
    assert json.loads(rest) == {"facial-recognition": faces}
    assert [(entry.model.__name__, entry.name, entry.options) for entry in planned] == [
        ("DogEmbedder", "tiny-v1", {}),
        ("DogDetector", "tiny-v1", {"minScore": 0.3, "other": None}),
    ]
    assert all(isinstance(entry, InferenceEntry) for entry in planned)


@from_v3_3
@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "stages",
    [
        1,
        None,
        [],
        {"smell": {"modelName": "tiny-v1"}},
        {"detection": 1},
        {"detection": {}},
        {"detection": {"modelName": 1}},
        {"detection": {"modelName": "tiny-v1", "options": 1}},
        {"detection": {"modelName": "tiny-v1", "more": 1}},
    ],
    ids=str,
)
def test_a_malformed_request_for_dogs_is_a_value_error_which_v3_3_answers_as_its_own(stages: object) -> None:
    with pytest.raises(ValueError, match="validation error"):
        take_entries(json.dumps({"dog-identification": stages}))


def test_options_come_as_keywords_or_as_one_argument_that_no_request_can_forge() -> None:
    assert as_keywords({"minScore": 0.3}) == {"minScore": 0.3}
    assert as_keywords({"options": RequestOptions(minScore=0.3)}) == {"minScore": 0.3}
    assert as_keywords({"options": {"minScore": 0.3}}) == {"options": {"minScore": 0.3}}
