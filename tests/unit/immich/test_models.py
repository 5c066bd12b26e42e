"""The three models inside the service: what they are given, what they answer, which options count."""

from __future__ import annotations

import itertools
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from immich_dog_plugin.contract import TASK, as_answer, request_entries
from immich_dog_plugin.dog_classifier import DogClassifier
from immich_dog_plugin.errors import ModelPackageError
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import Dog, DogPipeline
from tests.tiny_package import RED, red_dog_photo
from tests.unit.immich.conftest import up_to_v3_2
from tests.unit.immich.stand_in import HTTPException, ModelFormat, Service

TINY = "tiny-v1"
STAGES = ("detection", "keypoint", "recognition")


def photo_of_two() -> ImageArray:
    """On the left a certain dog that shows its face, on the right one that scores 0.6: a cell of the grid each."""
    photo = red_dog_photo([(64, 64, 96, 96)])
    photo[:, :128, 2] = 200  # the tiny network sees a face in blue
    photo[64:96, 192:224] = (153, 0, 0)
    return photo


def as_entries(dogs: list[Dog], photo: ImageArray) -> list[dict[str, Any]]:
    height, width = photo.shape[:2]
    return [as_answer(dog, width, height) for dog in dogs]


def some_stages(*stages: str, **options: Any) -> dict[str, Any]:
    slots: dict[str, Any] = {stage: {"modelName": TINY} for stage in stages}
    slots["detection"]["options"] = options
    return {TASK: slots}


@pytest.mark.parametrize("order", list(itertools.permutations(STAGES)), ids="-".join)
def test_every_order_of_the_entries_gives_the_pipelines_answer(
    service: Service, tiny_pipeline: DogPipeline, order: tuple[str, ...]
) -> None:
    photo = photo_of_two()
    answer = service.ask(some_stages(*order), Image.fromarray(photo))
    assert [dog["crop"] for dog in answer] == ["face", "body"]
    assert answer == as_entries(tiny_pipeline(photo), photo)


def test_the_models_see_red_green_and_blue_in_this_order(service: Service) -> None:
    photo = red_dog_photo([(64, 64, 96, 96)])
    assert len(service.ask(request_entries(TINY), Image.fromarray(photo))) == 1
    assert service.ask(request_entries(TINY), Image.fromarray(photo[..., ::-1].copy())) == []


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK"])
def test_a_photo_of_another_mode_is_converted(service: Service, mode: str) -> None:
    photo = Image.new("RGB", (256, 192), RED).convert(mode)
    assert len(service.ask(request_entries(TINY), photo)) > 0


def test_a_photo_without_a_dog_is_an_empty_list(service: Service) -> None:
    assert service.ask(request_entries(TINY), Image.fromarray(red_dog_photo([]))) == []


def test_detection_alone_answers_its_boxes_and_scores(service: Service, tiny_pipeline: DogPipeline) -> None:
    photo = photo_of_two()
    found = service.ask(some_stages("detection"), Image.fromarray(photo))
    dogs = tiny_pipeline(photo)
    np.testing.assert_array_equal(found.boxes, [dog.box for dog in dogs])
    np.testing.assert_array_equal(found.scores, np.float32([dog.score for dog in dogs]))


def test_without_recognition_the_faces_stand_beside_the_boxes(service: Service, tiny_pipeline: DogPipeline) -> None:
    photo = photo_of_two()
    found = service.ask(some_stages("keypoint", "detection"), Image.fromarray(photo))
    first, second = tiny_pipeline(photo)
    np.testing.assert_array_equal(found.boxes, [first.box, second.box])
    np.testing.assert_array_equal(found.keypoints[0], first.keypoints)
    assert found.keypoints[1] is second.keypoints is None


def test_a_text_instead_of_an_image_is_refused(service: Service) -> None:
    with pytest.raises(HTTPException, match="needs an image, not a text") as caught:
        service.ask(request_entries(TINY), "a dog on the beach")
    assert caught.value.status_code == 400


@pytest.mark.parametrize("value", [True, False, "0.5", -0.1, 1.1, math.inf, [0.5], {"a": 1}], ids=str)
def test_a_min_score_that_is_no_score_is_refused_with_its_range(service: Service, value: object) -> None:
    if value == math.inf and service.release == "from v3.3":
        value = 1e300  # the JSON of its requests knows no infinity
    with pytest.raises(HTTPException, match=r"minScore is .*: it must be a number from 0 to 1") as caught:
        service.ask(some_stages(*STAGES, minScore=value), Image.fromarray(photo_of_two()))
    assert caught.value.status_code == 422


