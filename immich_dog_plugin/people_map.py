"""Embeddings for Immich's own clustering: distances that put ``same_dog`` where Immich's server expects it.

The server takes two faces for one person up to the cosine distance ``maxDistance``, 0.5 by default, whoever they are
of. Dogs' embeddings are closer together than human ones, so they go through the signed power ``sign(x) |x|^q`` of every
coordinate and are made of unit length again: the power normalisation of Perronnin, Sanchez and Mensink, "Improving the
Fisher kernel for large-scale image classification", ECCV 2010. It squashes the few large coordinates that all dogs
share; the same crop stays at distance 0, and nothing is random.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .errors import ModelPackageError
from .geometry import FloatArray


class PeopleMap(BaseModel):
    """Which exponent puts a package's ``same_dog`` at which distance, measured on validation dogs.

    Attributes:
        exponents: descending from 1, which changes nothing, and above 0.
        distances: cosine distance of ``same_dog`` after each, ascending.
        source: the pairs it was measured on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    exponents: tuple[float, ...] = Field(min_length=2)
    distances: tuple[float, ...]
    source: str

    @model_validator(mode="after")
    def _check_table(self) -> Self:
        if len(self.exponents) != len(self.distances):
            raise ValueError("there are not as many distances as exponents")
        if self.exponents[0] != 1 or self.exponents[-1] <= 0 or not np.all(np.diff(self.exponents) < 0):
            raise ValueError("the exponents do not descend from 1 and stay above 0")
        if self.distances[0] <= 0 or not np.all(np.diff(self.distances) > 0):
            raise ValueError("the distances do not ascend from above 0")
        return self

    def exponent(self, max_distance: float) -> float:
        """The exponent that puts ``same_dog`` at this distance, linearly between two of the table.

        Raises:
            ModelPackageError: outside the table.
        """
        if not self.distances[0] <= max_distance <= self.distances[-1]:
            raise ModelPackageError(
                f"IMMICH_DOGS_PEOPLE_MAX_DISTANCE is {max_distance:g}, and this model package can put the same dog at "
                f"{self.distances[0]:.3f} to {self.distances[-1]:.3f} only",
                "Set it, and the maximum recognition distance in Immich's settings, to a value between",
            )
        return float(np.interp(max_distance, self.distances, self.exponents))


def signed_power(embeddings: FloatArray, exponent: float) -> FloatArray:
    """``sign(x) |x|^exponent`` of embeddings ``(..., d)``, of unit length again; a row of zeros becomes NaN.

    >>> signed_power(np.float32([0.96, -0.28]), 1.0).round(2).tolist()
    [0.9599999785423279, -0.2800000011920929]
    """
    powered = np.sign(embeddings) * np.abs(embeddings.astype(np.float64)) ** exponent
    with np.errstate(invalid="ignore"):  # the caller refuses what is not finite, by name
        return np.asarray(powered / np.linalg.norm(powered, axis=-1, keepdims=True), dtype=np.float32)
