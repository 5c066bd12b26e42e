from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.bench import load, pipelines, report
from harness.bench.load import Load
from harness.bench.originals import Originals
from harness.bench.pipelines import OURS

PEERS = ("large", "medium")


def results(**changes: object) -> report.Results:
    ours = {"pipeline": 22.0, "detection": 10.0, "keypoint": 4.0, "recognition": 6.0}
    costs = {OURS: ours} | {
        name: {"pipeline": ms, "detection": 40.0, "recognition": ms - 42.0}
        for name, ms in zip(PEERS, (440.0, 88.0), strict=True)
    }
    known: dict[str, object] = {
        "date": "2026-01-01",
        "machine": "a machine",
        "photos": "3 photos",
        "costs": costs,
        "by_dogs": {name: {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0} for name in costs},
        "here": 40.0,
        "there": 44.0,
        "loads": [Load(1, 20.0, 50.0, 60.0), Load(4, 30.0, 130.0, 200.0)],
        "memory": [(500, 300.0), (1000, 400.0), (2000, 404.0)],
        "growth": 0.01,
        "originals": Originals(12.1, 60.0, 48.0, 40, 39, 182.0, 900.0, 24, 9.0, 2, 6.0),
    }
    return report.Results(**{**known, **changes})  # type: ignore[arg-type]


def test_the_table_sets_each_goal_beside_what_was_reached() -> None:
    lines = report.table(results()).splitlines()
    assert "| our pipeline / its graphs alone | 1.100 | <= 1.10 |" in lines  # 22 / (10 + 4 + 6)
    assert "| large / our pipeline | 20 | >= 5 |" in lines
    assert "| medium / our pipeline | 4 | >= 2 |" in lines
    assert "| service / pipeline, file to dogs | 1.100 | <= 1.15 |" in lines
    assert "| memory at the end / after 1,000 photos | 1.010 | <= 1.02 |" in lines
    assert "| 12 megapixels / the same photo at 1,440 pixels | 1.25 | <= 1.4 |" in lines
    assert "| dogs whose embeddings agree between the two (cosine >= 0.98) | 0.975 | >= 0.95 |" in lines
    assert "| peak GB on 182 megapixels | 0.900 | <= 1.2 |" in lines
    assert f"| {OURS} | 22.0 | 10.0 | 4.0 | 6.0 | 2.0 | 1.0 | 2.0 | 4.0 | 8.0 |" in lines


def test_what_is_no_graph_is_everything_else() -> None:
    assert "| large | 440.0 | 40.0 | 0.0 | 398.0 | 2.0 | 1.0 | 2.0 | 4.0 | 8.0 |" in report.table(results())


def test_workers_are_set_beside_one() -> None:
    assert "on 24 of the large ones, report and all: 9.0 s with one worker, 6.0 s with 2." in report.table(results())


def test_no_dog_at_all_is_no_agreement() -> None:
    nothing = replace(results().originals, dogs=0, agreeing=0)
    assert "| nan | >= 0.95 |" in report.table(results(originals=nothing))


def test_results_are_written_as_table_plot_and_json(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib: pip install 'immich-dog-plugin[report]'")
    report.write(results(), tmp_path)
    assert json.loads((tmp_path / "RESULTS.json").read_text())["costs"][OURS]["pipeline"] == 22.0
    assert (tmp_path / "RESULTS.md").read_text() == report.table(results())
    first = (tmp_path / "speed.svg").read_bytes()
    report.write(results(), tmp_path)
    assert first == (tmp_path / "speed.svg").read_bytes()


def test_a_photos_cost_is_its_median_and_photos_are_averaged() -> None:
    assert pipelines.average([[{"a": 1.0}, {"a": 100.0}, {"a": 3.0}], [{"a": 5.0}]]) == {"a": 4.0}


def test_memory_growth_is_counted_from_after_the_first_thousand_photos() -> None:
    seen = [(100, 50.0), (900, 100.0), (1000, 200.0), (5000, 300.0), (10000, 220.0)]
    assert load.growth(seen, after=1000) == pytest.approx(0.1)


def test_a_process_counts_with_its_children() -> None:
    import os
    import subprocess
    import sys
    import time

    alone = load.resident_mb(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "x = b'1' * 50_000_000; input()"], stdin=subprocess.PIPE) as child:
        end = time.monotonic() + 20
        while load.resident_mb(os.getpid()) < alone + 50:
            assert time.monotonic() < end
            time.sleep(0.05)
        child.communicate(b"\n")
