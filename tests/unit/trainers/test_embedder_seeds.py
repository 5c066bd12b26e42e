from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainers.embedder.seeds import SEEDS, read_seeds, spread_table, write_seeds
from trainers.runs import TrainingError


def figures(eer: float, tar: float) -> dict[str, dict[str, Any]]:
    of_all = {"auc": 0.9, "eer": 0.1, "tar_at_1_percent": tar, "tar_at_01_percent": None, "top_1": 0.8}
    return {"all": of_all, "cross-session": {**of_all, "eer": eer, "tar_at_1_percent": 0.3}}


def test_the_spread_over_seeds_is_a_table() -> None:
    table = spread_table({1: figures(0.1, 0.8), 2: figures(0.2, 0.9), 3: figures(0.3, 1.0)}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    column = cells[0].index("cross-session: EER")
    assert [row[column] for row in cells[2:]] == ["0.100", "0.200", "0.300", "0.200 ± 0.100"]
    assert cells[-1][cells[0].index("all: TAR@0.1%")] == "n/a"


def test_the_figures_of_seeds_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = {1: figures(0.1, 0.8), 2: figures(0.2, 0.9)}
    write_seeds(tmp_path, found)
    assert read_seeds(tmp_path / "seed_1") == found
    assert (tmp_path / "seeds.md").read_text().splitlines() == spread_table(found).splitlines()


def test_damaged_figures_of_seeds_are_an_error(tmp_path: Path) -> None:
    (tmp_path / SEEDS).write_text("{")
    with pytest.raises(TrainingError, match=r"seeds.json holds no figures of seeds"):
        read_seeds(tmp_path / "seed_1")
