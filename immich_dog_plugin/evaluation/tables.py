"""Figures as tables that the terminal and the report show alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .bootstrap import Interval
from .evaluate import Evaluation
from .household import HOMES, Household

Cell = str | int | Interval | None

THRESHOLD_NAMES = {"far_1_percent": "FAR 1 %", "same_dog": "same dog", "far_01_percent": "FAR 0.1 %"}


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        title: what it is about.
        note: what its columns mean.
        headings: of the columns; the first is that of the rows' names.
        rows: of cells; ``None`` is printed as n/a.
    """

    title: str
    note: str
    headings: list[str]
    rows: list[list[Cell]]


def cell_text(cell: Cell) -> tuple[str, str]:
    """A cell as its value and its interval, both as they are printed.

    >>> cell_text(Interval(0.648, 0.489, 0.899)), cell_text(392), cell_text(None)
    (('0.648', '0.489 … 0.899'), ('392', ''), ('n/a', ''))
    """
    if isinstance(cell, Interval):
        if cell.low is None or cell.high is None:
            return f"{cell.value:.3f}", "few dogs"
        return f"{cell.value:.3f}", f"{cell.low:.3f} … {cell.high:.3f}"
    if isinstance(cell, int):
        return f"{cell:,}", ""
    return ("n/a" if cell is None else cell), ""


def tables(evaluation: Evaluation) -> list[Table]:
    """Every figure; a part that was not measured has no table."""
    makers: tuple[Callable[[Evaluation], Table], ...] = (
        _verification,
        _thresholds,
        _reliability,
        _households,
        _open_set,
        _sessions,
        _backgrounds,
    )
    made = [make(evaluation) for make in makers]
    return [table for table in made if table.rows]


def _verification(evaluation: Evaluation) -> Table:
    return Table(
        "Same dog or not",
        "All pairs of photos, cuts of one photo left out. TAR: share of the same-dog pairs accepted at the cosine that "
        "this share of the different-dog pairs reaches (n/a where it is read off too few). Top-1, top-5, mAP: each "
        "photo searched among all others.",
        ["", "dogs", "photos", "AUC", "EER", "TAR@1%", "TAR@0.1%", "top-1", "top-5", "mAP"],
        [
            [
                name,
                found.dogs,
                found.photos,
                found.auc,
                found.eer,
                found.tar_at_1_percent,
                found.tar_at_01_percent,
                found.top_1,
                found.top_5,
                found.mean_average_precision,
            ]
            for name, found in evaluation.sets.items()
        ],
    )


def _thresholds(evaluation: Evaluation) -> Table:
    return Table(
        "At the thresholds of the model package",
        "Pairs accepted as the same dog; photos of a known dog given the right name; photos of a dog that is unknown "
        "given a name. The other photos are the gallery: the more known dogs, the more often an unknown one is named.",
        ["", "cosine", "same-dog pairs", "different-dog pairs", "known: right name", "unknown: a name"],
        [
            [
                THRESHOLD_NAMES[found.name],
                f"{found.cosine:.3f}",
                found.genuine_accepted,
                found.impostor_accepted,
                found.identified,
                found.unknown_accepted,
            ]
            for found in evaluation.thresholds
        ],
    )


def _reliability(evaluation: Evaluation) -> Table:
    rows: list[list[Cell]] = []
    if found := evaluation.reliability:
        rows.append(["all", "", "", sum(part.pairs for part in found.curve), found.error])
        rows += [["", f"{part.predicted:.3f}", f"{part.observed:.3f}", part.pairs, ""] for part in found.curve]
    return Table(
        "Probability of the same dog",
        "Pairs by the probability that the model package predicts: its mean, and the share that shows the same dog. "
        "Pairs of the same dog and of different dogs weigh the same, and so do the dogs within the first. Calibration "
        "error: the mean distance between predicted and same dog. It is never below 0, so chance raises it, most "
        "of all in the draws of the interval.",
        ["", "predicted", "same dog", "pairs", "calibration error"],
        rows,
    )


def _households(evaluation: Evaluation) -> Table:
    return Table(
        "Households",
        f"What Immich would make of {HOMES} random homes of 1 to 6 dogs at each threshold, photos uploaded one by one "
        "or recognised all at once. Shares of the dogs: in one person of their own, never grouped, merged (a person of "
        "theirs holds another dog too), split (several persons, none shared). Shares of the photos: in no person, and "
        "in another dog's person.",
        ["", "photos come", "one person", "never grouped", "merged", "split", "photos in none", "photos in another's"],
        [
            [THRESHOLD_NAMES[found.name], arrival, *_shares(home)]
            for found in evaluation.thresholds
            for arrival, home in found.households.items()
        ],
    )


def _shares(home: Household) -> list[Cell]:
    return [home.one_person, home.never_grouped, home.merged, home.split, home.strays, home.wrong]


def _open_set(evaluation: Evaluation) -> Table:
    found = evaluation.open_set
    return Table(
        "Rejection of unknown dogs",
        "DIR@FPIR: share of the photos of known dogs given the right name at the cosine at which this share of the "
        "photos of unknown dogs is given a name.",
        ["", "known", "unknown", "DIR@10%", "DIR@1%"],
        [["all", found.known, found.unknown, found.dir_at_10_percent, found.dir_at_1_percent]],
    )


def _sessions(evaluation: Evaluation) -> Table:
    known = any(found.genuine_pairs for found in evaluation.sessions.values())
    return Table(
        "Same-dog pairs of one session and of two",
        "A session is the index's column, else the day in the photo's EXIF. The threshold is that of all different-dog "
        "pairs. Margin: mean cosine of the same-dog pairs minus that of the different-dog pairs.",
        ["", "same-dog pairs", "TAR@1%", "margin"],
        [
            [name, found.genuine_pairs, found.tar_at_1_percent, found.margin]
            for name, found in evaluation.sessions.items()
            if known
        ],
    )


def _backgrounds(evaluation: Evaluation) -> Table:
    return Table(
        "Background check",
        "Photos with their dogs, and the same with the dog's box painted grey: in the crop that is embedded, and in "
        "the whole photo. AUC 0.5 and a margin of 0 mean that the background tells nothing. Left out: photos without "
        "a dog found, and crops that show less than a tenth of background.",
        ["", "photos", "AUC", "TAR@1%", "margin", "margin that survives"],
        [
            [
                name,
                found.photos,
                found.auc,
                found.tar_at_1_percent,
                found.margin,
                "" if found.survives is None else found.survives,
            ]
            for name, found in evaluation.backgrounds.items()
        ],
    )
