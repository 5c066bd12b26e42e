from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from immich_dog_plugin.errors import EvaluationError
from immich_dog_plugin.evaluation.background import AROUND, WHOLE
from immich_dog_plugin.evaluation.embedded import EmbeddedPhotos, embed_photos
from immich_dog_plugin.evaluation.photos import LabelledPhoto, read_labelled_photos
from immich_dog_plugin.geometry import LETTERBOX_GREY, largest_box
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.detector import Detections

from .conftest import WriteDog

Embed = Callable[[list[LabelledPhoto]], EmbeddedPhotos]


@pytest.fixture
def padded_pipeline(padded_package: ModelPackage) -> DogPipeline:
    return DogPipeline.open(padded_package)


@pytest.fixture
def embed(padded_pipeline: DogPipeline, padded_package: ModelPackage) -> Embed:
    """Embeds photos with the tiny, padded package."""
    return lambda photos: embed_photos(photos, padded_pipeline, padded_package)


def test_the_embedding_is_the_pipelines_own(embed: Embed, padded_pipeline: DogPipeline, write_dog: WriteDog) -> None:
    file = write_dog("Rex/1.png", "Rex")
    photos = embed([LabelledPhoto(file, "1", "Rex")])
    dogs = padded_pipeline(read_photo(file))
    dog = dogs[largest_box(np.stack([dog.box for dog in dogs]))]
    assert photos.embeddings[0] == pytest.approx(dog.embedding, abs=1e-6)
    assert photos.dogs[0] >= 1


def test_the_largest_dog_has_the_photos_name_and_not_the_surest(
    embed: Embed, padded_pipeline: DogPipeline, write_dog: WriteDog
) -> None:
    file = write_dog("Rex/1.png", "Rex")
    photo = read_photo(file)
    boxes = np.array([[0, 0, 9, 9], [2, 2, 30, 30]], dtype=np.float32)
    both = Detections(boxes, np.array([0.9, 0.4], dtype=np.float32))
    padded_pipeline.detector = lambda photo, min_score=None: both  # type: ignore[assignment]
    photos = embed([LabelledPhoto(file, "1", "Rex")])
    assert photos.dogs.tolist() == [2]
    surest, largest = (dog.embedding for dog in padded_pipeline(photo))
    assert photos.embeddings[0] == pytest.approx(largest, abs=1e-6)
    assert photos.embeddings[0] != pytest.approx(surest, abs=1e-3)


def test_a_photo_without_a_dog_is_embedded_whole_and_counted_as_not_found(
    embed: Embed, padded_pipeline: DogPipeline, photos: Path, write_dog: WriteDog
) -> None:
    write_dog("Rex/1.png", "Rex")
    empty = write_dog("Rex/2.png", "Rex", dogs=0)
    found = embed(read_labelled_photos(photos).photos)
    assert found.found.tolist() == [True, False]
    (whole,) = padded_pipeline.embedder([(read_photo(empty),)])
    assert found.embeddings[1] == pytest.approx(whole, abs=1e-6)
    for part in (AROUND, WHOLE):
        assert np.isfinite(found.backgrounds[part]).all(axis=1).tolist() == [True, False]


def test_the_background_is_the_photo_with_a_grey_box(
    embed: Embed, padded_pipeline: DogPipeline, write_dog: WriteDog
) -> None:
    file = write_dog("Rex/1.png", "Rex")
    found = embed([LabelledPhoto(file, "1", "Rex")])
    photo = read_photo(file)
    boxes = padded_pipeline.detector(Pyramid(photo)).boxes
    x1, y1, x2, y2 = boxes[largest_box(boxes)].round().astype(int)
    photo[y1:y2, x1:x2] = LETTERBOX_GREY
    (whole,) = padded_pipeline.embedder([(photo,)])
    assert found.backgrounds[WHOLE][0] == pytest.approx(whole, abs=1e-6)


def test_copies_of_a_photo_are_one_group_and_an_indexs_group_comes_first(embed: Embed, write_dog: WriteDog) -> None:
    one, copy, other = write_dog("1.png", "Rex"), write_dog("2.png", "Rex"), write_dog("3.png", "Rex", shade=9)
    groups = embed(
        [
            LabelledPhoto(one, "1", "Rex"),
            LabelledPhoto(copy, "2", "Rex"),
            LabelledPhoto(other, "3", "Rex"),
            LabelledPhoto(copy, "4", "Rex", group="set/7"),
        ]
    ).groups
    assert groups[0] == groups[1] != groups[2]
    assert groups[3] == "set/7"


