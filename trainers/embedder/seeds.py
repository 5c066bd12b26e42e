"""One recipe with several seeds: how far its figures spread."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean, stdev

from .validate import ALL, CROSS_SESSION, Figures

SHOWN = {"auc": "AUC", "eer": "EER", "tar_at_1_percent": "TAR@1%", "tar_at_01_percent": "TAR@0.1%", "top_1": "top-1"}


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
