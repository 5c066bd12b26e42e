"""How far an exported graph's answers are from the trained network's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from immich_dog_plugin.geometry import FloatArray


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest differences over one batch.

    Attributes:
        absolute: between two numbers, in the unit of the output.
        cosine: 1 - cosine between two rows of the output, flattened.
    """

    absolute: float
    cosine: float


def compare(network: nn.Module, graph: Path, images: FloatArray) -> Parity:
    """The network in torch against the graph in ONNX Runtime on ``images`` ``(n, 3, side, side)``, both on the CPU."""
    with torch.inference_mode():
        expected = network(torch.from_numpy(images)).numpy()
    return difference(expected, answer(graph, images))


def answer(graph: Path, images: FloatArray) -> FloatArray:
    """What ONNX Runtime answers for ``images``."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"images": images})
    return np.asarray(output, dtype=np.float32)


def difference(expected: FloatArray, found: FloatArray) -> Parity:
    """Compare two outputs of the shape ``(n, ...)``.

    >>> difference(np.float32([[3, 4]]), np.float32([[6, 8]]))
    Parity(absolute=4.0, cosine=0.0)
    """
    rows, others = expected.reshape(len(expected), -1), found.reshape(len(found), -1)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
    cosines = (rows.astype(np.float64) * others).sum(axis=1) / lengths
    return Parity(float(np.abs(rows - others).max()), max(0.0, round(float(1 - cosines.min()), 9)))
