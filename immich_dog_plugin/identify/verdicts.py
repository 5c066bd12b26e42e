"""What a cosine says about two dogs, by the calibration of the model package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..calibration import Calibration, percent
from ..manifest import Manifest

Verdict = Literal["same", "unsure", "different"]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """``same`` from ``same_from`` on, ``different`` below ``unsure_from``, ``unsure`` between.

    They follow the calibration. A package without one calls dogs the same from its threshold on, and there is no
    ``unsure`` where 1 % of the pairs of different dogs reach that cosine, or more of them.
    """

    same_from: float
    unsure_from: float
    calibration: Calibration | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> Verdicts:
        """The verdicts of a model package."""
        calibration, thresholds = manifest.calibration, manifest.thresholds
        if calibration is None:
            return cls(thresholds.same_dog, min(thresholds.same_dog, thresholds.far_1_percent))
        unsure_from, same_from = map(calibration.cosine, calibration.unsure)
        return cls(same_from, unsure_from, calibration)

    def __call__(self, cosine: float) -> Verdict:
        if cosine >= self.same_from:
            return "same"
        return "unsure" if cosine >= self.unsure_from else "different"

    def percent(self, cosine: float) -> str:
        """The probability of the same dog for a person, as ``98 %``; empty without a calibration."""
        return "" if self.calibration is None else percent(float(self.calibration.probability(cosine)))
