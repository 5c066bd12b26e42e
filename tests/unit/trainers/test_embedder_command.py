"""The embedder's trainer as its command runs: several processes, several seeds, and asked once more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.doctests import ROOT

from .embedder_runs import write_lists

OPTIONS = (
    *("--backbone", "test_efficientnet", "--weights", "random", "--side", "32", "--trained-layers", "0"),
    *("--dogs", "4", "--photos", "2", "--views", "4", "--steps", "2", "--lr", "1e-3", "--patience", "9"),
    *("--threads", "1", "--workers", "0", "--device", "cpu"),
)


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lists(tmp_path_factory.mktemp("photos"))


def two_processes(lists: Path, run: Path, *options: str) -> str:
    """Train in two processes and return what they said."""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--")
    places = ("--data", str(lists), "--masks", str(lists / "masks"), "--run", str(run))
    done = subprocess.run(
        (*launcher, "trainers.embedder.train", *places, *OPTIONS, *options),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def test_two_processes_train_every_seed_and_nothing_twice(lists: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    said = two_processes(lists, run, "--epochs", "1", "--seeds", "2")
    assert "epoch 1 of 1" in said
    assert set(json.loads((run / "seeds.json").read_text())) == {"1", "2"}
    for seed in ("seed_1", "seed_2"):
        record = json.loads((run / seed / "record.json").read_text())
        assert record["epochs"] == 1
        start, last = (torch.load(run / seed / f"{name}.pt", weights_only=True) for name in ("start", "last"))
        before, after = start["start"]["network"], last["objective"]
        assert any(not torch.equal(weight, after[f"network.{name}"]) for name, weight in before.items())

    said = two_processes(lists, run, "--epochs", "1", "--seeds", "2")
    assert "epoch 1 of 1" not in said
