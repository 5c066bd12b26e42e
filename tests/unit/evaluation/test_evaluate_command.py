"""``immich-dogs evaluate`` as a user calls it: what it prints, what it writes and its exit code."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.cli import main
from immich_dog_plugin.model_package import ModelPackage
from tests.tiny_package import CALIBRATION

from .conftest import COATS, WriteDog

Call = Callable[..., int]


@pytest.fixture
def call(photos: Path, padded_package: ModelPackage) -> Call:
    """Runs the command on ``photos`` with the tiny, padded package, which takes all coats for one dog, so that names
    are believed unless a test says otherwise; returns its exit code."""

    def call_evaluate(*options: object) -> int:
        fixed = ["--model", str(padded_package.path), "--names", "folder"]
        return main(["evaluate", str(photos), *fixed, *map(str, options)])

    return call_evaluate


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    """A file of embeddings of six dogs."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 4)
    vectors = random.normal(size=(6, 16))[labels] + 0.5 * random.normal(size=(24, 16))
    np.savez(tmp_path / "some.npz", embeddings=vectors, labels=labels)
    return tmp_path / "some.npz"


def test_it_prints_every_table_with_intervals(
    call: Call, five_dogs: Path, write_dog: WriteDog, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dog("Rex/empty.png", "Rex", dogs=0)
    assert call() == 0
    printed = capsys.readouterr().out
    for title in (
        "Same dog or not",
        "At the thresholds of the model package",
        "Households",
        "Rejection of unknown dogs",
        "Background check",
    ):
        assert title in printed
    assert "A dog was found in 20 of 21 photos: 0.952 (" in printed
    assert re.search(r"│ all +│ 5 +│ 21 ", printed)
    assert len(re.findall(r"\d\.\d{3} … \d\.\d{3}", printed)) > 30
    assert "tiny-v1 1.0.0" in printed
    assert "Choose nothing by them" in printed


def test_it_writes_figures_and_a_page_in_one_file(call: Call, five_dogs: Path, tmp_path: Path) -> None:
    (five_dogs / "Rex").rename(five_dogs / "R<b>ex")
    (five_dogs / "R<b>ex" / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "report"
    assert call("--out", out) == 0
    content = json.loads((out / "figures.json").read_text())
    figures = content["figures"]
    assert figures["sets"]["all"]["dogs"] == 5
    assert set(figures["sets"]["all"]["auc"]) == {"value", "low", "high"}
    assert figures["found"]["value"] == 1
    assert content["failures"][0]["key"] == "R<b>ex/broken.png"
    page = (out / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 2
    assert page.count("data:image/jpeg;base64,") > 8
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "R<b>ex" not in page
    assert "R&lt;b&gt;ex/broken.png" in page
    assert call("--out", out) == 0  # its own files are written again


def test_a_calibrated_package_has_its_probability_held_against_the_photos(
    call: Call, five_dogs: Path, padded_package: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = padded_package.manifest.model_copy(update={"calibration": CALIBRATION})
    package = Path(shutil.copytree(padded_package.path, tmp_path / "calibrated"))
    (package / "manifest.json").write_text(manifest.model_dump_json())
    assert call("--model", package, "--out", tmp_path / "out") == 0
    assert "Probability of the same dog" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "figures.json").read_text())["figures"]["reliability"]
    # 5 dogs of 4 photos: 5 * 6 pairs of the same dog and 10 * 16 of different dogs
    assert sum(part["pairs"] for part in found["curve"]) == 30 + 160
    assert set(found["error"]) == {"value", "low", "high"}
    assert (tmp_path / "out" / "report.html").read_text().count("data:image/svg+xml;base64,") == 3
    assert call() == 0
    assert "Probability of the same dog" not in capsys.readouterr().out


def test_an_index_gives_splits_sets_and_sessions(
    call: Call, five_dogs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["split,set,dog,file,session"]
    for number, dog in enumerate(COATS):
        rows += [f"val,{'ab'[number % 2]},{dog},{dog}/{photo}.png,day {photo // 2}" for photo in range(4)]
    rows.append("test,a,Rex,Rex/9.png,")
    (five_dogs / "index.csv").write_text("\n".join(rows))
    assert call("--split", "val") == 0
    printed = capsys.readouterr().out
    assert "these figures flatter what they chose" in printed
    assert re.search(r"│ a +│ 3 +│ 12 ", printed)
    assert re.search(r"│ one session +│ 10 +│", printed)
    assert re.search(r"│ two sessions +│ 20 +│", printed)
    assert call() == 1
    assert "has the splits test, val" in capsys.readouterr().err


def test_embeddings_from_a_file_are_judged_by_the_thresholds_of_a_named_package_only(
    embeddings: Path, tiny_package: ModelPackage, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["evaluate", "--embeddings", str(embeddings), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"│ all +│ 6 +│ 24 ", printed)
    assert "none is judged" in printed
    assert "Households" not in printed
    assert "A dog was found" not in printed
    assert "Background" not in printed
    assert "<img" in (tmp_path / "out" / "report.html").read_text()
    assert main(["evaluate", "--embeddings", str(embeddings), "--model", str(tiny_package.path)]) == 0
    assert "Households" in capsys.readouterr().out


def test_photos_in_no_subfolder_are_left_out_and_counted(
    call: Call, five_dogs: Path, write_dog: WriteDog, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dog("party.png", "Rex", dogs=2)
    assert call() == 0
    assert "Photos in no subfolder: 1, left out" in capsys.readouterr().out


@pytest.mark.parametrize("folders", [("2021", "2022"), ("By the sea", "In the woods")])
def test_folders_that_are_no_dogs_are_refused_instead_of_measured(
    call: Call, write_dog: WriteDog, capsys: pytest.CaptureFixture[str], folders: tuple[str, str]
) -> None:
    for number in range(6):
        write_dog(f"{folders[number % 2]}/{number}.png", "Rex", shade=20 * number)
    assert call("--names", "auto") == 1
    said = capsys.readouterr().err
    assert f"The folders {folders[0]}, {folders[1]} do not look like dogs' names" in said
    assert "Put the photos of each dog into a folder with its name" in said
    assert call() == 0
    assert "Same dog or not" in capsys.readouterr().out


def test_a_date_among_dogs_is_left_out_and_said(
    call: Call,
    five_dogs: Path,
    write_dog: WriteDog,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("immich_dog_plugin.commands.evaluate.contradicted", lambda *_: False)
    write_dog("2021/a.png", "Rex", shade=7)
    assert call("--names", "auto") == 0
    printed = capsys.readouterr().out
    assert re.search(r"│ all +│ 5 +│ 20 ", printed)
    assert "The folder 2021 does not look like a dog's name, so these photos are left out" in printed.replace("\n", " ")


def test_a_folder_that_cannot_be_read_is_mentioned_beside_the_figures(
    call: Call, five_dogs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.scandir

    def scandir(path: str) -> os._ScandirIterator[str]:  # root may read everything, so permissions prove nothing
        if Path(path).name == "Rex":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    (five_dogs / "film.mp4").touch()
    monkeypatch.setattr(os, "scandir", scandir)
    assert call("--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert re.search(r"│ all +│ 4 +│ 16 ", printed)
    assert "Failed: Rex: the folder cannot be read (Permission denied)" in printed
    assert "Left out: 1 .mp4" in printed
    content = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert [failure["key"] for failure in content["failures"]] == ["Rex"]
    assert content["left_out"] == [{"key": "film.mp4", "kind": ".mp4", "folder": False}]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<td>Rex</td>" in page
    assert "<td>film.mp4</td>" in page


def test_a_report_of_somebody_else_is_not_overwritten(
    call: Call, five_dogs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("report.html", "mine"), ("figures.json", "[]"), ("figures.json", "{broken")):
        out = tmp_path / f"{len(content)}"
        out.mkdir()
        (out / name).write_text(content)
        assert call("--out", out) == 1
        assert f"holds {name} that no evaluation wrote" in capsys.readouterr().err
        assert [path.read_text() for path in out.iterdir()] == [content]


def test_one_dog_is_an_error_that_says_what_is_missing(
    call: Call, write_dog: WriteDog, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dog("Rex/1.png", "Rex", shade=1)
    write_dog("Rex/2.png", "Rex", shade=2)
    assert call() == 1
    assert "Give photos of two dogs or more" in capsys.readouterr().err


def test_a_missing_package_is_said_before_the_work_starts(
    call: Call, five_dogs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert call("--out", tmp_path / "out") == 1
    assert "pip install matplotlib" in capsys.readouterr().err
    assert call() == 0  # the tables need neither


@pytest.mark.parametrize("arguments", [[], ["photos", "--embeddings", "e.npz"], ["photos", "--nonsense"]])
def test_wrong_options_are_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["evaluate", *arguments])
    assert exit.value.code == 2


def test_a_split_of_embeddings_is_refused(embeddings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--embeddings", str(embeddings), "--split", "test"]) == 1
    assert "--split chooses among the photos" in capsys.readouterr().err
