from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from immich_dog_plugin.contract import as_answer, check_answer, request_entries
from immich_dog_plugin.errors import ServiceError
from immich_dog_plugin.pipeline import DogPipeline
from tests.tiny_package import red_dog_photo

POINTS = ("left_eye", "right_eye", "left_ear", "right_ear", "nose")


def good_answer() -> dict[str, Any]:
    vector = np.ones(512) / np.sqrt(512)
    dog = {
        "boundingBox": {"x1": 0, "y1": 0, "x2": 40, "y2": 30},
        "score": 0.9,
        "embedding": json.dumps(vector.tolist()),
        "keypoints": {name: [1.5, 2.5, 0.7] for name in POINTS},
        "crop": "face",
    }
    other = copy.deepcopy(dog) | {"score": 0.5, "keypoints": None, "crop": "body"}
    return {"dog-identification": [dog, other], "imageWidth": 40, "imageHeight": 30}


def test_a_good_answer_is_parsed() -> None:
    answer = check_answer(json.dumps(good_answer()))
    assert [dog.crop for dog in answer.dogs] == ["face", "body"]
    assert answer.dogs[0].vector.shape == (512,)
    assert (answer.image_width, answer.image_height) == (40, 30)


def test_an_empty_list_is_a_good_answer_and_answers_of_other_tasks_may_stand_beside_it() -> None:
    answer = {"dog-identification": [], "clip": "[0.1]", "imageWidth": 1, "imageHeight": 1}
    assert check_answer(json.dumps(answer)).dogs == ()


def test_what_the_pipeline_answers_keeps_the_contract(tiny_pipeline: DogPipeline) -> None:
    photo = red_dog_photo([(40, 40, 120, 120), (160, 90, 240, 170)])
    height, width = photo.shape[:2]
    dogs = [as_answer(dog, width, height) for dog in tiny_pipeline(photo)]
    answer = {"dog-identification": dogs, "imageWidth": width, "imageHeight": height}
    assert len(check_answer(json.dumps(answer)).dogs) == len(dogs) > 0


@pytest.mark.parametrize(
    ("where", "value", "complaint"),
    [
        (("boundingBox", "x1"), 0.5, "x1: Input should be a valid integer"),
        (("boundingBox", "x1"), -1, "x1: Input should be greater than or equal to 0"),
        (("boundingBox", "x1"), 40, "the box is empty"),
        (("boundingBox", "x2"), 41, "a box reaches beyond the photo"),
        (("boundingBox", "y2"), 31, "a box reaches beyond the photo"),
        (("score",), 1.1, "score: Input should be less than or equal to 1"),
        (("score",), "0.9", "score: Input should be a valid number"),
        (("score",), 0.1, "not in the order of their scores"),
        (("embedding",), [0.1] * 512, "embedding: Input should be a valid string"),
        (("embedding",), "[0.1", "the string is no JSON"),
        (("embedding",), "{}", "no JSON array of numbers"),
        (("embedding",), json.dumps(["1"] * 512), "no JSON array of numbers"),
        (("embedding",), json.dumps([None] * 512), "no JSON array of numbers"),
        (("embedding",), json.dumps([True] * 512), "no JSON array of numbers"),
        (("embedding",), "[" + "NaN," * 511 + "NaN]", "the string is no JSON"),
        (("embedding",), json.dumps([1.0] + [0.0] * 510), "511 numbers instead of 512"),
        (("embedding",), json.dumps([1.01] + [0.0] * 511), r"its length is 1\.0100 instead of 1"),
        (("keypoints",), {"nose": [1, 2, 0.5]}, "the points are"),
        (("keypoints", "nose"), [1, 2], "keypoints.nose"),
        (("keypoints", "nose"), [1, 2, 1.5], "keypoints.nose"),
        (("crop",), "tail", "crop: Input should be 'face', 'body' or 'both'"),
        (("breed",), "collie", "Extra inputs are not permitted"),
    ],
)
def test_what_breaks_the_contract_is_named(where: tuple[str, ...], value: Any, complaint: str) -> None:
    answer = good_answer()
    parent: Any = answer["dog-identification"][0]
    for key in where[:-1]:
        parent = parent[key]
    parent[where[-1]] = value
    with pytest.raises(ServiceError, match=complaint):
        check_answer(json.dumps(answer))


@pytest.mark.parametrize("missing", ["dog-identification", "imageWidth", "imageHeight"])
def test_a_missing_part_is_named(missing: str) -> None:
    answer = good_answer()
    del answer[missing]
    with pytest.raises(ServiceError, match=f"{missing}: Field required"):
        check_answer(json.dumps(answer))


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ServiceError, match="Invalid JSON"):
        check_answer("<html>")


def test_a_request_leaves_the_least_score_to_the_manifest_unless_one_is_given() -> None:
    assert request_entries("v1")["dog-identification"]["detection"] == {"modelName": "v1"}
    assert request_entries("v1", 0.0)["dog-identification"]["detection"]["options"] == {"minScore": 0.0}
