from __future__ import annotations

from pathlib import Path

import pytest

from immich_dog_plugin.derived_folders import derived
from immich_dog_plugin.scan import LeftOut, in_words, scan


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def keys(folder: Path) -> list[str]:
    return [photo.key for photo in scan(folder).photos]


@pytest.mark.parametrize(
    "marked", [["library", "thumbs", "profile", "encoded-video", "backups", "upload"], ["library"], ["upload"]]
)
def test_of_immichs_own_folders_only_the_originals_are_read(tmp_path: Path, marked: list[str]) -> None:
    touch(tmp_path, "library/admin/2024/1.jpg", "upload/u/ab/cd/2.jpg", "thumbs/u/ab/cd/1_preview.jpeg")
    touch(
        tmp_path, "encoded-video/u/1.jpg", "profile/u/me.jpg", "backups/b.jpg", *(f"{name}/.immich" for name in marked)
    )
    found = scan(tmp_path)
    assert [photo.key for photo in found.photos] == ["library/admin/2024/1.jpg", "upload/u/ab/cd/2.jpg"]
    assert LeftOut("thumbs", "previews by Immich", folder=True) in found.left_out
    assert [one.key for one in found.left_out] == ["backups", "encoded-video", "profile", "thumbs"]


def test_thumbnails_on_a_disk_of_their_own_bear_immichs_mark_themselves(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "thumbs/.immich", "thumbs/b.webp")
    assert keys(tmp_path) == ["a.jpg"]


def test_an_album_that_is_called_profile_is_read_where_nothing_says_immich(tmp_path: Path) -> None:
    touch(tmp_path, "profile/1.jpg", "thumbs/2.jpg", "backups/3.jpg", "library/4.jpg", ".immich")
    assert len(keys(tmp_path)) == 4


@pytest.mark.parametrize(
    ("derivative", "original"),
    [
        ("Pictures.photoslibrary/resources/derivatives/0/a.jpeg", "Pictures.photoslibrary/originals/0/a.heic"),
        ("Old.photoslibrary/Thumbnails/a.jpg", "Old.photoslibrary/Masters/2015/a.jpg"),
        ("Pictures.aplibrary/Previews/a.jpg", "Pictures.aplibrary/Masters/a.jpg"),
        ("Catalogue Previews.lrdata/a.jpg", "Catalogue/a.jpg"),
        ("__MACOSX/a.jpg", "a.jpg"),
        ("Rex/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "Rex/a.jpg"),
        ("#recycle/a.jpg", "a.jpg"),
        ("@Recycle/a.jpg", "a.jpg"),
        ("PhotoData/Thumbnails/a.jpg", "DCIM/100APPLE/a.jpg"),
        ("appdata_oc1a2b3c/preview/a/1/64-64-crop.jpg", "admin/files/a.jpg"),
    ],
)
def test_what_other_programs_make_of_photos_is_left_out_and_said(
    tmp_path: Path, derivative: str, original: str
) -> None:
    touch(tmp_path, derivative, original)
    found = scan(tmp_path)
    assert [photo.key for photo in found.photos] == [original]
    (left_out,) = found.left_out
    assert left_out.folder
    assert derivative.startswith(left_out.key + "/")
    assert in_words(found.left_out) == f"1 folder ({left_out.kind})"


def test_photoprisms_storage_is_told_by_its_mark(tmp_path: Path) -> None:
    touch(tmp_path, "storage/.ppstorage", "storage/cache/a_720x720_fit.jpg", "originals/a.jpg", "cache/b.jpg")
    assert keys(tmp_path) == ["cache/b.jpg", "originals/a.jpg"]


@pytest.mark.parametrize("name", ["photodata", "appdata_mine", "resources", "originals", "previews"])
def test_a_name_alone_that_an_album_may_have_leaves_nothing_out(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"{name}/a.jpg")
    assert derived(tmp_path / name) is None
    assert keys(tmp_path) == [f"{name}/a.jpg"]


def test_a_photo_library_that_is_itself_the_folder_gives_its_originals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "Mine.photoslibrary"
    touch(library, "originals/a.jpg", "resources/derivatives/a.jpg")
    assert keys(library) == ["originals/a.jpg"]
    monkeypatch.chdir(library)
    assert keys(Path()) == ["originals/a.jpg"]


def test_a_derived_folder_that_is_asked_for_by_name_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "library/.immich", "thumbs/.immich", "thumbs/u/a_preview.jpeg")
    assert keys(tmp_path / "thumbs") == ["u/a_preview.jpeg"]
