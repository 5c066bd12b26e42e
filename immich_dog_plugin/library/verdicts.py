"""What a cosine says about two dogs, by the thresholds of the model package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..model_package import Thresholds

Verdict = Literal["same", "unsure", "different"]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """``same`` from ``same_from`` on, ``different`` below ``unsure_from``, ``unsure`` between.

    There is no ``unsure`` where the package calls dogs the same at a cosine that 1 % of the pairs of different dogs
    reach, or more of them.
    """

    same_from: float
    unsure_from: float

    @classmethod
    def of(cls, thresholds: Thresholds) -> Verdicts:
        """The verdicts of a model package."""
        return cls(thresholds.same_dog, min(thresholds.same_dog, thresholds.far_1_percent))

    def __call__(self, cosine: float) -> Verdict:
        if cosine >= self.same_from:
            return "same"
        return "unsure" if cosine >= self.unsure_from else "different"
