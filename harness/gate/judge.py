"""From embeddings to a verdict for each limit. Pure functions of arrays.

A limit is held against the figure's 95 % interval over dogs, never against the figure alone. Where the whole interval
keeps it, the limit is kept; where the whole interval misses it, it is missed; else so few photos cannot tell. So a
lucky small set does not pass, and an unlucky one is not blamed on the service.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from harness.gate.limits import Limits
from immich_dog_plugin.errors import EvaluationError
from immich_dog_plugin.evaluation.bootstrap import Interval, bootstrap_intervals, bootstrap_mean
from immich_dog_plugin.evaluation.metrics import median_margin
from immich_dog_plugin.evaluation.pairs import Counts, DogPairs, Floats, Pairs, PhotoPair
from immich_dog_plugin.manifest import Thresholds

FigureName = Literal["found", "same_dog", "different_dogs", "margin"]  # as in Limits
FIGURES: tuple[FigureName, ...] = get_args(FigureName)


class Outcome(StrEnum):
    """Of a limit, or of all together; ``exit_code`` is that of the command."""

    PASSED = "passed"
    FAILED = "failed"
    TOO_FEW = "too few photos"

    @property
    def exit_code(self) -> int:
        return {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.TOO_FEW: 3}[self]  # 2 is wrong usage


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure held against its limit.

    Attributes:
        figure: its name.
        interval: the figure; ``None`` where there is nothing to take it of.
        least: the limit.
        outcome: what follows.
    """

    figure: FigureName
    interval: Interval | None
    least: float
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.outcome}: {self.figure} {self.interval or 'cannot be measured'}, at least {self.least:g}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything the gate has to say.

    Attributes:
        verdicts: one for each figure.
        missed: rows of the photos in which no dog was found.
        false_rejects: pairs of one dog below the threshold, the least alike first.
        false_accepts: pairs of two dogs at or above it, the most alike first.
        genuine_pairs, impostor_pairs: how many there are among the dogs that were found.
    """

    verdicts: dict[FigureName, Verdict]
    missed: list[int]
    false_rejects: list[PhotoPair]
    false_accepts: list[PhotoPair]
    genuine_pairs: int
    impostor_pairs: int

    @property
    def outcome(self) -> Outcome:
        """Failed if a limit is missed, else too few photos if one cannot be told, else passed."""
        found = {verdict.outcome for verdict in self.verdicts.values()}
        return next((outcome for outcome in (Outcome.FAILED, Outcome.TOO_FEW) if outcome in found), Outcome.PASSED)


def judge(
    embeddings: Floats, labels: ArrayLike, groups: ArrayLike, thresholds: Thresholds, limits: Limits
) -> Judgement:
    """Hold the figures of a set against its limits.

    Args:
        embeddings: ``(n, d)`` unit rows, NaN where no dog was found.
        labels: ``(n,)``, which dog.
        groups: ``(n,)``, which original photo: two of one group are no pair.
        thresholds: of the manifest.
        limits: of the set.
    """
    labels, groups = np.asarray(labels), np.asarray(groups)
    found = np.isfinite(embeddings).all(axis=1)
    rows = np.flatnonzero(found)
    figures: dict[FigureName, Interval] = {"found": bootstrap_mean(found, labels, share=True)}
    genuine: list[PhotoPair] = []
    impostor: list[PhotoPair] = []
    with suppress(EvaluationError):  # no pair of one dog, or none of two: there is nothing to take the figures of
        pairs = DogPairs.of(embeddings[rows], labels[rows], groups[rows])
        figures |= _figures_of_pairs(pairs, thresholds.same_dog)
        genuine = _photo_pairs(rows[pairs.genuine_photos], pairs.genuine)
        impostor = _photo_pairs(rows[pairs.impostor_photos], pairs.impostor)
    return Judgement(
        verdicts={name: _verdict(name, figures.get(name), limits) for name in FIGURES},
        missed=np.flatnonzero(~found).tolist(),
        false_rejects=[pair for pair in genuine if pair.cosine < thresholds.same_dog],
        false_accepts=[pair for pair in reversed(impostor) if pair.cosine >= thresholds.same_dog],
        genuine_pairs=len(genuine),
        impostor_pairs=len(impostor),
    )


def outcome(interval: Interval | None, least: float) -> Outcome:
    """What an interval says of a limit.

    >>> outcome(Interval(0.9, 0.8, 0.95), least=0.8).value, outcome(Interval(0.7, 0.6, 0.79), least=0.8).value
    ('passed', 'failed')
    >>> outcome(Interval(0.9, 0.7, 0.95), least=0.8).value, outcome(Interval(1.0, None, None), least=0.8).value
    ('too few photos', 'too few photos')
    """
    if interval is None or interval.low is None or interval.high is None:
        return Outcome.TOO_FEW
    if interval.low >= least:
        return Outcome.PASSED
    return Outcome.FAILED if interval.high < least else Outcome.TOO_FEW


def _verdict(name: FigureName, interval: Interval | None, limits: Limits) -> Verdict:
    least = getattr(limits, name)
    return Verdict(name, interval, least, outcome(interval, least))


def _figures_of_pairs(pairs: DogPairs, threshold: float) -> dict[FigureName, Interval]:
    shares: dict[FigureName, Callable[[Pairs], float]] = {
        "same_dog": lambda drawn: drawn.genuine_scores.share_at_least(threshold),
        "different_dogs": lambda drawn: 1 - drawn.impostor_scores.share_at_least(threshold),
    }
    return bootstrap_intervals(shares, pairs, share=True) | bootstrap_intervals({"margin": median_margin}, pairs)


def _photo_pairs(rows: Counts, cosines: Floats) -> list[PhotoPair]:
    """Pairs of rows ``(2, n)`` with their cosines ``(n,)``."""
    return [PhotoPair(*pair) for pair in zip(*rows.tolist(), cosines.tolist(), strict=True)]
