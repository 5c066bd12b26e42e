"""``report.html`` and ``figures.json`` of an evaluation."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from .. import __version__
from ..errors import OutputError
from ..files import output_error, whole_file
from ..html import require_jinja2, write_page
from ..scan import in_words
from .embedded import EmbeddedPhotos
from .evaluate import ALL, Evaluation
from .pairs import Counts, DogPairs, Floats, PhotoPair
from .plots import reliability_plot, require_plots, roc_plot, score_plot
from .tables import THRESHOLD_NAMES, cell_text, tables

REPORT, FIGURES = "report.html", "figures.json"
FORMAT = "immich-dogs evaluation 1"
_WORST = 12  # pairs of a kind
_TEMPLATE = Path(__file__).parent / "templates" / "evaluation.html.j2"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the report says about the run.

    Attributes:
        source: the folder or file that was evaluated, and its split.
        model: name and version of the model package; empty where only embeddings are known.
        warning: how far the figures can be believed.
        notes: what else a reader should know.
    """

    source: str
    model: str
    warning: str
    notes: list[str]


def worst_pairs(cosines: Floats, photos: Counts, count: int = _WORST) -> list[PhotoPair]:
    """The first pairs of a list, each photo in at most one of them: one bad photo would fill the list otherwise.

    Args:
        cosines: ``(n,)``, the worst first.
        photos: both photos of each, ``(2, n)``.
        count: how many pairs at most.
    """
    chosen: list[PhotoPair] = []
    shown: set[int] = set()
    for cosine, first, second in zip(cosines, *photos, strict=True):
        if len(chosen) == count:
            break
        if not shown & {int(first), int(second)}:
            chosen.append(PhotoPair(int(first), int(second), float(cosine)))
            shown |= {int(first), int(second)}
    return chosen


def require_packages() -> None:
    """Fail before the work starts, not after it.

    Raises:
        MissingPackageError: jinja2 or matplotlib is not installed.
    """
    require_jinja2("Writing report.html")
    require_plots()


def check_out_folder(out: Path) -> None:
    """Refuse an output folder that holds a report or figures of something else; nothing is written.

    Raises:
        OutputError: there is a ``report.html`` or ``figures.json`` that no evaluation wrote.
    """
    try:
        there = [name for name in (REPORT, FIGURES) if (out / name).exists()]
        ours = (out / FIGURES).is_file() and json.loads((out / FIGURES).read_bytes()).get("format") == FORMAT
    except OSError as error:
        raise output_error(out, error) from error
    except (ValueError, AttributeError):  # no JSON, or no object
        ours = False
    if there and not ours:
        raise OutputError(
            f"{out} holds {' and '.join(there)} that no evaluation wrote", "Choose another folder by --out"
        )


def write_figures(path: Path, evaluation: Evaluation, photos: EmbeddedPhotos, facts: Facts) -> None:
    """Everything as JSON: a figure is ``{"value", "low", "high"}``, ``null`` where it cannot be stated.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    content = {
        "format": FORMAT,
        "immich_dogs": __version__,
        "made": _now(),
        **asdict(facts),
        "intervals": "95 %, dogs drawn 1,000 times with replacement",
        "failures": [asdict(failure) for failure in photos.failures],
        "left_out": [asdict(one) for one in photos.left_out],
        "figures": asdict(evaluation),
    }
    with whole_file(path) as temporary:
        temporary.write_text(
            json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def write_report(path: Path, evaluation: Evaluation, photos: EmbeddedPhotos, facts: Facts) -> None:
    """The page with tables, plots and the worst pairs.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    pairs = DogPairs.of(photos.embeddings, photos.labels, photos.groups)
    thresholds = {THRESHOLD_NAMES[found.name]: found.cosine for found in evaluation.thresholds}
    content = {
        "facts": facts,
        "version": __version__,
        "made": _now(),
        "evaluation": evaluation,
        "left_out_words": in_words(photos.left_out),
        "photos": photos,
        "tables": tables(evaluation),
        "cell_text": cell_text,
        "plots": {
            "ROC": roc_plot({name: _of_set(photos, name) for name in evaluation.sets}),
            "Scores": score_plot(pairs, thresholds),
            **({"Reliability": reliability_plot(evaluation.reliability)} if evaluation.reliability else {}),
        },
        "closest": worst_pairs(pairs.impostor[::-1], pairs.impostor_photos[:, ::-1]),
        "farthest": worst_pairs(pairs.genuine, pairs.genuine_photos),
    }
    write_page(path, _TEMPLATE, content)


def _of_set(photos: EmbeddedPhotos, name: str) -> DogPairs:
    chosen = np.full(len(photos.sets), True) if name == ALL else photos.sets == name
    return DogPairs.of(photos.embeddings[chosen], photos.labels[chosen], photos.groups[chosen])


def _now() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
