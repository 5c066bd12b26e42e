"""Light and colour arithmetic."""

from __future__ import annotations

import numpy as np

from drawn_dogs.looks import Colour
from drawn_dogs.shape import Array


def linear(colour: Colour) -> Array:
    """An sRGB colour as linear light, (3,) in 0..1."""
    return np.asarray((np.array(colour, np.float32) / 255) ** 2.2, np.float32)


def smooth(values: Array, low: float | Array, high: float | Array) -> Array:
    """Smooth step: 0 below `low`, 1 above `high` (the other way round if low > high)."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def random_colour(rng: np.random.Generator, low: float, high: float) -> Colour:
    """A muted colour of a brightness between `low` and `high`."""
    tint = rng.uniform(low, high) + rng.uniform(-28, 28, 3)
    red, green, blue = (int(value) for value in np.clip(tint, 0, 255))
    return red, green, blue