def test_the_session_is_the_indexs_else_the_day_of_the_exif(embed: Embed, write_dog: WriteDog, tmp_path: Path) -> None:
    plain = write_dog("1.png", "Rex")
    dated = tmp_path / "dated.jpg"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    Image.fromarray(cv2.cvtColor(cv2.imread(str(plain)), cv2.COLOR_BGR2RGB)).save(dated, exif=exif)
    found = embed(
        [
            LabelledPhoto(dated, "1", "Rex"),
            LabelledPhoto(dated, "2", "Rex", session="party"),
            LabelledPhoto(plain, "3", "Rex"),
        ]
    )
    assert found.sessions.tolist() == ["2024-05-06", "party", ""]
    assert found.times[0] == datetime(2024, 5, 6, 7, 8, 9).timestamp()
    assert np.isnan(found.times[2])


def test_a_photo_that_cannot_be_read_is_noted_and_the_others_run(
    embed: Embed, photos: Path, write_dog: WriteDog
) -> None:
    write_dog("Rex/1.png", "Rex")
    (photos / "Rex" / "0.png").write_bytes(b"no picture")
    found = embed([*read_labelled_photos(photos).photos, LabelledPhoto(photos / "gone.png", "gone.png", "Rex")])
    assert found.keys == ["Rex/1.png"]
    assert [failure.key for failure in found.failures] == ["Rex/0.png", "gone.png"]
    assert "cannot be read" in found.failures[1].reason


def test_photos_that_all_fail_are_an_error(embed: Embed, photos: Path) -> None:
    with pytest.raises(EvaluationError, match="None of the 1 photos can be read"):
        embed([LabelledPhoto(photos / "gone.png", "gone.png", "Rex")])


def test_the_number_of_workers_shows_in_nothing(
    padded_pipeline: DogPipeline, padded_package: ModelPackage, five_dogs: Path
) -> None:
    (five_dogs / "Rex" / "1a.png").write_bytes(b"no picture")
    photos = read_labelled_photos(five_dogs).photos
    one, three = (embed_photos(photos, padded_pipeline, padded_package, workers=workers) for workers in (1, 3))
    assert one.keys == three.keys
    assert one.pictures == three.pictures
    assert one.failures == three.failures
    assert len(one.failures) == 1
    for name in ("embeddings", "labels", "groups", "sets", "sessions", "dogs", "times"):
        assert getattr(one, name).tobytes() == getattr(three, name).tobytes()
    assert one.backgrounds.keys() == three.backgrounds.keys()
    assert all(one.backgrounds[part].tobytes() == three.backgrounds[part].tobytes() for part in one.backgrounds)


def test_whatever_one_photo_raises_the_others_run(
    padded_pipeline: DogPipeline, padded_package: ModelPackage, five_dogs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = read_labelled_photos(five_dogs).photos
    detector = padded_pipeline.detector
    odd = read_photo(photos[3].path)

    def stumbling(photo: Pyramid, min_score: float | None = None) -> Detections:
        if np.array_equal(photo.level(1, 1, least=1)[0], odd):
            raise RuntimeError("a runtime's own error")
        return detector(photo, min_score)

    monkeypatch.setattr(padded_pipeline, "detector", stumbling)
    found = embed_photos(photos, padded_pipeline, padded_package)
    assert [failure.key for failure in found.failures] == [photos[3].key]
    assert "a runtime's own error" in found.failures[0].reason
    assert len(found.keys) == 19


def test_a_smaller_copy_is_no_pair_with_its_original(embed: Embed, write_dog: WriteDog, photos: Path) -> None:
    original, other = write_dog("Rex/1.png", "Rex", shade=1), write_dog("Rex/2.png", "Rex", shade=9)
    copy = photos / "Rex" / "1_preview.jpg"
    Image.open(original).convert("RGB").resize((192, 144)).save(copy, quality=80)
    of_one, of_other, of_copy = embed(
        [LabelledPhoto(file, file.name, "Rex") for file in (original, other, copy)]
    ).groups
    assert of_copy == of_one
    assert of_other != of_one


def test_the_original_that_an_index_names_is_believed(embed: Embed, write_dog: WriteDog) -> None:
    file = write_dog("Rex/1.png", "Rex")
    found = embed([LabelledPhoto(file, "a", "Rex", group="x"), LabelledPhoto(file, "b", "Rex", group="y")])
    assert found.groups.tolist() == ["x", "y"]
