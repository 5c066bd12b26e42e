from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainers import records
from trainers.detector.train import note_epoch
from trainers.records import Counts, Record, Recorder, known_record, options_of, portable, read_record
from trainers.runs import TrainingError


def recorder(run: Path, **options: Any) -> Recorder:
    return Recorder(run, "trainers.some.train", {"seed": 3}, {"train": {"drawn": Counts(photos=4)}}, **options)


def test_a_run_leaves_what_made_it(tmp_path: Path) -> None:
    recorder(tmp_path).write(epochs=2, kept_epoch=1, validation={"all": {"eer": 0.25}})
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["command"] == "python -m trainers.some.train"
    assert record["recipe"] == {"seed": 3}
    assert record["data"] == {"train": {"drawn": {"photos": 4, "dogs": None, "breeds": None}}}
    assert (record["epochs"], record["kept_epoch"], record["validation"]) == (2, 1, {"all": {"eer": 0.25}})
    assert record["versions"].keys() >= {"python", "torch", "timm"}
    assert record["git_revision"] == records.git_revision()
    assert record["minutes"] >= 0


def test_the_minutes_of_all_sessions_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 120.0, 1000.0, 1030.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    first = recorder(tmp_path)
    first.history.append({"epoch": 1})
    first.write(epochs=1, kept_epoch=1)
    second = recorder(tmp_path, continues=True)
    second.history.append({"epoch": 2})
    second.write(epochs=2, kept_epoch=2)
    record = read_record(tmp_path)
    assert record.minutes == pytest.approx(2.5)
    assert record.history == [{"epoch": 1}, {"epoch": 2}]


def test_a_run_whose_first_session_left_no_record_does_not_say_how_long_it_took(tmp_path: Path) -> None:
    recorder(tmp_path, continues=True).write(epochs=2, kept_epoch=2)
    assert read_record(tmp_path).minutes is None


def test_a_new_run_in_an_old_folder_starts_its_record_anew(tmp_path: Path) -> None:
    old = recorder(tmp_path)
    old.history.append({"epoch": 1})
    old.write(epochs=1, kept_epoch=1)
    recorder(tmp_path).write(epochs=0, kept_epoch=0)
    assert read_record(tmp_path).history == []


def test_a_run_without_a_record_is_an_error_and_one_of_another_form_too(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"record.json is missing.*Train it anew"):
        read_record(tmp_path)
    (tmp_path / "record.json").write_text('{"recipe": {"seed": 1}, "records": [], "best": null}')
    with pytest.raises(TrainingError, match=r"is no record of a run \(command: Field required\)"):
        read_record(tmp_path)
    assert known_record(tmp_path) is None


def test_no_path_of_this_machine_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert portable(tmp_path / "datasets" / "weights") == "datasets/weights"
    assert portable(str(tmp_path.parent / "elsewhere" / "lite2.pth")) == "lite2.pth"
    assert portable(Path("../shared/data")) == "../shared/data"
    args = argparse.Namespace(run=tmp_path, threads=2, lr=0.1, data=tmp_path / "photos")
    run = Recorder(tmp_path, "trainers.some.train", options_of(args))
    run.write(epochs=1, kept_epoch=1)
    assert read_record(tmp_path).recipe == {"lr": 0.1, "data": "photos"}
    assert str(tmp_path) not in (tmp_path / "record.json").read_text()


def test_a_figure_that_is_no_number_is_recorded_as_none(tmp_path: Path) -> None:
    recorder(tmp_path).write(epochs=1, kept_epoch=1, validation={"all": {"eer": float("nan")}})
    assert read_record(tmp_path).validation == {"all": {"eer": None}}


def test_a_manifest_carries_no_epochs_of_a_run_nor_of_those_before_it(tmp_path: Path) -> None:
    first = recorder(tmp_path / "first")
    first.history.append({"epoch": 1})
    first.write(epochs=1, kept_epoch=1)
    second = recorder(tmp_path / "second", earlier=read_record(tmp_path / "first"))
    second.history.append({"epoch": 1})
    second.write(epochs=1, kept_epoch=1)
    carried = read_record(tmp_path / "second").without_history()
    assert carried.history == []
    assert carried.earlier is not None
    assert carried.earlier.history == []
    assert Record.model_validate(carried.model_dump(mode="json")) == carried


def test_outside_a_git_checkout_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert records.git_revision() == "unknown"


def test_the_detectors_record_counts_what_its_loaders_hold(tmp_path: Path) -> None:
    names = {"train": ["faye_1.jpg", "dog_pug_1.jpg", "dog_pug_2.jpg", "other_cats_1.jpg"], "val": ["faye_2.jpg"]}
    dogs = {"faye_1.jpg": 1, "dog_pug_1.jpg": 1, "dog_pug_2.jpg": 2, "other_cats_1.jpg": 0, "faye_2.jpg": 1}
    train, val = (
        SimpleNamespace(
            dataset=SimpleNamespace(labels=[{"im_file": f"/photos/{n}", "cls": [0] * dogs[n]} for n in names[split]])
        )
        for split in ("train", "val")
    )
    metrics = {"metrics/mAP50(B)": 0.9, "val/box_loss": 1.2}
    trainer: Any = SimpleNamespace(epoch=1, train_loader=train, test_loader=val, metrics=metrics)
    note_epoch(Recorder(tmp_path, "trainers.detector.train", {"seed": 1}), trainer)
    record = read_record(tmp_path)
    assert (record.epochs, record.kept_epoch) == (2, 2)
    assert record.data["train"] == {
        "faye": Counts(photos=1, dogs=1),
        "dog": Counts(photos=2, dogs=3),
        "other": Counts(photos=1, dogs=0),
    }
    assert record.data["val"] == {"faye": Counts(photos=1, dogs=1)}
    assert record.validation == {"tuned all the way": {"mAP50": 0.9}}
