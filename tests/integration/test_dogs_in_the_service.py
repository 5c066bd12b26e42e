"""What a patched service answers about dogs. The tiny package makes every answer known beforehand."""

from __future__ import annotations

import itertools
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests

from harness.service import Service
from immich_dog_plugin.cli import main
from immich_dog_plugin.contract import TASK, check_answer, request_entries
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from tests.integration.asking import ask, assert_same_dogs, ordered_entries, png
from tests.integration.conftest import StartService
from tests.integration.waiting import wait_for
from tests.tiny_package import red_dog_photo

TINY = "tiny-v1"
STAGES = ("detection", "keypoint", "recognition")


def photo_of_two() -> ImageArray:
    """A certain dog on the left, and on the right one that scores about 0.6."""
    photo = red_dog_photo([(16, 48, 96, 128)])
    photo[48:128, 160:240] = (153, 0, 0)
    return photo


@pytest.mark.parametrize("order", list(itertools.permutations(STAGES)), ids="-".join)
def test_every_order_of_the_entries_gives_the_pipelines_answer(
    service: Service, tiny_pipeline: DogPipeline, order: tuple[str, ...]
) -> None:
    photo = photo_of_two()
    response = service.predict(ordered_entries(TINY, order), image=png(photo))
    assert response.status_code == 200
    answer = check_answer(response.content)
    assert (answer.image_width, answer.image_height) == (256, 192)
    assert len(answer.dogs) > 1
    assert_same_dogs(answer, tiny_pipeline(photo))


def test_a_photo_without_a_dog_is_an_empty_list(service: Service) -> None:
    response = service.predict(request_entries(TINY), image=png(red_dog_photo([])))
    assert response.json() == {TASK: [], "imageHeight": 192, "imageWidth": 256}


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_a_photo_of_any_shape_is_answered(service: Service, size: tuple[int, int]) -> None:
    answer = ask(service, png(red_dog_photo([(0, 0, *size)], size)), TINY)
    assert (answer.image_width, answer.image_height) == size


def test_detection_alone_answers_its_boxes_and_scores(service: Service, tiny_pipeline: DogPipeline) -> None:
    photo = photo_of_two()
    response = service.predict(ordered_entries(TINY, ["detection"]), image=png(photo))
    dogs = tiny_pipeline(photo)
    answer = response.json()[TASK]
    np.testing.assert_allclose(answer["boxes"], [dog.box for dog in dogs], atol=0.01)
    np.testing.assert_allclose(answer["scores"], [dog.score for dog in dogs], atol=1e-3)


def test_without_recognition_the_faces_stand_beside_the_boxes(service: Service) -> None:
    photo = red_dog_photo([(16, 48, 96, 128)])
    photo[photo[..., 0] == 255, 2] = 200  # blue in the red is a face to the tiny package
    response = service.predict(ordered_entries(TINY, ["keypoint", "detection"]), image=png(photo))
    answer = response.json()[TASK]
    assert len(answer["boxes"]) == len(answer["scores"]) == len(answer["keypoints"]) > 0
    assert np.shape(answer["keypoints"][0]) == (5, 3)


@pytest.mark.parametrize(
    "order", [["recognition"], ["keypoint"], ["recognition", "keypoint"], ["recognition", "detection"]]
)
def test_a_missing_dependency_is_answered_as_immich_does(service: Service, order: list[str]) -> None:
    response = service.predict(ordered_entries(TINY, order), image=png(photo_of_two()))
    assert response.status_code == 400
    assert "depends on output of" in response.json()["detail"]


def test_a_text_instead_of_an_image_is_refused(service: Service) -> None:
    response = service.predict(request_entries(TINY), text="a dog on the beach")
    assert response.status_code == 400
    assert response.json()["detail"] == "dog-identification needs an image, not a text"


@pytest.mark.parametrize("name", ["no-such-model", "", "../../etc", "clip/../x"])
def test_an_unknown_model_is_named_with_those_there_are_every_time(service: Service, name: str) -> None:
    for _ in range(3):
        response = service.predict(request_entries(name), image=png(photo_of_two()))
        assert response.status_code == 422
        assert TINY in response.json()["detail"]


