"""A dog's body as a soft union of tapered capsules, placed by the joints of a pose.

Every part exists twice, as it is in this photo and as it is in the standing rest pose. A point on the skin is carried
back to the rest pose, and the coat is painted there: so marks stay where they are on the dog, whatever it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # of float32: OpenCV's and NumPy's stubs do not keep the type

SOFTNESS = 55.0  # of the union, in 1/unit: parts closer than about 1/55 run into one another
_CHUNK = 8192  # points worked on at once: keeps the (points, parts) tables in the cache


def multiply(a: Array, b: Array) -> Array:
    """The matrix product (n, k) of (n, m) and (m, k): NumPy's threaded BLAS waits too long on thin ones."""
    return np.asarray(cv2.gemm(a, b, 1.0, None, 0.0), np.float32)  # type: ignore[call-overload]  # None: nothing to add


@dataclass(frozen=True, slots=True)
class Part:
    """A tapered capsule from `start` to `end`, flattened by `flat` (across, across) in its own frame."""

    name: str
    start: Array  # (3,)
    end: Array  # (3,)
    radii: tuple[float, float]
    flat: tuple[float, float] = (1.0, 1.0)
    side: tuple[float, float, float] = (0.0, 0.0, 1.0)  # direction that `flat[1]` squeezes
    hard: bool = False  # not blended with its neighbours (eyes, nose)


class Shape:
    """Signed distances to a list of parts, many points at once."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.names = [part.name for part in parts]
        self.hard = np.array([part.hard for part in parts])
        self.centre = np.stack([part.start for part in parts]).astype(np.float32)
        self.axes = np.stack([_frame(part) for part in parts])  # (parts, 3, 3), rows: across, along, across
        self.length = np.array([np.linalg.norm(part.end - part.start) for part in parts], np.float32)
        self.radii = np.array([part.radii for part in parts], np.float32)
        self.scale = np.array([(part.flat[0], 1.0, part.flat[1]) for part in parts], np.float32)
        self._shrink = self.scale.min(axis=1)
        self._slope = (self.radii[:, 1] - self.radii[:, 0]) / np.maximum(self.length, 1e-6)
        inverse = self.axes / self.scale[:, :, None]
        to_local = inverse.transpose(2, 1, 0).reshape(3, -1)  # (world, local * parts)
        offset = np.einsum("kij,kj->ik", inverse, self.centre).reshape(1, -1)
        self._to_local = np.ascontiguousarray(np.concatenate([to_local, -offset]), np.float32)  # (4, local * parts)

    def local(self, points: Array) -> tuple[Array, Array, Array]:
        """Points (n, 3) in each part's flattened frame: three arrays (n, parts)."""
        homogeneous = np.ones((len(points), 4), np.float32)
        homogeneous[:, :3] = points
        x, y, z = np.split(multiply(homogeneous, self._to_local), 3, axis=1)
        return x, y, z

    def part_distances(self, points: Array) -> Array:
        """Signed distance (n, parts) of points (n, 3) to each part; a lower bound where a part is flattened."""
        x, y, z = self.local(points)
        along = np.clip(y, 0.0, self.length)
        y -= along
        distance = np.sqrt(x * x + y * y + z * z)
        along *= self._slope
        distance -= along
        distance -= self.radii[:, 0]
        return np.asarray(distance * self._shrink)

    def distance(self, points: Array) -> Array:
        """Signed distance (n,) of points (n, 3) to the whole body."""
        out = np.empty(len(points), np.float32)
        for first in range(0, len(points), _CHUNK):
            parts = self.part_distances(points[first : first + _CHUNK])
            distance = self._blend(parts)
            if self.hard.any():
                distance = np.minimum(distance, parts[:, self.hard].min(axis=1))
            out[first : first + _CHUNK] = distance
        return out

    def _blend(self, parts: Array) -> Array:
        """The soft union (n,) of the parts that are not hard."""
        soft = parts[:, ~self.hard]
        nearest = soft.min(axis=1)
        crowd = np.exp(-SOFTNESS * (soft - nearest[:, None])).sum(axis=1)
        return np.asarray(nearest - np.log(crowd) / SOFTNESS, np.float32)

    def weights(self, points: Array) -> Array:
        """How far points (n, 3) belong to each part: (n, parts), rows sum to 1, hard parts all or nothing."""
        parts = self.part_distances(points)
        soft = np.where(self.hard, np.float32(1e3), parts)
        soft_weights = np.exp(-SOFTNESS * (soft - soft.min(axis=1, keepdims=True)))
        soft_weights /= soft_weights.sum(axis=1, keepdims=True)
        if not self.hard.any():
            return np.asarray(soft_weights)
        hard = np.where(self.hard, parts, np.float32(1e3))
        nearest = hard.argmin(axis=1)
        is_hard = hard.min(axis=1) < self._blend(parts)
        soft_weights[is_hard] = np.eye(len(self.parts), dtype=np.float32)[nearest[is_hard]]
        return np.asarray(soft_weights)

    def carry_to(self, rest: Shape, points: Array, weights: Array) -> Array:
        """Points (n, 3) on this shape's skin, where they lie on `rest` (the same parts, placed otherwise)."""
        x, y, z = self.local(points)
        stretch = rest.length / np.maximum(self.length, 1e-6)
        y = np.where((y > 0) & (y < self.length), y * stretch, np.where(y > 0, y - self.length + rest.length, y))
        carried = np.zeros_like(points)
        for axis, value in enumerate((x, y, z)):
            carried += np.einsum("nk,kj->nj", weights * value * rest.scale[:, axis], rest.axes[:, axis])
        return carried + weights @ rest.centre


def _frame(part: Part) -> Array:
    along = part.end - part.start
    length = float(np.linalg.norm(along))
    along = along / length if length > 1e-6 else np.array([0.0, 1.0, 0.0])
    side = np.asarray(part.side, np.float64) - np.dot(part.side, along) * along
    if np.linalg.norm(side) < 1e-3:
        side = np.array([1.0, 0.0, 0.0]) - along[0] * along
    side = side / np.linalg.norm(side)
    return np.stack([np.cross(along, side), along, side]).astype(np.float32)
