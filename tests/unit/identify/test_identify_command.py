"""``immich-dogs identify`` as a user calls it: what it prints and its exit code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from immich_dog_plugin.cli import main
from immich_dog_plugin.model_package import ModelPackage
from tests.tiny_package import CALIBRATION

from .conftest import WritePhoto

Call = Callable[..., int]


@pytest.fixture
def call(photos: Path, tmp_path: Path, tiny_package: ModelPackage) -> Call:
    """Runs the command on ``photos`` with the tiny package; returns its exit code."""

    def call_identify(*options: str) -> int:
        return main(
            ["identify", str(photos), "--out", str(tmp_path / "out"), "--model", str(tiny_package.path), *options]
        )

    return call_identify


def test_it_prints_the_five_most_similar_with_their_names_judged(
    call: Call, write_photo: WritePhoto, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("Rex/a.png", "Rex/b.png", "Bella/c.png"):
        write_photo(name, shade=len(name) + ord(name[-5]), striped=name.startswith("Bella"))
    assert call("--names", "folder") == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("│ Bella/c.png"))
    assert row.count("✗") == 2
    assert "Right name: 100.0% top 1, 100.0% top 5 (of 2 dogs with a name)" in printed
    assert "3 photos read: 3 analysed now, 0 known from before" in printed
    assert str(tmp_path / "out" / "report.html") in printed.replace("\n", "")


def _two_trips(write_photo: WritePhoto, *folders: str) -> None:
    """Photos of one dog in each of the folders."""
    for number in range(6):
        write_photo(f"{folders[number % len(folders)]}/{number}.png", shade=number)


@pytest.mark.parametrize("folders", [("2021", "2022"), ("By the sea", "In the woods")])
def test_folders_that_are_no_dogs_get_no_marks_and_no_figure(
    call: Call, write_photo: WritePhoto, capsys: pytest.CaptureFixture[str], tmp_path: Path, folders: tuple[str, str]
) -> None:
    _two_trips(write_photo, *folders)
    assert call() == 0
    printed = capsys.readouterr().out
    report = (tmp_path / "out" / "report.html").read_text()
    sentence = f"The folders {folders[0]}, {folders[1]} do not look like dogs' names"
    assert f"{sentence}; --names folder takes them anyway" in printed
    assert sentence in report.replace("&#39;", "'")
    for shown in (printed, report):
        assert "✗" not in shown
        assert "right name" not in shown.casefold()
    assert call("--names", "folder") == 0
    printed = capsys.readouterr().out
    assert "✗" in printed
    assert "Right name: " in printed
    assert "do not look like" not in printed


def test_dogs_that_look_different_are_believed_to_have_their_folders_names_unless_told_otherwise(
    call: Call, write_photo: WritePhoto, capsys: pytest.CaptureFixture[str], tiny_package: ModelPackage, tmp_path: Path
) -> None:
    strict = tiny_package.manifest.thresholds.model_copy(update={"same_dog": 0.98})
    package = Path(shutil.copytree(tiny_package.path, tmp_path / "strict"))
    manifest = tiny_package.manifest.model_copy(update={"thresholds": strict})
    (package / "manifest.json").write_text(manifest.model_dump_json())
    for number in range(4):
        write_photo(f"{('Rex', 'Bella')[number % 2]}/{number}.png", shade=number, striped=number % 2 == 1)
    assert call("--model", str(package)) == 0
    assert "Right name: 100.0%" in capsys.readouterr().out
    assert call("--model", str(package), "--names", "none") == 0
    printed = capsys.readouterr().out
    assert not {"✓", "✗"} & set(printed)
    assert "Right name" not in printed
    assert "do not look like" not in printed


def test_what_is_left_out_is_said_by_kind_and_named_in_the_report(
    call: Call, write_photo: WritePhoto, capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    write_photo("library/a.png")
    for name in ("b.dng", "c.DNG", "<i>.jxr", "library/.immich", "thumbs/a_preview.jpeg"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).touch()
    assert call() == 0
    assert "Left out: 2 .dng, 1 .jxr, 1 folder (previews by Immich)" in capsys.readouterr().out
    report = (tmp_path / "out" / "report.html").read_text()
    for name in ("<td>c.DNG</td>", "<td>&lt;i&gt;.jxr</td>", "<td>thumbs/</td>"):
        assert name in report


def test_a_calibrated_package_shows_the_probability_beside_each_cosine(
    photos: Path,
    write_photo: WritePhoto,
    tiny_package: ModelPackage,
    tmp_path: Path,
    call: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_photo("a.png", shade=1)
    write_photo("b.png", shade=2)
    assert call() == 0
    assert "%" not in capsys.readouterr().out
    manifest = tiny_package.manifest.model_copy(update={"calibration": CALIBRATION})
    package = Path(shutil.copytree(tiny_package.path, tmp_path / "calibrated"))
    (package / "manifest.json").write_text(manifest.model_dump_json())
    out = tmp_path / "out"
    assert main(["identify", str(photos), "--out", str(out), "--model", str(package)]) == 0
    printed = capsys.readouterr().out
    assert "0 analysed now, 2 known from before" in printed  # a calibration changes no embedding
    assert "1.000 (> 99 %)" in printed
    report = (out / "report.html").read_text()
    assert "1.00 · &gt; 99 %" in report
    assert "0.64 · 80 % and above" in report
    assert "drawn where as many pairs" in report


def test_formats_may_be_given_several_times(call: Call, write_photo: WritePhoto, tmp_path: Path) -> None:
    write_photo("a.png")
    assert call("--format", "npy", "--format", "pkl") == 0
    assert {path.stem for path in (tmp_path / "out").glob("embeddings*")} == {"embeddings", "embeddings.keys"}
    assert not (tmp_path / "out" / "embeddings.npz").exists()


def test_file_names_are_printed_as_they_are(
    call: Call, write_photo: WritePhoto, capsys: pytest.CaptureFixture[str], photos: Path
) -> None:
    write_photo("[red]a.png", shade=1)
    write_photo("c.png", shade=2)
    (photos / "[bold]b.jpg").touch()
    assert call() == 0
    printed = capsys.readouterr().out
    assert "[red]a.png" in printed
    assert "Failed: [bold]b.jpg: the file is empty" in printed


def test_file_names_cannot_steer_the_terminal(
    call: Call, write_photo: WritePhoto, capsys: pytest.CaptureFixture[str], photos: Path
) -> None:
    write_photo("\x1b[2Ja.png", shade=1)
    write_photo("b\r\n.png", shade=2)
    (photos / "\x1b]0;c\n.jpg").touch()
    assert call() == 0
    printed = capsys.readouterr().out
    assert not set("\x1b\r") & set(printed)
    for name in ("\\x1b[2Ja.png#0", "b\\x0d\\x0a.png#0", "Failed: \\x1b]0;c\\x0a.jpg: the file is empty"):
        assert name in printed


def test_a_single_dog_is_counted_as_one_and_compared_with_none(
    call: Call, write_photo: WritePhoto, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo("a.png")
    assert call() == 0
    printed = capsys.readouterr().out
    assert "1 photo read: 1 analysed now" in printed
    assert "1 dog: 0 groups, 1 dog in no group" in printed
    assert "Most similar" not in printed


def test_photos_that_all_fail_give_a_report_and_exit_code_1(
    call: Call, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "a.jpg").touch()
    assert call() == 1
    assert "Failed: a.jpg" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").exists()


def test_an_empty_folder_and_an_output_that_cannot_be_written_are_exit_code_1(
    call: Call, write_photo: WritePhoto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call() == 1
    assert "holds no photo" in capsys.readouterr().err
    write_photo("a.png")
    (tmp_path / "out").touch()
    assert call() == 1
    assert "cannot be written" in capsys.readouterr().err


def test_the_photos_own_folder_is_refused_as_output(
    call: Call, write_photo: WritePhoto, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo("a.png")
    assert call("--out", str(photos)) == 1
    assert "photos' own folder" in capsys.readouterr().err
    assert [path.name for path in photos.iterdir()] == ["a.png"]


def test_an_output_that_would_overwrite_the_users_files_is_refused_and_nothing_is_written(
    write_photo: WritePhoto, photos: Path, tiny_package: ModelPackage, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo("debug/00.jpg")
    write_photo("rex/00.jpg", shade=1)
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    for folder, words in (("debug", "among the photos"), ("rex", "holds debug, but no identify.sqlite")):
        assert main(["identify", str(photos / folder), "--out", str(photos), "--model", str(tiny_package.path)]) == 1
        assert words in capsys.readouterr().err
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before


def test_an_output_inside_the_photos_is_not_read_as_photos(
    call: Call, write_photo: WritePhoto, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo("a.png")
    for _ in range(2):
        assert call("--out", str(photos / "result")) == 0
        assert "1 photo read" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options", [["--cluster", "dbscan"], ["--format", "csv"], ["--min-score", "2"], ["--nonsense"]]
)
def test_wrong_options_are_exit_code_2(call: Call, write_photo: WritePhoto, options: list[str]) -> None:
    write_photo("a.png")
    with pytest.raises(SystemExit) as exit:
        call(*options)
    assert exit.value.code == 2


def test_an_interruption_says_how_to_continue(
    call: Call, write_photo: WritePhoto, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo("a.png")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("immich_dog_plugin.identify.analyse.open_photo", interrupt)
    assert call() == 130
    assert "the same command continues" in capsys.readouterr().err
