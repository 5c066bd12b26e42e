"""Where a photo is taken from, and what ground it sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drawn_dogs.shape import Array


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole at `position`; `axes` rows: right, down, ahead; `focal` in pixels."""

    position: Array
    axes: Array
    focal: float
    size: tuple[int, int]  # width, height
    centre: tuple[float, float]

    def rays(self, x: Array, y: Array) -> Array:
        """Unit directions (n, 3) through pixels x, y (n,)."""
        view = np.stack([(x - self.centre[0]) / self.focal, (y - self.centre[1]) / self.focal, np.ones_like(x)], axis=1)
        return np.asarray((view / np.linalg.norm(view, axis=1, keepdims=True)) @ self.axes, np.float32)

    def project(self, points: Array) -> Array:
        """World points (n, 3) as x, y in pixels and depth in units: (n, 3)."""
        view = (points - self.position) @ self.axes.T
        depth = view[:, 2]
        x, y = (view[:, axis] / depth * self.focal + self.centre[axis] for axis in (0, 1))
        return np.stack([x, y, depth], axis=1)

    @property
    def horizon(self) -> float:
        """The row (pixels, perhaps outside the photo) where the ground ends."""
        ahead = self.axes[2]
        return self.centre[1] + self.focal * float(ahead[1]) / max(1e-3, float(np.hypot(ahead[0], ahead[2])))


@dataclass(frozen=True, slots=True)
class Ground:
    """Where rays meet the ground: mask (h, w), world x and z (h, w), distance (h, w)."""

    mask: NDArray[np.bool_]
    x: Array
    z: Array
    distance: Array


def ground_of(camera: Camera) -> Ground:
    """The ground plane seen by a camera."""
    width, height = camera.size
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    rays = camera.rays(xs.ravel(), ys.ravel()).reshape(height, width, 3)
    down = np.minimum(rays[:, :, 1], -1e-4)
    distance = np.minimum(-camera.position[1] / down, 200.0).astype(np.float32)
    x, z = (camera.position[axis] + rays[:, :, axis] * distance for axis in (0, 2))
    return Ground(rays[:, :, 1] < -0.004, x, z, distance)
