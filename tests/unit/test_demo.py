from __future__ import annotations

import csv
from pathlib import Path

import pytest

from harness.demo import main, summary


def _dogs_csv(path: Path, *rows: tuple[str, str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["key", "file", "dog", "group", "name"])
        table.writerows((f"{photo}#0", photo, 0, group, name) for photo, group, name in rows)
    return path


def test_the_summary_counts_split_dogs_mixed_groups_and_false_alarms(tmp_path: Path) -> None:
    photos = [*(f"{name}/{n}.jpg" for name in ("amber", "bruno") for n in (1, 2, 3)), "no-dog/1.jpg", "no-dog/2.jpg"]
    table = _dogs_csv(
        tmp_path / "dogs.csv",
        ("amber/1.jpg", "1", "amber"),
        ("amber/2.jpg", "2", "amber"),
        ("bruno/1.jpg", "2", "bruno"),
        ("bruno/2.jpg", "2", "bruno"),
        ("bruno/3.jpg", "0", "bruno"),
        ("no-dog/2.jpg", "0", "no-dog"),
    )
    text = summary(photos, table)
    assert "8 photos, 6 dogs found in 6 of them" in text
    assert "2 groups hold 4 of the dogs" in text
    assert "1 of 2 groups hold one dog only; 1 of 2 dogs are in exactly one group" in text
    assert "In 1 of the 2 photos without a dog" in text


def test_photos_in_no_subfolder_are_not_judged_by_names(tmp_path: Path) -> None:
    text = summary(["1.jpg", "2.jpg"], _dogs_csv(tmp_path / "dogs.csv", ("1.jpg", "0", "")))
    assert "2 photos, 1 dogs found in 1 of them" in text
    assert "subfolders" not in text
    assert "without a dog" not in text


def test_a_folder_that_does_not_exist_ends_the_demo_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "nowhere does not exist" in capsys.readouterr().err
