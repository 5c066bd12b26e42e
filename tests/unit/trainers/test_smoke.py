"""The layout that `python -m trainers.smoke` makes; `tox -e train-smoke` runs the commands themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.pipeline import Dog
from trainers.data.duplicates import measuring_photos
from trainers.data.identity import read_identities
from trainers.data.landmarks import read_landmarks
from trainers.data.layouts import read_csv, read_shared
from trainers.runs import TrainingError
from trainers.smoke.layout import lay_out

from .drawn import write_photo

FACE = np.array([[20, 20, 0.9], [40, 20, 0.9], [15, 5, 0.2], [45, 5, 0.8], [30, 35, 0.9]], dtype=np.float32)


class Teacher:
    """Sees a dog in every photo, and the face of every second one."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, photo: ImageArray) -> list[Dog]:
        self.seen += 1
        box = np.array([5, 5, 60, 50], dtype=np.float32)
        return [Dog(box, 0.9, FACE if self.seen % 2 else None, "body", np.zeros(512, dtype=np.float32))]


def folder_of_dogs(folder: Path, dogs: int) -> Path:
    for dog in range(dogs):
        for number in range(4):
            write_photo(folder / f"dog{dog:02}" / f"{number}.png", 10 * dog + number)
    for number in range(2):
        write_photo(folder / "no-dog" / f"{number}.png", 900 + number)
    return folder


def test_a_folder_per_dog_becomes_data_that_the_commands_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    lay_out(folder_of_dogs(tmp_path / "dogs", 10), data, Teacher())  # type: ignore[arg-type]

    splits = {split: {photo.dog for photo in read_identities(data, split)} for split in ("train", "val", "test")}
    assert {split: len(dogs) for split, dogs in splits.items()} == {"train": 2, "val": 4, "test": 2}
    assert not splits["train"] & splits["val"] | splits["val"] & splits["test"] | splits["train"] & splits["test"]
    assert all(photo.file.is_file() for photo in read_shared(data))

    breeds = read_csv(data / "breeds.csv")
    assert [photo.breed for photo in breeds] == ["dog00"] * 4 + ["dog01"] * 4
    assert all(photo.file.is_file() and photo.dog is None for photo in breeds)
    assert len(measuring_photos(data)) == 2 + 2 + 4 * 4 + 2 * 4  # with a dog, without, validation and test dogs


def test_every_split_has_dogs_with_a_face_and_dogs_without(tmp_path: Path) -> None:
    lay_out(folder_of_dogs(tmp_path / "dogs", 10), tmp_path / "data", Teacher())  # type: ignore[arg-type]
    dogs = read_landmarks(tmp_path / "data")
    assert all(dog.photo.is_file() for dog in dogs)
    for split in ("train", "val", "test"):
        whole = [dog.points[:, 2].any() for dog in dogs if (dog.split, dog.source) == (split, "faye")]
        assert {bool(face) for face in whole} == {True, False}
        assert any((dog.split, dog.source) == (split, "beagle_faces") for dog in dogs)
    with_face = next(dog for dog in dogs if dog.points[:, 2].any())
    np.testing.assert_allclose(with_face.points[:, 2], [1, 1, 0, 1, 1])  # of an unsure point nothing is said
    np.testing.assert_allclose(with_face.points[0, :2], [20, 20])


def test_too_few_dogs_are_an_error_that_says_how_to_draw_more(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"holds 5 dogs where 10 are needed.*drawn_dogs"):
        lay_out(folder_of_dogs(tmp_path / "dogs", 5), tmp_path / "data", Teacher())  # type: ignore[arg-type]
