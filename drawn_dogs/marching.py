"""Finds where the rays of a camera meet a body: sphere tracing of its signed distance."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drawn_dogs.camera import Camera
from drawn_dogs.shape import Array, Shape


@dataclass(frozen=True, slots=True)
class Surface:
    """What a camera sees of a body.

    `coverage` (h, w); for each of n pixels on the body: `x`, `y` (n,), the ray's `directions` (n, 3), `depth` (n,),
    `points` and `normals` (n, 3).
    """

    coverage: Array
    x: NDArray[np.intp]
    y: NDArray[np.intp]
    directions: Array
    depth: Array
    points: Array
    normals: Array

    def image(self, values: Array) -> Array:
        """Values (n, ...) of the pixels on the body as an image (h, w, ...), 0 elsewhere."""
        out = np.zeros((*self.coverage.shape, *values.shape[1:]), np.float32)
        out[self.y, self.x] = values
        return out


def find_surface(shape: Shape, camera: Camera) -> Surface:
    """The part of a body that a camera sees. A ray that passes within a pixel is partly covered: smooth outlines."""
    width, height = camera.size
    y, x = np.nonzero(_candidates(shape, camera))
    directions = camera.rays(x.astype(np.float32), y.astype(np.float32))
    depth, clearance = _march(shape, camera, directions)
    coverage = np.zeros((height, width), np.float32)
    coverage[y, x] = np.clip(1 - clearance, 0, 1)
    hit = clearance < 0.6
    points = camera.position + directions[hit] * depth[hit, None]
    return Surface(coverage, x[hit], y[hit], directions[hit], depth[hit], points, _normals(shape, points))


def _candidates(shape: Shape, camera: Camera) -> NDArray[np.uint8]:
    """Mask (h, w) of the pixels whose rays can meet the body."""
    width, height = camera.size
    mask = np.zeros((height, width), np.uint8)
    for part in shape.parts:
        ends = camera.project(np.stack([part.start, part.end]))
        if ends[:, 2].min() <= 0.05:
            continue
        circles = []
        for (x, y, depth), radius in zip(ends, part.radii, strict=True):
            r = (radius * max(part.flat) + 0.03) * camera.focal / depth + 2
            angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            circles.append(np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], axis=1))
        hull = cv2.convexHull(np.concatenate(circles).astype(np.float32))
        cv2.fillConvexPoly(mask, np.round(hull).astype(np.int32), 1)
    return mask


def _march(shape: Shape, camera: Camera, directions: Array) -> tuple[Array, Array]:
    """Depth (n,) along each ray, and its smallest distance to the body in pixels (0 or less: a hit)."""
    view = camera.project(np.concatenate([shape.centre, np.stack([p.end for p in shape.parts])]))
    depth = np.full(len(directions), max(0.1, float(view[:, 2].min()) - 0.3), np.float32)
    far = float(view[:, 2].max()) + 0.4
    clearance = np.full(len(directions), np.inf, np.float32)
    best = depth.copy()
    active = np.arange(len(directions))
    for _ in range(96):
        distance = shape.distance(camera.position + directions[active] * depth[active, None])
        pixels = distance * camera.focal / depth[active]
        better = pixels < clearance[active]
        clearance[active[better]] = pixels[better]
        best[active[better]] = depth[active[better]]
        depth[active] += 0.92 * distance
        active = active[(pixels > 0.2) & (depth[active] < far)]
        if not len(active):
            break
    return best, np.where(clearance <= 0.2, 0, clearance)


def _normals(shape: Shape, points: Array) -> Array:
    step = np.float32(0.006)
    corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
    normal = np.zeros_like(points)
    for corner in corners:
        normal += corner * shape.distance(points + step * corner)[:, None]
    return np.asarray(normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9), np.float32)
