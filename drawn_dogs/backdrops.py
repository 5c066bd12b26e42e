"""What is behind the ground, out of focus, in linear colour (h, w, 3)."""

from __future__ import annotations

import cv2
import numpy as np

from drawn_dogs.camera import Camera
from drawn_dogs.colours import linear, random_colour, smooth
from drawn_dogs.floors import mix
from drawn_dogs.shape import Array


def trees(camera: Camera, rng: np.random.Generator) -> Array:
    """Trees before the sky, sun spots in the leaves."""
    out, (width, height), horizon = _sky(camera, rng), camera.size, camera.horizon
    top = horizon - height * rng.uniform(0.15, 0.9)
    rough, fine = _clouds(camera, rng, 22), _clouds(camera, rng, 9)
    leaves = smooth(np.arange(height, dtype=np.float32)[:, None] - top + 22 * rough, -8, 8)[:, :, None]
    green = mix((34, 48, 26), (112, 134, 66), 0.35 + 0.22 * rough + 0.2 * fine) * 1.2
    spots = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(0, 25))):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(top, max(top + 2, horizon))))
        cv2.circle(spots, centre, int(rng.uniform(5, 14)), float(rng.uniform(0.1, 0.5)), -1, cv2.LINE_AA)
    out = out * (1 - leaves) + green * leaves + spots[:, :, None] * linear((240, 246, 190))
    return np.asarray(cv2.GaussianBlur(out, (0, 0), 4), np.float32)


def sea(camera: Camera, rng: np.random.Generator) -> Array:
    """Sky, and a far shore."""
    out, (width, height) = _sky(camera, rng), camera.size
    hill = _unit(cv2.GaussianBlur(rng.standard_normal((1, width)).astype(np.float32), (0, 0), 70))
    rows = np.arange(height, dtype=np.float32)[:, None]
    land = smooth(rows - camera.horizon + height * rng.uniform(0.01, 0.08) + 8 * hill, -2, 2)[:, :, None]
    return np.asarray(cv2.GaussianBlur(out * (1 - land) + land * linear((92, 116, 122)), (0, 0), 3), np.float32)


def houses(camera: Camera, rng: np.random.Generator) -> Array:
    """A row of houses with windows."""
    out, (width, height), horizon = _sky(camera, rng), camera.size, camera.horizon
    left = -40
    while left < width:
        right, top = left + int(rng.uniform(90, 240)), int(horizon - height * rng.uniform(0.3, 1.1))
        front = 0.4 * linear(random_colour(rng, 60, 190)) + rng.uniform(0.05, 0.25)
        cv2.rectangle(out, (left, top), (right, height), front.tolist(), -1)
        across, down = int(rng.uniform(28, 46)), int(rng.uniform(44, 66))
        for x in range(left + 12, right - 18, across):
            for y in range(top + 14, int(horizon) - 40, down):
                pane = front * rng.uniform(0.2, 0.6)
                cv2.rectangle(out, (x, y), (x + across // 2, y + down // 2), pane.tolist(), -1)
        left = right
    return np.asarray(cv2.GaussianBlur(out, (0, 0), 7), np.float32)


def wall(camera: Camera, rng: np.random.Generator) -> Array:
    """A wall with a window's glow, and a sofa, shelves or pictures as soft boxes."""
    width, height = camera.size
    glow = np.exp(-(((np.arange(width) - rng.uniform(0, width)) / (0.6 * width)) ** 2)).astype(np.float32)
    paper = 0.7 * linear(random_colour(rng, 120, 225)) + 0.12
    out = np.repeat((paper * (0.55 + 0.55 * glow[:, None]))[None], height, axis=0).astype(np.float32)
    floor = int(camera.horizon + 0.02 * height)
    for _ in range(int(rng.integers(1, 4))):
        colour = 0.7 * linear(random_colour(rng, 30, 190)) + 0.03
        left, wide = int(rng.uniform(-80, width)), int(rng.uniform(80, 300))
        if rng.random() < 0.6:
            cv2.rectangle(out, (left, floor - int(rng.uniform(40, 150))), (left + wide, height), colour.tolist(), -1)
        else:
            top = floor - int(rng.uniform(160, 300))
            cv2.rectangle(out, (left, top), (left + wide // 2, top + 90), colour.tolist(), -1)
    return np.asarray(cv2.GaussianBlur(out, (0, 0), 8), np.float32)


def _sky(camera: Camera, rng: np.random.Generator) -> Array:
    height = camera.size[1]
    rows = smooth(np.arange(height, dtype=np.float32), camera.horizon, camera.horizon - 0.7 * height)[:, None, None]
    cloud = 0.6 * smooth(_clouds(camera, rng, 60, 18), -0.4, 1.6)[:, :, None]
    low, high = linear((206, 220, 232)), linear((118, 160, 214))
    return np.asarray(1.1 * ((low + rows * (high - low)) * (1 - cloud) + cloud * linear((238, 238, 238))), np.float32)


def _clouds(camera: Camera, rng: np.random.Generator, wide: float, high: float | None = None) -> Array:
    """Soft noise (h, w) of unit variance with blobs `wide` by `high` pixels."""
    width, height = camera.size
    noise = rng.standard_normal((height, width)).astype(np.float32)
    return _unit(cv2.GaussianBlur(noise, (0, 0), sigmaX=wide, sigmaY=high or wide))


def _unit(values: np.ndarray) -> Array:
    return np.asarray(values / (values.std() + 1e-6), np.float32)
