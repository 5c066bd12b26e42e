"""From a cosine to the probability that two photos show the same dog, and how far that can be trusted.

The probability is a logistic function of the cosine (Platt, "Probabilistic outputs for support vector machines and
comparisons to regularized likelihood methods", Advances in Large Margin Classifiers, 1999). It holds at even odds: for
a pair drawn where pairs of the same dog and of different dogs are as many. Where different dogs are the rule, as among
all pairs of a library, or a pair is the most similar of many, fewer are the same dog than it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

BINS = 10

Floats = NDArray[np.floating]
Share = Annotated[float, Field(ge=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]  # what a logistic function can reach
_FORBID = ConfigDict(extra="forbid")


# A dataclass and no model, so that reports can take it apart as they do all figures.
@dataclass(frozen=True, config=_FORBID)
class ReliabilityBin:
    """Pairs of about the same predicted probability.

    Attributes:
        predicted: their mean predicted probability.
        observed: share of them that show the same dog.
        weight: their share of all pairs, both as weighed by ``reliability_curve``.
        pairs: how many they are.
    """

    predicted: Share
    observed: Share
    weight: Share
    pairs: Annotated[int, Field(gt=0)]


Curve = tuple[ReliabilityBin, ...]


class Calibration(BaseModel):
    """A package's probability of the same dog, fitted on validation dogs.

    Attributes:
        slope, intercept: the probability is ``1 / (1 + exp(-(slope * cosine + intercept)))``.
        unsure: probabilities; "different" lies below the first, "same" from the second on.
        curve: on pairs of validation dogs that had no part in the fit that predicts them.
        source: the pairs it was fitted on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slope: float = Field(gt=0)
    intercept: float
    unsure: tuple[Inside, Inside]
    curve: Curve = Field(min_length=1)
    source: str

    @model_validator(mode="after")
    def _check_unsure(self) -> Self:
        if self.unsure[0] > self.unsure[1]:
            raise ValueError("the first of unsure is larger than the second")
        return self

    def probability(self, cosine: ArrayLike) -> Floats:
        """The probability of the same dog at even odds, of the shape of ``cosine``."""
        return logistic(self.slope * np.asarray(cosine, dtype=np.float64) + self.intercept)

    def cosine(self, probability: float) -> float:
        """The cosine at which two photos have this probability, above 0 and below 1; it may lie beyond -1 or 1."""
        return (float(np.log(probability / (1 - probability))) - self.intercept) / self.slope

    @property
    def error(self) -> float:
        """The expected calibration error of ``curve``."""
        return expected_calibration_error(self.curve)


def logistic(values: Floats) -> Floats:
    """``1 / (1 + exp(-value))``, by ``logaddexp`` because ``exp`` itself overflows.

    >>> logistic(np.array([-1000.0, 0.0])).tolist()
    [0.0, 0.5]
    """
    return np.asarray(np.exp(-np.logaddexp(0, -values)))


def reliability_curve(probabilities: Floats, same: NDArray[np.bool_], weights: Floats) -> Curve:
    """Predicted against observed, in ``BINS`` bins of equal width; a bin without weight is left out.

    Args:
        probabilities: predicted, of each pair ``(n,)``.
        same: which pairs show the same dog, ``(n,)``.
        weights: how much each pair counts, ``(n,)``, in any unit.

    >>> reliability_curve(np.array([0.25, 0.75]), np.array([False, True]), np.array([1, 3]))[1]
    ReliabilityBin(predicted=0.75, observed=1.0, weight=0.75, pairs=1)
    """
    place = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    pairs = np.bincount(place[weights > 0], minlength=BINS)
    weight, predicted, observed = (
        np.bincount(place, weights * factor, minlength=BINS) for factor in (1.0, probabilities, same)
    )
    # A mean can pass 1 by a rounding error.
    return tuple(
        ReliabilityBin(
            predicted=min(float(predicted[row] / weight[row]), 1.0),
            observed=min(float(observed[row] / weight[row]), 1.0),
            weight=min(float(weight[row] / weight.sum()), 1.0),
            pairs=int(pairs[row]),
        )
        for row in np.flatnonzero(weight)
    )


def expected_calibration_error(curve: Sequence[ReliabilityBin]) -> float:
    """Mean distance between predicted and observed over the bins, each by its weight.

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.

    >>> round(expected_calibration_error([ReliabilityBin(0.2, 0.1, 0.5, 9), ReliabilityBin(0.9, 1.0, 0.5, 9)]), 3)
    0.1
    """
    return sum(part.weight * abs(part.predicted - part.observed) for part in curve)


def percent(probability: float) -> str:
    """A probability for a person; no logistic function is sure.

    >>> percent(0.456), percent(0.9999), percent(0.0001)
    ('46 %', '> 99 %', '< 1 %')
    """
    if not 0.01 <= probability <= 0.99:
        return "> 99 %" if probability > 0.5 else "< 1 %"
    return f"{100 * probability:.0f} %"
