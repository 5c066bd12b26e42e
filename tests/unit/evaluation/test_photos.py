from __future__ import annotations

from pathlib import Path

import pytest

from immich_dog_plugin.errors import EvaluationError, PhotoError
from immich_dog_plugin.evaluation.photos import INDEX, LabelledPhoto, read_labelled_photos


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def index(folder: Path, text: str) -> None:
    (folder / INDEX).write_text(text, encoding="utf-8")


def test_subfolders_name_the_dogs_and_other_photos_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "Rex/1.jpg", "Rex/2020/2.jpg", "Bella/1.png", "party.jpg")
    found = read_labelled_photos(tmp_path)
    assert [(photo.dog, photo.key) for photo in found.photos] == [
        ("Bella", "Bella/1.png"),
        ("Rex", "Rex/1.jpg"),
        ("Rex", "Rex/2020/2.jpg"),
    ]
    assert found.without_dog_name == 1
    assert found.photos[0].group is None


def test_an_output_folder_among_the_photos_is_no_dog(tmp_path: Path) -> None:
    write(tmp_path, "Rex/1.jpg", "out/1.jpg")
    assert [photo.dog for photo in read_labelled_photos(tmp_path, exclude=tmp_path / "out").photos] == ["Rex"]


def test_an_index_says_more_than_folders(tmp_path: Path) -> None:
    index(
        tmp_path,
        "\ufeffsplit,set,dog,file,width,source_group,session\n"
        "test,street,rex,a/1.jpg,99,7,monday\n"
        "test,street,rex,a/2.jpg,99,,\n"
        "val,sofa,bella,b/1.jpg,99,7,\n",
    )
    assert read_labelled_photos(tmp_path, "test").photos == [
        LabelledPhoto(tmp_path / "a/1.jpg", "a/1.jpg", "rex", "street", "street/7", "monday"),
        LabelledPhoto(tmp_path / "a/2.jpg", "a/2.jpg", "rex", "street", None, None),
    ]


def test_an_index_needs_only_dog_and_file(tmp_path: Path) -> None:
    index(tmp_path, "dog,file\nrex,1.jpg\n")
    assert read_labelled_photos(tmp_path).photos == [LabelledPhoto(tmp_path / "1.jpg", "1.jpg", "rex")]


@pytest.mark.parametrize(
    ("text", "split", "words"),
    [
        ("dog\nrex\n", None, "has no column file"),
        ("name,path\n", None, "has no column dog and no column file"),
        ("dog,file\n", None, "has no rows"),
        ("dog,file\nrex,1.jpg\n,2.jpg\n", None, "line 3, lacks the dog"),
        ("dog,file\nrex,1.jpg\nbella,1.jpg\n", None, "lists 1.jpg twice"),
        ("split,dog,file\ntest,rex,1.jpg\nval,rex,2.jpg\n", None, "has the splits test, val. Choose one"),
        ("split,dog,file\ntest,rex,1.jpg\n", "Test", "has no split 'Test'. It has: test"),
        ("dog,file\nrex,1.jpg\n", "test", "has no split 'test'. It has: none"),
    ],
)
def test_an_index_that_cannot_be_used_says_why(tmp_path: Path, text: str, split: str | None, words: str) -> None:
    index(tmp_path, text)
    with pytest.raises(EvaluationError, match=words):
        read_labelled_photos(tmp_path, split)


def test_an_index_that_is_no_utf_8_says_so(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(b"dog,file\nB\xe4r,1.jpg\n")
    with pytest.raises(EvaluationError, match="Save it as CSV in UTF-8"):
        read_labelled_photos(tmp_path)


def test_photos_without_a_dogs_name_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, "1.jpg")
    with pytest.raises(EvaluationError, match="Put the photos of each dog into a folder"):
        read_labelled_photos(tmp_path)


def test_a_split_needs_an_index(tmp_path: Path) -> None:
    write(tmp_path, "Rex/1.jpg")
    with pytest.raises(EvaluationError, match="--split test needs"):
        read_labelled_photos(tmp_path, "test")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="does not exist"):
        read_labelled_photos(tmp_path / "photos")
