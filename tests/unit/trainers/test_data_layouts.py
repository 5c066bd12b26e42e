from __future__ import annotations

from pathlib import Path

import pytest

from immich_dog_plugin.errors import DogPluginError
from trainers.data.entries import DataError
from trainers.data.layouts import (
    read_csv,
    read_dogfacenet,
    read_folders,
    read_mpdd,
    read_shared,
    read_stanford,
)

from .drawn import write_photo


def test_the_shared_data_gives_its_train_and_val_dogs_and_never_its_test_dogs(tmp_path: Path) -> None:
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "index.csv").write_text(
        "split,set,dog,file,width,height,source_group\n"
        "train,mpdd,mpdd/002,mpdd/002/train_2_c1s4_2.jpg,10,10,c1\n"
        "val,stdove,stdove/A,stdove/A/img_1_head_1.jpg,10,10,img_1\n"
        "test,stdove,stdove/B,stdove/B/img_2_head_1.jpg,10,10,img_2\n"
    )
    train, val = read_shared(tmp_path)
    assert (train.split, train.dog, train.group, train.licence) == ("train", "mpdd/002", "c1", "CC BY 4.0")
    assert (val.split, val.dog, val.group, val.licence) == ("val", "stdove/A", "img_1", "private use only")
    assert train.file == tmp_path / "identity/mpdd/002/train_2_c1s4_2.jpg"


def test_a_folder_per_dog_names_the_dog_and_a_folder_within_it_the_encounter(tmp_path: Path) -> None:
    for name in ("Rex/a.jpg", "Rex/beach/b.jpg", "Rex/beach/c.jpg", "Bella/a.jpg"):
        write_photo(tmp_path / "mine" / name, 1)
    (tmp_path / "mine" / "Rex" / "notes.txt").write_text("not a photo")
    write_photo(tmp_path / "mine" / "nobody.jpg", 1)
    photos = {str(photo.file.relative_to(tmp_path / "mine")): photo for photo in read_folders(tmp_path / "mine")}
    assert {name: photo.dog for name, photo in photos.items()} == {
        "Bella/a.jpg": "Bella",
        "Rex/a.jpg": "Rex",
        "Rex/beach/b.jpg": "Rex",
        "Rex/beach/c.jpg": "Rex",
    }
    assert [photos[f"Rex/{name}.jpg"].group for name in ("a", "beach/b", "beach/c")] == [
        "Rex/a.jpg",
        "Rex/beach",
        "Rex/beach",
    ]
    assert photos["Rex/a.jpg"].set == "mine"
    assert photos["Rex/a.jpg"].group != photos["Bella/a.jpg"].group


def test_dogfacenet_is_found_below_the_unpacked_zip_and_only_numbers_are_dogs(tmp_path: Path) -> None:
    inside = tmp_path / "DogFaceNet_224resized" / "after_4_bis"
    for name in ("0/0.0.jpg", "0/0.1.jpg", "17/17.0.jpg", "thumbs/x.jpg"):
        write_photo(inside / name, 1)
    write_photo(tmp_path / "DogFaceNet_large" / "5" / "5.0.jpg", 1)
    photos = read_dogfacenet(tmp_path)
    assert [photo.dog for photo in photos] == ["0", "0", "17"]
    assert len({photo.group for photo in photos}) == 3
    assert read_dogfacenet(inside) == photos


def test_mpdd_tells_the_dog_and_the_scene_by_the_name_of_the_file(tmp_path: Path) -> None:
    for name in ("pytorch/gallery/gallery_0_c1s1_7.jpg", "train/train_12_c3s2_0.jpg", "query/query_12_c3s2_4.jpg"):
        write_photo(tmp_path / name, 1)
    write_photo(tmp_path / "readme.jpg", 1)
    photos = {photo.file.name: photo for photo in read_mpdd(tmp_path)}
    assert {name: (photo.dog, photo.group) for name, photo in photos.items()} == {
        "gallery_0_c1s1_7.jpg": ("0", "0/c1s1"),
        "train_12_c3s2_0.jpg": ("12", "12/c3s2"),
        "query_12_c3s2_4.jpg": ("12", "12/c3s2"),
    }


def test_stanford_dogs_have_a_breed_and_no_identity_and_placeholders_are_left_out(tmp_path: Path) -> None:
    write_photo(tmp_path / "images/Images/n02085620-Chihuahua/n02085620_7.jpg", 1)
    write_photo(tmp_path / "images/Images/n02086646-Blenheim_spaniel/n02086646_1.jpg", 2)
    for name in ("n02085620_8.jpg", "n02085620_9.jpg"):
        write_photo(tmp_path / "removed_images/n02085620-Chihuahua" / name, 3)
    write_photo(tmp_path / "stray" / "x.jpg", 4)
    photos = read_stanford(tmp_path)
    assert [(photo.dog, photo.breed) for photo in photos] == [(None, "Chihuahua"), (None, "Blenheim spaniel")]


def test_a_table_names_what_is_known_and_leaves_the_rest_to_defaults(tmp_path: Path) -> None:
    table = tmp_path / "dogs.csv"
    table.write_text(
        "file,dog,breed,source_group,licence,split\n"
        "photos/1.jpg,Rex,Pug,walk,CC0,val\n"
        "photos/2.jpg,Rex,,,,\n"
        "photos/3.jpg,,Beagle,,,train\n"
    )
    first, second, third = read_csv(table)
    assert (first.file, first.dog, first.breed) == (tmp_path / "photos/1.jpg", "Rex", "Pug")
    assert (first.group, first.licence, first.split) == ("walk", "CC0", "val")
    assert (second.set, second.group, second.licence, second.split) == ("dogs", "photos/2.jpg", "not stated", None)
    assert (third.dog, third.breed) == (None, "Beagle")


@pytest.mark.parametrize(
    ("content", "cause", "cure"),
    [
        ("path,dog\n1.jpg,Rex\n", "no column file", "first line"),
        ("file,dog\n,Rex\n", "Line 2", "Fill or remove"),
        ("file,dog\n1.jpg,\n", "Line 2 of .* lacks", "Fill or remove"),
        ("file,dog,split\n1.jpg,Rex,train\n2.jpg,Rex,test\n", "Line 3 .* split 'test'", "Write train, val, or nothing"),
        ("file,dog,breed,split\n1.jpg,,Pug,val\n", "Line 2 .* has no dog", "Only known dogs can choose"),
        ("file,dog\n", "no photo", "a line per photo"),
    ],
)
def test_a_table_that_cannot_be_read_says_where_and_what_to_do(
    tmp_path: Path, content: str, cause: str, cure: str
) -> None:
    table = tmp_path / "dogs.csv"
    table.write_text(content)
    with pytest.raises(DataError, match=cause) as raised:
        read_csv(table)
    assert cure in raised.value.cure


@pytest.mark.parametrize("read", [read_shared, read_folders, read_dogfacenet, read_mpdd, read_stanford, read_csv])
def test_a_source_that_is_not_there_or_not_in_its_layout_is_an_error(tmp_path: Path, read: object) -> None:
    assert callable(read)
    write_photo(tmp_path / "some" / "nobody.jpg", 1)
    for source in (tmp_path / "missing", tmp_path / "some"):
        with pytest.raises(DogPluginError):
            read(source)
