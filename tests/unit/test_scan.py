from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from immich_dog_plugin.errors import PhotoError
from immich_dog_plugin.scan import STORE, LeftOut, in_words, scan


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _keys(folder: Path) -> list[str]:
    return [photo.key for photo in scan(folder, exclude=folder / "out").photos]


def test_the_top_level_folder_is_the_name_and_the_root_has_none(tmp_path: Path) -> None:
    _touch(tmp_path, "Rex/a.jpg", "Rex/2019/b.jpg", "c.jpg")
    names = {photo.key: photo.name for photo in scan(tmp_path, exclude=tmp_path / "out").photos}
    assert names == {"Rex/a.jpg": "Rex", "Rex/2019/b.jpg": "Rex", "c.jpg": None}


def test_photos_come_in_natural_order(tmp_path: Path) -> None:
    _touch(tmp_path, "10.jpg", "2.JPG", "1.png", "a2/3.jpg", "a/9.jpg", "A/1.jpg")
    assert _keys(tmp_path) == ["1.png", "2.JPG", "10.jpg", "A/1.jpg", "a/9.jpg", "a2/3.jpg"]


def test_the_output_folder_and_those_of_earlier_runs_are_not_scanned(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "out/debug/a.jpg", "older/debug/a.jpg", f"older/{STORE}")
    assert _keys(tmp_path) == ["a.jpg"]


def test_hidden_files_and_the_thumbnails_of_a_nas_are_skipped(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "._a.jpg", ".cache/b.jpg", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg")
    assert _keys(tmp_path) == ["a.jpg"]


def test_files_of_other_kinds_are_named_with_their_kind(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "x/notes.txt", "film.MP4", "old.mp4", "README", "Rex 12.03.2021")
    found = scan(tmp_path, exclude=tmp_path / "out")
    assert [(one.key, one.kind) for one in found.left_out] == [
        ("film.MP4", ".mp4"),
        ("old.mp4", ".mp4"),
        ("README", "without a suffix"),
        ("Rex 12.03.2021", "without a suffix"),
        ("x/notes.txt", ".txt"),
    ]
    assert in_words(found.left_out) == "2 .mp4, 2 without a suffix, 1 .txt"


def test_of_many_kinds_the_most_frequent_are_said() -> None:
    left_out = [LeftOut(f"{kind}/{number}", f".{kind}") for kind in range(13) for number in range(14 - kind)]
    words = in_words(left_out)
    assert words.startswith("14 .0, 13 .1, ")
    assert words.endswith("5 .9, 9 of other kinds")


def test_the_output_of_an_earlier_run_is_said_to_be_left_out(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "out/b.jpg", f"older/{STORE}")
    assert scan(tmp_path, exclude=tmp_path / "out").left_out == [LeftOut("older", "the output of an earlier run", True)]


@pytest.mark.parametrize("suffix", [".mpo", ".insp", ".jp2", ".jpe", ".JFIF"])
def test_whatever_can_be_read_is_a_photo(tmp_path: Path, suffix: str) -> None:
    _touch(tmp_path, f"a{suffix}")
    assert _keys(tmp_path) == [f"a{suffix}"]


def test_a_file_without_a_suffix_is_a_photo_where_it_begins_as_one(tmp_path: Path) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"img {kind}", kind)
    Image.new("RGB", (8, 8)).save(tmp_path / "Rex 12.03.2021", "JPEG")
    (tmp_path / "letter").write_text("Dear Rex")
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    found = scan(tmp_path)
    assert [photo.key for photo in found.photos] == ["img JPEG", "img PNG", "img WEBP", "Rex 12.03.2021"]
    assert [one.key for one in found.left_out] == ["letter", "pipe"]


def test_a_circle_of_links_ends_and_a_linked_folder_is_followed(tmp_path: Path) -> None:
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    _touch(photos, "Rex/a.jpg")
    _touch(elsewhere, "b.jpg")
    (photos / "Rex" / "circle").symlink_to(photos / "Rex", target_is_directory=True)
    (photos / "Bella").symlink_to(elsewhere, target_is_directory=True)
    assert _keys(photos) == ["Bella/b.jpg", "Rex/a.jpg"]


@pytest.mark.parametrize("target", ["..", "../.."])
def test_a_link_back_to_the_photos_or_above_them_counts_nothing_twice(tmp_path: Path, target: str) -> None:
    photos = tmp_path / "home" / "photos"
    _touch(photos, "Bella/b.jpg", "Rex/a.jpg", "c.jpg")
    (photos / "Rex" / "loop").symlink_to(f"{target}/", target_is_directory=True)
    assert _keys(photos) == ["Bella/b.jpg", "c.jpg", "Rex/a.jpg"]


def test_without_a_folder_to_exclude_every_photo_is_listed(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "out/b.jpg")
    assert [photo.key for photo in scan(tmp_path).photos] == ["a.jpg", "out/b.jpg"]


def test_control_characters_of_a_name_are_escaped_in_its_key(tmp_path: Path) -> None:
    _touch(tmp_path, "a\x1b[2J\r\n\x9b.jpg", "Żółw 🐶.jpg")
    assert _keys(tmp_path) == ["a\\x1b[2J\\x0d\\x0a\\x9b.jpg", "Żółw 🐶.jpg"]


def test_a_name_that_is_no_utf8_gets_a_printable_key(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()
    assert _keys(tmp_path) == ["caf\\xe9.jpg"]


def test_an_empty_folder_is_an_error_that_names_the_suffixes(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"holds no photo \(it is empty\).*\.jpg"):
        scan(tmp_path, exclude=tmp_path / "out")


def test_a_folder_without_photos_says_what_it_holds_instead(tmp_path: Path) -> None:
    _touch(tmp_path, "film.mp4")
    with pytest.raises(PhotoError, match=r"but 1 \.mp4"):
        scan(tmp_path, exclude=tmp_path / "out")


def test_a_missing_folder_and_a_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="does not exist"):
        scan(tmp_path / "nowhere", exclude=tmp_path / "out")
    _touch(tmp_path, "a.jpg")
    with pytest.raises(PhotoError, match="is not a folder"):
        scan(tmp_path / "a.jpg", exclude=tmp_path / "out")


def test_a_folder_that_cannot_be_read_is_a_failure_and_the_others_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _touch(tmp_path, "a.jpg", "locked/b.jpg")
    real = os.scandir

    def scandir(path: str) -> os._ScandirIterator[str]:  # root may read everything, so permissions prove nothing
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = scan(tmp_path, exclude=tmp_path / "out")
    assert [photo.key for photo in found.photos] == ["a.jpg"]
    reason = "the folder cannot be read (Permission denied). Check its permissions"
    assert [(failure.key, failure.reason) for failure in found.failures] == [("locked", reason)]