@pytest.mark.parametrize("value", ["0.5", -0.1, 1.1, True, [0.5], {"a": 1}])
def test_a_min_score_that_is_no_score_is_refused_with_its_range(service: Service, value: object) -> None:
    entries = request_entries(TINY)
    entries[TASK]["detection"]["options"] = {"minScore": value}
    response = service.predict(entries, image=png(photo_of_two()))
    assert response.status_code == 422
    assert "it must be a number from 0 to 1" in response.json()["detail"]


def test_each_requests_min_score_counts_for_it_alone(
    service: Service, tiny_pipeline: DogPipeline, tiny_package: ModelPackage
) -> None:
    # a model of its own name, so that the first request builds it
    name = "first-request"
    shutil.copytree(tiny_package.path, service.cache / TASK / name)
    photo = photo_of_two()
    expected = {score: len(tiny_pipeline(photo, score)) for score in (0.9, None, 0.1)}
    assert len(set(expected.values())) == 3
    for score in (0.9, None, 0.1, None, 0.9):
        assert len(ask(service, png(photo), name, score).dogs) == expected[score]


def test_photos_in_parallel_never_swap_answers_or_options(service: Service, tiny_pipeline: DogPipeline) -> None:
    photos = [red_dog_photo([(x, y, x + 80, y + 80)]) for x in (0, 80, 160) for y in (0, 100)] + [photo_of_two()]
    jobs = [(photo, score) for photo in photos for score in (0.1, 0.5, 0.9)] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda job: ask(service, png(job[0]), TINY, job[1]), jobs))
    for (photo, score), answer in zip(jobs, answers, strict=True):
        assert_same_dogs(answer, tiny_pipeline(photo, score))


def test_dogs_and_faces_are_answered_in_one_request(service: Service, tiny_pipeline: DogPipeline) -> None:
    photo = photo_of_two()
    faces = {"facial-recognition": {"recognition": {"modelName": "buffalo_l"}, "detection": {"modelName": "buffalo_l"}}}
    alone = service.predict(faces, image=png(photo)).json()
    both = service.predict({**ordered_entries(TINY, reversed(STAGES)), **faces}, image=png(photo))
    assert_same_dogs(check_answer(both.content), tiny_pipeline(photo))
    assert both.json()["facial-recognition"] == alone["facial-recognition"] != []


def test_the_models_lie_where_immich_keeps_its_own(service: Service, tiny_package: ModelPackage) -> None:
    ask(service, png(photo_of_two()), TINY)
    for stage in STAGES:
        cached = service.cache / TASK / TINY / stage / "model.onnx"
        assert cached.read_bytes() == (tiny_package.path / stage / "model.onnx").read_bytes()


def test_the_predict_command_accepts_the_service(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(photo_of_two()))
    assert main(["predict", "--url", service.url, "--model", TINY, str(photo)]) == 0
    assert "embedding 512 numbers" in capsys.readouterr().out


def test_the_predict_command_says_that_a_service_is_not_patched(
    released_service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(photo_of_two()))
    assert main(["predict", "--url", released_service.url, "--model", TINY, str(photo)]) == 1
    assert "the service is not patched" in capsys.readouterr().err


def test_an_idle_service_unloads_its_models_and_answers_again(start: StartService, tmp_path: Path) -> None:
    image = png(photo_of_two())
    settings = {"MACHINE_LEARNING_MODEL_TTL": "1", "MACHINE_LEARNING_MODEL_TTL_POLL_S": "1"}
    with start(tmp_path, settings=settings) as service:
        before = ask(service, image, TINY)
        wait_for(lambda: "Shutting down due to inactivity" in service.log)
        wait_for(lambda: service.log.count("Application startup complete") == 2)
        wait_for(lambda: requests.get(f"{service.url}/ping", timeout=5).ok)
        assert ask(service, image, TINY) == before
        assert service.log.count("Loading detection model 'tiny-v1' to memory") == 2
