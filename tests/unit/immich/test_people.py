"""The people mode in the service: whose rows come first, what is shared, and what fails the request."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image

from immich_dog_plugin.contract import request_entries
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.immich.registry import find_model_class, people_is_on, take_entries
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage
from immich_dog_plugin.people import dog_rows
from immich_dog_plugin.people_map import PeopleMap
from tests.tiny_package import PEOPLE, red_dog_photo
from tests.unit.immich.conftest import from_v3_3, up_to_v3_2
from tests.unit.immich.stand_in import FACES, FaceRecognizer, HTTPException, Service

HUMAN = (200.0, 8.0, 240.0, 48.0)


def photo_of_a_dog(x: int = 64) -> ImageArray:
    return red_dog_photo([(x, 64, x + 32, 96)])


def write_package(folder: Path, tiny: ModelPackage, **changes: Any) -> None:
    shutil.copytree(tiny.path, folder / DEFAULT_PACKAGE)
    manifest = tiny.manifest.model_copy(update={"people": PEOPLE, **changes})
    (folder / DEFAULT_PACKAGE / "manifest.json").write_text(manifest.model_dump_json())


@pytest.fixture
def people(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_package: ModelPackage) -> Service:
    """The service with the people mode on and a package that can serve it."""
    write_package(tmp_path / "models", tiny_package)
    monkeypatch.setenv("IMMICH_DOGS_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("IMMICH_DOGS_PEOPLE", "on")
    people_is_on.cache_clear()
    return service


def as_sent(answer: Any) -> bytes:
    """As the service writes it."""
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def test_off_immichs_own_class_answers_and_no_setting_is_looked_at(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMMICH_DOGS_PEOPLE_MAX_DISTANCE", "far")
    monkeypatch.setenv("IMMICH_DOGS_THREADS", "many")
    answer = service.faces(Image.fromarray(photo_of_a_dog()), [HUMAN])
    assert len(answer) == 1
    assert type(service.models[FACES, "recognition"]) is FaceRecognizer


def test_humans_come_first_and_byte_for_byte_as_immichs_and_dogs_follow(people: Service) -> None:
    photo = Image.fromarray(photo_of_a_dog())
    humans = FaceRecognizer("buffalo_l").predict(photo, [HUMAN, (8, 8, 40, 40)])
    answer = people.faces(photo, [HUMAN, (8, 8, 40, 40)])
    assert len(answer) == 3
    assert as_sent(answer).startswith(as_sent(humans)[:-1] + b",")
    dog = answer[2]
    assert {name: type(value) for name, value in dog["boundingBox"].items()} == dict.fromkeys(
        ("x1", "y1", "x2", "y2"), int
    )
    assert len(json.loads(dog["embedding"])) == 512
    assert dog["score"] > 0.9


def test_a_photo_without_a_human_is_asked_for_dogs_too(people: Service) -> None:
    assert len(people.faces(Image.fromarray(photo_of_a_dog()), [])) == 1
    assert people.faces(Image.fromarray(red_dog_photo([])), []) == []


def test_the_rows_are_those_of_the_dogs_own_task(people: Service) -> None:
    photo = Image.fromarray(photo_of_a_dog())
    dogs = people.ask(request_entries(DEFAULT_PACKAGE), Image.fromarray(photo_of_a_dog()))
    assert people.faces(photo, []) == dog_rows(dogs, [], photo.size, "head", 0.5)


def test_both_tasks_of_a_request_share_what_each_model_found(people: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = Image.fromarray(photo_of_a_dog())
    expected = people.ask(request_entries(DEFAULT_PACKAGE), Image.fromarray(photo_of_a_dog()))
    people.faces(Image.fromarray(photo_of_a_dog()), [])  # all is loaded
    from immich_dog_plugin.immich import dog_detector, dog_embedder, dog_keypoint

    seen = []
    for kind in (dog_detector.DogDetector, dog_keypoint.DogKeypoint, dog_embedder.DogEmbedder):
        own = kind._predict

        def counted(self: Any, *inputs: Any, own: Any = own, **options: Any) -> Any:
            seen.append(self.stage_name)
            return own(self, *inputs, **options)

        monkeypatch.setattr(kind, "_predict", counted)
    with ThreadPoolExecutor(2) as pool:
        faces = pool.submit(people.faces, photo, [])
        dogs = pool.submit(people.ask, request_entries(DEFAULT_PACKAGE), photo)
        assert len(faces.result()) == 1
        assert dogs.result() == expected
    assert sorted(seen) == ["detection", "keypoint", "recognition"]


def test_requests_in_parallel_do_not_mix(people: Service) -> None:
    photos = [photo_of_a_dog(x) for x in (0, 32, 64, 96, 128, 160)] * 4
    alone = [people.faces(Image.fromarray(photo), []) for photo in photos]
    assert len({as_sent(answer) for answer in alone}) == 6
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda photo: people.faces(Image.fromarray(photo), []), photos))
    assert together == alone


def test_dogs_have_a_least_score_of_their_own(people: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = photo_of_a_dog()
    photo[64:96, 192:224] = (153, 0, 0)  # a dog of score 0.6, below the server's 0.7
    assert len(people.faces(Image.fromarray(photo), [])) == 2
    monkeypatch.setenv("IMMICH_DOGS_PEOPLE_MIN_SCORE", "0.8")
    from immich_dog_plugin.immich.people import people_dogs

    people_dogs.cache_clear()
    assert len(people.faces(Image.fromarray(photo), [])) == 1


def test_whatever_breaks_in_the_dogs_part_fails_the_request(people: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from immich_dog_plugin.immich import people as mode

    def broken(*_: Any) -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setattr(mode, "dog_rows", broken)
    for _ in range(3):
        with pytest.raises(HTTPException, match="No dogs for the People page: OSError: the disk is gone") as caught:
            people.faces(Image.fromarray(photo_of_a_dog()), [HUMAN])
        assert caught.value.status_code == 500
    monkeypatch.undo()
    assert FaceRecognizer.clears == []


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("IMMICH_DOGS_PEOPLE_MAX_DISTANCE", "0.9", r"is 0\.9, and this model package .* 0\.200 to 0\.700"),
        ("IMMICH_DOGS_PEOPLE_MAX_DISTANCE", "far", "IMMICH_DOGS_PEOPLE_MAX_DISTANCE is 'far'"),
        ("IMMICH_DOGS_PEOPLE_MIN_SCORE", "2", "IMMICH_DOGS_PEOPLE_MIN_SCORE is '2'"),
        ("IMMICH_DOGS_PEOPLE_BOX", "tail", "IMMICH_DOGS_PEOPLE_BOX is 'tail'"),
        ("IMMICH_DOGS_PEOPLE", "perhaps", "IMMICH_DOGS_PEOPLE is 'perhaps'"),
    ],
)
def test_a_setting_that_cannot_be_served_fails_every_request_and_clears_no_cache(
    people: Service, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, message: str
) -> None:
    monkeypatch.setenv(setting, value)
    people_is_on.cache_clear()
    for _ in range(4):
        with pytest.raises(HTTPException, match=message) as caught:
            people.faces(Image.fromarray(photo_of_a_dog()), [HUMAN])
        assert caught.value.status_code == 500
    assert FaceRecognizer.clears == []


def test_once_the_models_are_back_the_same_service_answers(people: Service, tmp_path: Path) -> None:
    model = tmp_path / "models" / DEFAULT_PACKAGE / "recognition" / "model.onnx"
    kept = model.read_bytes()
    model.write_bytes(b"damaged")
    for _ in range(3):
        with pytest.raises(HTTPException, match="is corrupted"):
            people.faces(Image.fromarray(photo_of_a_dog()), [HUMAN])
    model.write_bytes(kept)
    assert len(people.faces(Image.fromarray(photo_of_a_dog()), [HUMAN])) == 2


def test_a_package_without_the_table_is_refused_with_its_cure(
    people: Service, tiny_package: ModelPackage, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "models")
    write_package(tmp_path / "models", tiny_package, people=None)
    with pytest.raises(HTTPException, match=r"does not say how far apart .* trainers\.calibrate"):
        people.faces(Image.fromarray(photo_of_a_dog()), [HUMAN])


@up_to_v3_2
def test_what_immich_does_not_know_it_says_itself(people: Service) -> None:
    with pytest.raises(ValueError, match="Unknown model combination: no-such-model"):
        people.faces(Image.fromarray(photo_of_a_dog()), [], "no-such-model")
    with pytest.raises(AttributeError):
        find_model_class(1, "recognition", FACES)  # type: ignore[arg-type]


@from_v3_3
@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    "entries",
    [
        '{"facial-recognition": {"detection": {"modelName": "buffalo_l"}}}',
        '{"facial-recognition": {"recognition": {"modelName": 1}}}',
        '{"facial-recognition": 1}',
        '{"smell": {}}',
        "{}",
        "[]",
        "{",
        "[" * 100_000,
    ],
    ids=lambda entries: entries[:40],
)
def test_what_asks_for_no_face_recognition_is_handed_on_as_it_came(entries: str) -> None:
    assert take_entries(entries) == (entries, [])


@from_v3_3
@pytest.mark.usefixtures("people")
def test_immichs_options_go_along_and_its_detection_stays() -> None:
    detection = {"modelName": "buffalo_l", "options": {"minScore": 0.7}}
    recognition = {"modelName": "buffalo_l", "options": {"other": 1.5}}
    rest, taken = take_entries(json.dumps({FACES: {"detection": detection, "recognition": recognition}}))
    assert json.loads(rest) == {FACES: {"detection": detection}}
    (entry,) = taken
    assert issubclass(entry.model, FaceRecognizer)
    assert (entry.name, entry.options) == ("buffalo_l", {"other": 1.5})


def test_the_table_is_what_the_mode_stands_on() -> None:
    assert PEOPLE.exponent(0.5) == pytest.approx(0.5)
    assert PeopleMap.model_validate_json(PEOPLE.model_dump_json()) == PEOPLE
    assert np.isclose(PEOPLE.exponent(0.35), 0.75)
