"""The plots of the report, as SVG that fits into the page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..errors import MissingPackageError
from .bootstrap import MIN_DOGS, bootstrap_draws
from .metrics import TRIALS_PER_ERROR, tar_at_far
from .pairs import DogPairs
from .reliability import Reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind tell apart; grey and black come first for what is everything.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_SIZE = (6.4, 4.4)  # inches
_DASHES = ("-", "--", ":")


def require_plots() -> None:
    """Raises MissingPackageError: matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingPackageError("matplotlib", "Drawing the plots of report.html") from error


def roc_plot(sets: Mapping[str, DogPairs]) -> bytes:
    """Share of the same-dog pairs accepted over that of the different-dog pairs, which is logarithmic.

    Args:
        sets: by name; the first is everything and is drawn with its 95 % interval.
    """
    figure, axes = _axes("share of different-dog pairs accepted (FAR)", "share of same-dog pairs accepted (TAR)")
    for number, (name, pairs) in enumerate(sets.items()):
        # Left of this rate too few impostor pairs decide.
        least = min(TRIALS_PER_ERROR / len(pairs.impostor), 0.1)
        rates = np.geomspace(least, 1, 60)
        curve = {far: partial(tar_at_far, far=far) for far in rates.tolist()}
        values = [statistic(pairs.pairs) for statistic in curve.values()]
        colour = "black" if number == 0 else _COLOURS[(number - 1) % len(_COLOURS)]
        width = 2.2 if number == 0 else 1.2
        axes.plot(rates, values, color=colour, linewidth=width, label=name)
        if number == 0 and len(np.unique(pairs.genuine_dogs)) >= MIN_DOGS:
            drawn = list(bootstrap_draws(curve, pairs, draws=200).values())
            low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
            axes.fill_between(rates, low, high, color=colour, alpha=0.12, linewidth=0, label="95 % interval")
    axes.set_xscale("log")
    axes.set_ylim(0, 1.01)
    axes.set_xlim(right=1)
    axes.legend(loc="lower right", frameon=False)
    return _svg(figure)


def score_plot(pairs: DogPairs, thresholds: Mapping[str, float]) -> bytes:
    """Histograms of the cosines of both kinds of pairs, with the thresholds by name."""
    figure, axes = _axes("cosine", "share of the pairs of a kind")
    edges = np.linspace(min(-0.05, float(min(pairs.genuine[0], pairs.impostor[0]))), 1, 71)
    for name, cosines, colour in (
        (f"different dogs ({len(pairs.impostor):,} pairs)", pairs.impostor, _COLOURS[1]),
        (f"same dog ({len(pairs.genuine):,} pairs)", pairs.genuine, _COLOURS[0]),
    ):
        each = np.full(len(cosines), 1 / len(cosines))
        axes.hist(cosines, edges.tolist(), weights=each, color=colour, alpha=0.45, label=name)
    for (name, cosine), dashes in zip(thresholds.items(), _DASHES, strict=False):
        axes.axvline(cosine, color="black", linestyle=dashes, linewidth=1.2, label=f"{name}: {cosine:.3f}")
    axes.set_xlim(edges[0], 1)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    return _svg(figure)


def reliability_plot(found: Reliability) -> bytes:
    """Observed share over predicted probability; a larger point weighs more."""
    figure, axes = _axes("predicted probability of the same dog", "share of the pairs that show the same dog")
    predicted = [part.predicted for part in found.curve]
    observed = [part.observed for part in found.curve]
    axes.plot([0, 1], [0, 1], color="black", linestyle=_DASHES[1], linewidth=1.2, label="what is predicted comes true")
    axes.plot(predicted, observed, color=_COLOURS[0], linewidth=1.2, label=f"calibration error {found.error.value:.3f}")
    axes.scatter(predicted, observed, [20 + 400 * part.weight for part in found.curve], color=_COLOURS[0], alpha=0.6)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.legend(loc="lower right", frameon=False)
    return _svg(figure)


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    # Not pyplot: it keeps figures in a global list and looks for a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()
