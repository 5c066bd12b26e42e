"""Where dogs are in photos that train, and views of their bodies and faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from immich_dog_plugin.pipeline import DogPipeline
from tests.tiny_package import red_dog_photo, write_png
from trainers.data.entries import BREEDS, TRAIN, VAL, DataError, write_entries
from trainers.data.find_dogs import look, seen
from trainers.data.found import NOWHERE, Place, key, place_of, read_places, write_places
from trainers.embedder.augment import BodyAndFace
from trainers.embedder.material import Material
from trainers.embedder.recipe import Recipe

from .drawn import drawn_photo, entry, write_photo

FACE = Place.model_validate(
    {"box": (10, 10, 70, 50), "face": [(30, 25, 0.9), (50, 25, 0.9), (25, 15, 0.9), (55, 15, 0.9), (40, 35, 0.9)]}
)


def test_what_was_found_is_read_back(tmp_path: Path) -> None:
    write_places(tmp_path / "found.json", {"a": FACE, "b": NOWHERE})
    assert read_places(tmp_path / "found.json") == {"a": FACE, "b": NOWHERE}
    assert NOWHERE.keypoints is None
    np.testing.assert_array_equal(NOWHERE.box_in(80, 60), [0, 0, 80, 60])
    np.testing.assert_array_equal(FACE.box_in(80, 60), [10, 10, 70, 50])


@pytest.mark.parametrize("content", [None, "{", '{"a": {"box": [1, 2], "face": null}}'])
def test_a_missing_or_damaged_file_says_how_to_make_it(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "found.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError, match=r"(?s)found\.json.*python -m trainers\.data\.find_dogs"):
        read_places(file)


def test_a_photo_that_moves_keeps_its_place_and_one_that_nobody_looked_at_is_named(tmp_path: Path) -> None:
    file = write_photo(tmp_path / "dog.png", 1)
    places = {key(file): FACE}
    assert place_of(file.rename(tmp_path / "moved.png"), places) == FACE
    with pytest.raises(DataError, match=r"other\.png.*find_dogs"):
        place_of(write_photo(tmp_path / "other.png", 2), places)


def test_a_photo_is_looked_at_once_and_a_photo_without_a_dog_is_noted(
    tmp_path: Path, tiny_pipeline: DogPipeline
) -> None:
    dog = write_png(tmp_path / "dog.png", red_dog_photo([(64, 32, 96, 64)]))
    empty = write_png(tmp_path / "empty.png", red_dog_photo([]))
    photos, known = {key(file): file for file in (dog, empty)}, {"known": FACE}
    look(tiny_pipeline, photos, known, tmp_path / "found.json")
    places = read_places(tmp_path / "found.json")
    assert set(places) == {"known", *photos}
    assert places[key(empty)].box is None
    assert places[key(dog)] == seen(tiny_pipeline, dog)
    x1, _, x2, _ = places[key(dog)].box_in(1, 1)
    assert (x1 + x2) / 2 == pytest.approx(80, abs=1)

    def never(*_: object) -> None:
        raise AssertionError("looked again")

    look(never, photos, places, tmp_path / "found.json")  # type: ignore[arg-type]


def test_views_of_a_dog_are_two_of_its_body_and_two_of_its_face(tmp_path: Path) -> None:
    photo = drawn_photo(1, 80, 60)
    photo[10:50, 10:70] = (255, 0, 0)  # the dog
    photo[20:40, 25:55] = (0, 0, 255)  # its face
    file = write_photo(tmp_path / "dog.png", photo)
    torch.manual_seed(3)
    draws = [BodyAndFace(48, {key(file): FACE})(file) for _ in range(12)]
    assert all([view.shape for view in views] == [(48, 48, 3)] * 4 for views in draws)
    blue = np.array([[view[..., 2].mean() - view[..., 0].mean() for view in views] for views in draws]).mean(axis=0)
    assert blue[2:].min() > blue[:2].max() + 20  # faces are bluer than bodies
    assert all(not np.array_equal(views[0], views[1]) and not np.array_equal(views[2], views[3]) for views in draws)


def test_only_dogs_whose_face_is_known_are_seen_by_body_and_face(tmp_path: Path) -> None:
    files = [write_photo(tmp_path / f"{number}.png", number) for number in range(4)]
    write_entries(tmp_path / TRAIN, [entry(files[0], 0)])
    write_entries(tmp_path / VAL, [entry(files[1], 1)])
    write_entries(tmp_path / BREEDS, [entry(file, None, breed_label="pug") for file in files[2:]])
    write_places(tmp_path / "found.json", {key(files[1]): FACE, key(files[2]): FACE, key(files[3]): NOWHERE})
    masks, found = tmp_path / "masks", tmp_path / "found.json"
    material = Material.read(Recipe(loss="views", views_of="dog"), tmp_path, masks, found)
    assert [one.file_path for one in material.bred] == files[2:3]
    height, width, _ = material.body(files[1]).shape
    assert (width, height) == (66, 46)  # the box and a twentieth of its longer side around it
    photos = Material.read(Recipe(loss="views"), tmp_path, masks)
    assert len(photos.bred) == 2
    assert photos.body(files[1]).shape == (60, 80, 3)
