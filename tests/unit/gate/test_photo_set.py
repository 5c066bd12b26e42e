"""Which photos a set holds, which limits count for it, and the drawn dogs' cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from harness.gate import photo_set
from harness.gate.limits import Limits, default_limits
from harness.gate.photo_set import drawn_photo_set, read_photo_set
from immich_dog_plugin.errors import EvaluationError


def put_photo(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6)).save(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for key in ("rex/1.png", "rex/2.png", "bella/1.png", "no-dog/1.png", "loose.png"):
        put_photo(tmp_path / "mine" / key)
    return tmp_path / "mine"


def test_a_folder_per_dog_is_a_set_without_the_photos_that_show_no_dog(folder: Path) -> None:
    found = read_photo_set(folder)
    assert [(photo.dog, photo.key) for photo in found.photos] == [
        ("bella", "bella/1.png"),
        ("rex", "rex/1.png"),
        ("rex", "rex/2.png"),
    ]
    assert (found.name, found.left_out, found.limits) == ("mine", 2, default_limits("real"))


def test_an_index_names_dogs_and_originals(folder: Path) -> None:
    rows = ["split,dog,file,source_group", "test,rex,rex/1.png,7", "test,rex,rex/2.png,7", "val,bella,bella/1.png,8"]
    (folder / "index.csv").write_text("\n".join(rows))
    found = read_photo_set(folder, "test")
    assert [(photo.dog, photo.group) for photo in found.photos] == [("rex", "/7"), ("rex", "/7")]
    assert found.name == "mine-test"


def test_a_set_may_bring_its_own_limits(folder: Path) -> None:
    (folder / "limits.toml").write_text("found = 0.9\nsame_dog = 0.8\ndifferent_dogs = 0.7\nmargin = -0.1\n")
    assert read_photo_set(folder).limits == Limits(found=0.9, same_dog=0.8, different_dogs=0.7, margin=-0.1)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("found = 0.9", "same_dog: Field required"),
        ("found = 90\nsame_dog = 0.8\ndifferent_dogs = 0.7\nmargin = 0.1", "found: Input should be less than or equal"),
        ("found = ", "cannot be read"),
        ("fuond = 0.9\nfound = 1\nsame_dog = 1\ndifferent_dogs = 1\nmargin = 1", "fuond: Extra inputs"),
    ],
)
def test_limits_that_cannot_be_used_are_refused_with_cause_and_cure(folder: Path, content: str, cause: str) -> None:
    (folder / "limits.toml").write_text(content)
    with pytest.raises(EvaluationError, match=cause) as caught:
        read_photo_set(folder)
    assert "found = 0.75" in caught.value.cure


def test_the_drawn_dogs_are_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Path] = []

    def write_tree(folder: Path, **_: object) -> None:
        drawn.append(folder)
        put_photo(folder / "amber" / "1.png")

    monkeypatch.setattr(photo_set, "write_tree", write_tree)
    first, second = drawn_photo_set(tmp_path), drawn_photo_set(tmp_path)
    assert len(drawn) == 1
    assert first == second
    assert [photo.key for photo in first.photos] == ["amber/1.png"]
    assert first.limits == default_limits("drawn")


def test_other_drawings_are_not_taken_for_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_set, "write_tree", lambda folder, **_: put_photo(folder / "amber" / "1.png"))
    drawn_photo_set(tmp_path)
    monkeypatch.setattr(photo_set, "PHOTOS", 5)
    drawn_photo_set(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_two_that_draw_at_once_do_not_disturb_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_tree(folder: Path, **_: object) -> None:
        put_photo(folder / "amber" / "1.png")
        digest = folder.name.split(".")[1]
        put_photo(tmp_path / digest / "amber" / "1.png")  # another process was faster

    monkeypatch.setattr(photo_set, "write_tree", write_tree)
    assert len(drawn_photo_set(tmp_path).photos) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_drawing_that_was_broken_off_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_tree(folder: Path, **_: object) -> None:
        put_photo(folder / "amber" / "1.png")
        raise KeyboardInterrupt

    monkeypatch.setattr(photo_set, "write_tree", write_tree)
    with pytest.raises(KeyboardInterrupt):
        drawn_photo_set(tmp_path)
    assert list(tmp_path.iterdir()) == []
