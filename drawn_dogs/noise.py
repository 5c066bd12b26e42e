"""Smooth random fields: over space (coats) and over a repeating tile (ground, fur)."""

from __future__ import annotations

import cv2
import numpy as np

from drawn_dogs.shape import Array, multiply


def space_noise(points: Array, scale: float, seed: int, waves: int = 24) -> Array:
    """A smooth field of about -1..1 over points (n, 3), with features of about `scale`: random Fourier features."""
    rng = np.random.default_rng([seed, 0xF0])
    waves_of = (rng.normal(size=(3, waves)) * (1.6 / scale)).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, waves).astype(np.float32)
    return np.asarray(
        np.cos(multiply(points, waves_of) + phase).sum(axis=1) * np.float32(np.sqrt(2 / waves) * 0.7), np.float32
    )


def tile_noise(
    side: int, rng: np.random.Generator, *, sigma: float = 0.0, stretch: tuple[float, float] = (1.0, 1.0)
) -> Array:
    """A repeating (side, side) tile of unit variance; `sigma` blurs it, `stretch` (x, y) draws it out."""
    tile: Array = rng.standard_normal((side, side)).astype(np.float32)
    if sigma > 0:
        pad = min(side, int(4 * sigma * max(stretch)) + 1)
        wide = cv2.copyMakeBorder(tile, pad, pad, pad, pad, cv2.BORDER_WRAP)
        wide = cv2.GaussianBlur(wide, (0, 0), sigmaX=sigma * stretch[0], sigmaY=sigma * stretch[1])
        tile = wide[pad:-pad, pad:-pad]
    return np.asarray((tile - tile.mean()) / (tile.std() + 1e-6), np.float32)


def sample(tile: Array, x: Array, y: Array) -> Array:
    """The tile's value at (x, y), any shape (h, w), repeated without end."""
    side = tile.shape[0]
    wide = cv2.copyMakeBorder(tile, 0, 1, 0, 1, cv2.BORDER_WRAP)
    return np.asarray(
        cv2.remap(wide, np.mod(x, side).astype(np.float32), np.mod(y, side).astype(np.float32), cv2.INTER_LINEAR),
        np.float32,
    )