def test_each_requests_min_score_counts_for_it_alone_and_0_is_one(service: Service, tiny_pipeline: DogPipeline) -> None:
    photo = photo_of_two()
    photo[128:160, 128:160] = (77, 0, 0)  # two more, which score 0.3 and 0.05
    photo[0:32, 128:160] = (13, 0, 0)
    expected = {score: len(tiny_pipeline(photo, score)) for score in (0.9, None, 0.1, 0, 1)}
    assert len({expected[score] for score in (0.9, None, 0.1, 0)}) == 4
    for score in (0.9, None, 0, 0.1, 0, None, 1, 0.9):
        entries = some_stages(*STAGES, minScore=score)
        assert len(service.ask(entries, Image.fromarray(photo))) == expected[score]


def test_an_option_of_the_request_does_not_say_where_the_models_lie(service: Service) -> None:
    service.ask(some_stages(*STAGES, cache_dir="/no/such/folder"), Image.fromarray(photo_of_two()))
    assert {model.cache_dir for model in service.models.values()} == {service.cache / TINY}


def test_dog_models_are_onnx_on_hardware_of_every_other_format(service: Service) -> None:
    service.ask(request_entries(TINY), Image.fromarray(photo_of_two()))
    assert {model.model_format for model in service.models.values()} == {ModelFormat.ONNX}


@up_to_v3_2
def test_the_threads_of_all_three_models_sleep_between_two_runs(service: Service) -> None:
    service.ask(request_entries(TINY), Image.fromarray(photo_of_two()))
    options = [model.session.sess_options for model in service.models.values()]
    spinning = [option.get_session_config_entry("session.intra_op.allow_spinning") for option in options]
    assert spinning == ["0", "0", "0"]
    assert [option.intra_op_num_threads for option in options] == [2, 2, 2]


class CountedImage(Image.Image):
    """Counts how often its pixels are copied out."""

    copies = 0

    def tobytes(self, *arguments: Any) -> bytes:
        self.copies += 1
        return super().tobytes(*arguments)


def counted(photo: ImageArray) -> CountedImage:
    image = Image.fromarray(photo)
    image.__class__ = CountedImage
    assert isinstance(image, CountedImage)
    return image


def test_a_photos_pixels_are_copied_out_once_and_no_longer_held_when_its_dogs_are_embedded(service: Service) -> None:
    photo = counted(photo_of_two())
    held = set(vars(photo))
    service.ask(some_stages("detection", "keypoint"), photo)
    assert set(vars(photo)) - held == {"copies", "_immich_dogs_pyramid"}
    service.ask(request_entries(TINY), photo)
    assert set(vars(photo)) - held == {"copies"}
    assert photo.copies == 1


def test_a_photo_larger_than_the_setting_is_refused_before_it_is_copied(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", "0.049152")  # 256 x 192 pixels
    assert len(service.ask(request_entries(TINY), Image.fromarray(photo_of_two()))) == 2
    monkeypatch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", "0.049")
    photo = counted(photo_of_two())
    with pytest.raises(HTTPException, match=r"256 x 192 pixels.*limit is 0\.049.*IMMICH_DOGS_MAX_MEGAPIXELS") as caught:
        service.ask(request_entries(TINY), photo)
    assert caught.value.status_code == 422
    assert photo.copies == 0


def test_a_wrong_setting_is_the_services_fault_and_named(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", "many")
    with pytest.raises(HTTPException, match="The setting IMMICH_DOGS_MAX_MEGAPIXELS is 'many'") as caught:
        service.ask(request_entries(TINY), Image.fromarray(photo_of_two()))
    assert caught.value.status_code == 500


def test_a_model_that_does_not_do_what_its_package_says_is_an_error_with_its_cure(service: Service) -> None:
    service.ask(request_entries(TINY), Image.fromarray(photo_of_two()))

    def fail(*_: Any) -> None:
        raise ModelPackageError("The model answers nonsense", "Put another there")

    service.models[TINY, "recognition"].embed = fail
    service.models[TINY, "recognition"].embed.side = 64  # type: ignore[attr-defined]
    with pytest.raises(HTTPException, match=r"The model answers nonsense\. Put another there") as caught:
        service.ask(request_entries(TINY), Image.fromarray(photo_of_two()))
    assert caught.value.status_code == 500


def test_the_service_answers_no_other_animal_either(
    service: Service, tiny_package: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny_package.path, tmp_path / "classified" / TINY))
    # A dog is who shows a face.
    classifier = DogClassifier((0.0,) * 512, face_weight=4.0, intercept=-2.0, min_probability=0.5, source="a test")
    manifest = tiny_package.manifest.model_copy(update={"dog_classifier": classifier})
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    monkeypatch.setenv("IMMICH_DOGS_MODELS", str(folder.parent))
    photo = photo_of_two()
    answer = service.ask(request_entries(TINY), Image.fromarray(photo))
    assert [dog["crop"] for dog in answer] == ["face"]
    assert answer == as_entries(DogPipeline.open(ModelPackage.open(folder))(photo), photo)
