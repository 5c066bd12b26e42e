"""One recipe with several seeds: how far its figures spread. ``seeds.json`` keeps them, ``seeds.md`` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev

from pydantic import TypeAdapter, ValidationError

from immich_dog_plugin.files import whole_file

from ..runs import TrainingError
from .validate import ALL, CROSS_SESSION, Figures

SHOWN = {"auc": "AUC", "eer": "EER", "tar_at_1_percent": "TAR@1%", "tar_at_01_percent": "TAR@0.1%", "top_1": "top-1"}
SEEDS = "seeds.json"
_FIGURES = TypeAdapter(dict[int, Figures])


def write_seeds(folder: Path, figures: Mapping[int, Figures]) -> None:
    """Keep the figures of the best epochs by seed beside the runs ``seed_N``, and their table."""
    with whole_file(folder / SEEDS) as partial:
        partial.write_bytes(_FIGURES.dump_json(dict(figures), indent=1) + b"\n")
    with whole_file(folder / "seeds.md") as partial:
        partial.write_text(spread_table(figures) + "\n", encoding="utf-8")


def read_seeds(run: Path) -> dict[int, Figures]:
    """The figures of all seeds of which ``run`` is one; none where it was trained alone.

    Raises:
        TrainingError: the file is damaged.
    """
    file = run.resolve().parent / SEEDS
    if not file.is_file():
        return {}
    try:
        return _FIGURES.validate_json(file.read_bytes())
    except ValidationError as error:
        raise TrainingError(f"{file} holds no figures of seeds", "Give the command that trained them again") from error


def spread_table(figures: Mapping[int, Figures]) -> str:
    """Figures of the best epoch by seed, their mean and sample standard deviation, as Markdown."""
    columns = [(group, key) for group in (ALL, CROSS_SESSION) for key in SHOWN]
    lines = [
        "| seed | " + " | ".join(f"{group}: {SHOWN[key]}" for group, key in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    rows = {seed: [of[group][key] for group, key in columns] for seed, of in figures.items()}
    for seed, values in rows.items():
        lines.append(f"| {seed} | " + " | ".join("n/a" if v is None else f"{v:.3f}" for v in values) + " |")
    cells = []
    for column in zip(*rows.values(), strict=True):
        stated = [value for value in column if value is not None]
        if not stated:
            cells.append("n/a")
        elif len(stated) == 1:
            cells.append(f"{stated[0]:.3f}")
        else:
            cells.append(f"{mean(stated):.3f} ± {stdev(stated):.3f}")
    lines.append("| mean ± spread | " + " | ".join(cells) + " |")
    return "\n".join(lines)
