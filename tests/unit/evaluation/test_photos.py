from __future__ import annotations

import os
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
        ("dog,file\nrex,1.jpg\nrex,../x.jpg\n", None, r"line 3, names \.\./x\.jpg, which is not in"),
        ("dog,file\nrex,a/../../x.jpg\n", None, "line 2, names a/../../x.jpg, which is not in"),
        ("dog,file\nrex,/etc/x.jpg\n", None, "line 2, names /etc/x.jpg, which is not in"),
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


def test_an_index_may_go_up_and_down_within_its_folder(tmp_path: Path) -> None:
    index(tmp_path, "dog,file\nrex,a/../1.jpg\n")
    assert [photo.key for photo in read_labelled_photos(tmp_path).photos] == ["a/../1.jpg"]


def test_a_link_that_leads_out_of_an_indexs_folder_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "private.jpg").touch()
    (data / "1.jpg").symlink_to(tmp_path / "private.jpg")
    index(data, "dog,file\nrex,1.jpg\n")
    with pytest.raises(EvaluationError, match=r"line 2, names 1\.jpg, which is not in"):
        read_labelled_photos(data)


def test_an_index_in_a_folder_that_is_a_link_is_read(tmp_path: Path) -> None:
    write(tmp_path, "data/1.jpg")
    index(tmp_path / "data", "dog,file\nrex,1.jpg\n")
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    assert len(read_labelled_photos(tmp_path / "link").photos) == 1


def test_folders_that_are_no_dogs_are_left_out_or_refused(tmp_path: Path) -> None:
    write(tmp_path, "2021/1.jpg", "DCIM/2.jpg")
    with pytest.raises(EvaluationError, match=r"The folders 2021, DCIM do not look.*--names folder takes them anyway"):
        read_labelled_photos(tmp_path, names="auto")
    assert [photo.dog for photo in read_labelled_photos(tmp_path, names="folder").photos] == ["2021", "DCIM"]
    write(tmp_path, "Rex/3.jpg")
    found = read_labelled_photos(tmp_path, names="auto")
    assert ([photo.dog for photo in found.photos], found.refused_names) == (["Rex"], ("2021", "DCIM"))
    assert found.without_dog_name == 0


def test_what_the_scan_could_not_use_is_kept_for_who_reports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "Rex/1.jpg", "Bella/2.jpg", "Rex/film.mp4")
    real = os.scandir

    def scandir(path: str) -> os._ScandirIterator[str]:  # root may read everything, so permissions prove nothing
        if Path(path).name == "Bella":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = read_labelled_photos(tmp_path)
    assert [failure.key for failure in found.failures] == ["Bella"]
    assert [one.key for one in found.left_out] == ["Rex/film.mp4"]
