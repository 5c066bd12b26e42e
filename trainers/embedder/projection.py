"""From a backbone's features to 512 numbers without bending the geometry: principal components, no whitening."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from immich_dog_plugin.geometry import FloatArray


def principal_directions(features: FloatArray, dimension: int, common: int = 0) -> FloatArray:
    """The ``dimension`` orthonormal directions ``(dimension, d)`` that keep most of the features ``(n, d)``.

    Not centred: the cosine of two projected vectors is then that of the vectors themselves but for what the left-out
    directions hold. Features are scaled to unit length first, so that every photo counts the same. Of features with
    fewer numbers than ``dimension`` all directions are kept, and the further rows are zero.

    The first ``common`` directions are left out. The very first is nearly that of the mean: it holds what all dogs
    have in common and lifts every cosine alike (Mu and Viswanath, 2018, "All-but-the-Top",
    https://arxiv.org/abs/1702.01417).
    """
    unit: NDArray[np.float64] = features / np.linalg.norm(features, axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(unit.T.astype(np.float64) @ unit)  # ascending
    directions = vectors[:, ::-1][:, common : common + dimension].T
    padded = np.pad(directions, ((0, dimension - len(directions)), (0, 0)))
    return np.ascontiguousarray(padded, dtype=np.float32)


def projection_layer(directions: FloatArray) -> nn.Linear:
    """The linear layer that projects onto ``directions`` ``(dimension, d)``."""
    layer = nn.Linear(directions.shape[1], directions.shape[0], bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(directions))
    return layer
