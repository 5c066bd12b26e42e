from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from immich_dog_plugin.errors import OutputError
from immich_dog_plugin.files import whole_file


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_half() -> None:
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_a_full_disk_is_named_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"disk is full.*same command continues"), whole_file(tmp_path / "a"):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_a_file_has_the_permissions_of_any_new_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "a") as temporary:
            temporary.write_text("a")
        (tmp_path / "b").write_text("b")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"]
    assert modes == [0o666 & ~umask] * 2


def test_nobody_can_guess_the_temporary_name_and_no_link_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whole_file(tmp_path / "a") as first, whole_file(tmp_path / "a") as second:
        assert first != second
        assert str(os.getpid()) not in first.name.split(".")
    mine = tmp_path / "mine"
    mine.write_text("mine")
    monkeypatch.setattr("immich_dog_plugin.files.secrets.token_hex", lambda _: "guessed")
    (tmp_path / ".immich-dogs.guessed.tmp").symlink_to(mine)
    with pytest.raises(OutputError), whole_file(tmp_path / "a") as temporary:
        temporary.write_text("theirs")
    assert mine.read_text() == "mine"
    assert (tmp_path / ".immich-dogs.guessed.tmp").is_symlink()
