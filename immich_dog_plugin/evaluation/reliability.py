"""Whether the package's probability of the same dog comes true: reliability curve and expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..calibration import Calibration, Curve, expected_calibration_error, reliability_curve
from .bootstrap import Interval, bootstrap_intervals
from .pairs import Counts, DogPairs, Floats, Pairs


@dataclass(frozen=True, slots=True)
class Reliability:
    """Predicted against observed, on pairs weighed as ``balanced`` does.

    Attributes:
        error: the expected calibration error. It cannot fall below 0, so chance raises it: the fewer the dogs, the
            larger it is for a probability that is right. A draw holds fewer different dogs, so the interval may lie
            above the value.
        curve: its bins.
    """

    error: Interval
    curve: Curve


def reliability(pairs: DogPairs, calibration: Calibration) -> Reliability:
    """Hold the probabilities of a package against the pairs of known dogs."""
    alike = each_dog_alike(pairs.genuine_dogs)

    def curve(drawn: Pairs) -> Curve:
        genuine = alike if drawn.genuine_weights is None else alike * drawn.genuine_weights
        impostor = np.ones(len(drawn.impostor)) if drawn.impostor_weights is None else drawn.impostor_weights
        cosines = np.concatenate([drawn.genuine, drawn.impostor])
        same = np.arange(len(cosines)) < len(genuine)
        return reliability_curve(calibration.probability(cosines), same, balanced(genuine, impostor))

    def error(drawn: Pairs) -> float:
        return expected_calibration_error(curve(drawn))

    return Reliability(bootstrap_intervals({"": error}, pairs)[""], curve(pairs.pairs))


def each_dog_alike(genuine_dogs: Counts) -> Floats:
    """Weights of the genuine pairs ``(n_genuine,)`` by which a dog of many photos counts no more than one of two.

    >>> each_dog_alike(np.array([0, 0, 1])).tolist()
    [0.5, 0.5, 1.0]
    """
    return np.asarray(1 / np.bincount(genuine_dogs)[genuine_dogs])


def balanced(genuine: Floats, impostor: Floats | Counts) -> Floats:
    """Weights of all pairs, the genuine first, by which both kinds weigh the same: even odds.

    >>> balanced(np.array([1.0, 1.0]), np.array([3.0, 1.0])).tolist()
    [0.25, 0.25, 0.375, 0.125]
    """
    return np.concatenate([genuine / genuine.sum(), impostor / impostor.sum()]) / 2
