"""Things that are no dogs, for the photos without one."""

from __future__ import annotations

import numpy as np

from drawn_dogs.colours import random_colour
from drawn_dogs.looks import Colour
from drawn_dogs.shape import Array, Part, Shape


def _point(x: float, y: float, z: float) -> Array:
    return np.array([x, y, z], np.float32)


def ball(rng: np.random.Generator) -> tuple[Shape, Colour]:
    """A ball on the ground."""
    radius = float(rng.uniform(0.12, 0.3))
    x, z = (float(v) for v in rng.uniform(-0.3, 0.3, 2))
    return Shape([Part("ball", _point(x, radius, z), _point(x, radius + 0.001, z), (radius, radius))]), random_colour(
        rng, 40, 220
    )


def stool(rng: np.random.Generator) -> tuple[Shape, Colour]:
    """A round stool on three legs."""
    high, wide = float(rng.uniform(0.45, 0.8)), float(rng.uniform(0.2, 0.3))
    seat = Part("seat", _point(-0.01, high, 0), _point(0.01, high, 0), (wide, wide), (0.15, 1.0))
    turn = float(rng.uniform(0, 2))
    angles = [turn + i * 2 * np.pi / 3 for i in range(3)]
    tops = [_point(0.6 * wide * np.cos(a), high - 0.02, 0.6 * wide * np.sin(a)) for a in angles]
    feet = [_point(wide * np.cos(a), 0.0, wide * np.sin(a)) for a in angles]
    legs = [Part("leg", top, foot, (0.03, 0.022)) for top, foot in zip(tops, feet, strict=True)]
    return Shape([seat, *legs]), random_colour(rng, 40, 220)
