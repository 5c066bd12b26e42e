"""Sun, sky and the shadows that a body throws on itself and on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from drawn_dogs.camera import Camera, ground_of
from drawn_dogs.marching import Surface
from drawn_dogs.shape import Array, Shape


@dataclass(frozen=True, slots=True)
class Light:
    """A sun and a sky, linear RGB; `direction` points to the sun."""

    direction: Array
    sun: Array
    sky: Array
    ground: Array


def sunlight(shape: Shape, points: Array, direction: Array, softness: float = 7.0) -> Array:
    """Share (n,) of the sun that passes the body on its way to points (n, 3)."""
    travelled = np.full(len(points), 0.03, np.float32)
    passed = np.ones(len(points), np.float32)
    for _ in range(12):
        distance = shape.distance(points + direction * travelled[:, None])
        passed = np.minimum(passed, softness * distance / travelled)
        travelled += np.clip(distance, 0.03, 0.3)
    return np.asarray(np.clip(passed, 0, 1), np.float32)


def light_reaching(shape: Shape, surface: Surface, light: Light) -> tuple[Array, Array]:
    """How much sky and sun reach each point, (n,) each: worked out on every third pixel and spread from there."""
    few = (surface.y % 3 == 0) & (surface.x % 3 == 0)
    start, normal = surface.points[few], surface.normals[few]
    sky = np.zeros(len(start), np.float32)
    for reach, share in ((0.03, 0.3), (0.08, 0.3), (0.18, 0.25), (0.35, 0.15)):
        sky += share * np.clip(shape.distance(start + normal * reach) / reach, 0, 1)
    sky = sky**1.4 * np.clip(0.45 + start[:, 1] * 1.1, 0.45, 1)  # the ground close by takes light away
    sun = sunlight(shape, start + normal * 0.03, light.direction)
    out = []
    for values in (sky, sun):
        total, count = np.zeros_like(surface.coverage), np.zeros_like(surface.coverage)
        total[surface.y[few], surface.x[few]] = values
        count[surface.y[few], surface.x[few]] = 1
        blurred = cv2.GaussianBlur(total, (0, 0), 2.2) / (cv2.GaussianBlur(count, (0, 0), 2.2) + 1e-6)
        out.append(blurred[surface.y, surface.x])
    return out[0], out[1]


def cast_shadow(canvas: Array, shape: Shape, camera: Camera, light: Light) -> Array:
    """Darken the ground where the body keeps sun and sky away; worked out at a quarter of the size."""
    width, height = camera.size
    ground = ground_of(camera)
    few = (slice(None, None, 4), slice(None, None, 4))
    near = ground.mask[few] & (np.hypot(ground.x[few], ground.z[few]) < 2.2)
    x, z = ground.x[few][near], ground.z[few][near]
    points = np.stack([x, np.full_like(x, 0.002), z], axis=1)
    kept = np.ones(near.shape, np.float32)
    if len(points):
        sun = sunlight(shape, points, light.direction)
        up = np.array([0, 1, 0], np.float32)
        sky = np.zeros(len(points), np.float32)
        for reach in (0.06, 0.15, 0.3, 0.5):
            sky += 0.25 * np.clip(shape.distance(points + up * reach) / reach, 0, 1)
        direct = float(light.sun.mean() * light.direction[1])
        share = direct / (direct + 0.7 * float(light.sky.mean()))
        kept[near] = share * (0.12 + 0.88 * sun) + (1 - share) * sky
    full = cv2.GaussianBlur(cv2.resize(kept, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 2.0)
    return np.asarray(canvas * np.clip(full, 0.05, 1)[:, :, None], np.float32)
