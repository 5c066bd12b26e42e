"""Is what the detector found a dog at all? A logistic regression on the embedding.

The detector has one class and cannot say "this is a cat"; the embedder started from a network that told a thousand
things apart, and what it left of that in an embedding says so almost always, at the cost of one product of two vectors.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from .calibration import logistic
from .geometry import FloatArray


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DogClassifier:
    """What ``trainers.dog_classifier`` fitted.

    Attributes:
        weights: one for each number of an embedding.
        face_weight: of a dog that shows its face, whose embedding holds it beside the body.
        intercept: log odds of a dog at an embedding of zeros.
        min_probability: from which on it is a dog.
        source: what it was fitted on.
    """

    weights: tuple[float, ...]
    face_weight: float
    intercept: float
    min_probability: Annotated[float, Field(ge=0, le=1)]
    source: str

    def probability(self, embeddings: FloatArray, with_face: NDArray[np.bool_]) -> FloatArray:
        """Of being a dog ``(n,)``, for embeddings ``(n, dimension)`` and whether each holds a face ``(n,)``."""
        odds = embeddings @ np.asarray(self.weights) + self.face_weight * with_face + self.intercept
        return np.asarray(logistic(odds), dtype=np.float32)
