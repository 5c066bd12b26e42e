"""Fur in the image: strands along the flow of the coat, and an outline that they break up."""

from __future__ import annotations

import cv2
import numpy as np

from drawn_dogs.noise import sample, tile_noise
from drawn_dogs.shape import Array


def spread(field: Array, alpha: Array) -> Array:
    """A (h, w, 2) field known on the dog, smoothed and carried a little past its outline."""
    solid = (alpha > 0.5).astype(np.float32)
    total = cv2.GaussianBlur(field * solid[:, :, None], (0, 0), 3.0)
    return np.asarray(total / (cv2.GaussianBlur(solid, (0, 0), 3.0)[:, :, None] + 0.02), np.float32)


def grow(colour: Array, alpha: Array) -> Array:
    """Colours carried past the outline, so that fur pushed over it has a colour."""
    solid = (alpha > 0.5).astype(np.float32)[:, :, None]
    total, count = cv2.GaussianBlur(colour * solid, (0, 0), 2.5), cv2.GaussianBlur(solid, (0, 0), 2.5)[:, :, None]
    return np.asarray(np.where(solid > 0, colour, total / (count + 1e-4)), np.float32)


def strands_along(flow: Array, unit: float, fur: float, rng: np.random.Generator) -> Array:
    """Strands (h, w) of unit variance, fine and in tufts: noise smeared along the flow (line integral convolution)."""
    height, width = flow.shape[:2]
    grid_x, grid_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    total = np.zeros((height, width), np.float32)
    for size, length, share in ((1.0, 0.025 + 0.05 * fur, 0.7), (2.2 + 2.5 * fur, 0.05 + 0.09 * fur, 0.25 + 0.5 * fur)):
        tile = tile_noise(512, rng, sigma=0.35 * size)
        reach = max(2.0, length * unit)
        smeared = np.zeros((height, width), np.float32)
        steps = 9
        for step in np.linspace(-reach / 2, reach / 2, steps):
            smeared += sample(tile, grid_x + flow[:, :, 0] * step, grid_y + flow[:, :, 1] * step)
        total += share * smeared / (smeared.std() + 1e-6)
    return np.asarray(total / (total.std() + 1e-6), np.float32)
