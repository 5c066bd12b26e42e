"""The ground of each place: textures laid on the ground plane, in linear colour."""

from __future__ import annotations

import numpy as np

from drawn_dogs.camera import Camera, Ground
from drawn_dogs.colours import linear, random_colour, smooth
from drawn_dogs.looks import Colour
from drawn_dogs.noise import sample, tile_noise
from drawn_dogs.shape import Array


def mix(a: Colour, b: Colour, amount: Array) -> Array:
    """From colour `a` at 0 to `b` at 1, linear light (h, w, 3)."""
    t = np.clip(amount, 0, 1)[:, :, None]
    return np.asarray(linear(a) * (1 - t) + linear(b) * t, np.float32)


def _field(
    ground: Ground, rng: np.random.Generator, per_unit: float, sigma: float = 1.0, stretch: tuple[float, float] = (1, 1)
) -> Array:
    """Noise lying on the ground, `per_unit` tile pixels to the unit, fading far away where it would alias."""
    tile = tile_noise(512, rng, sigma=sigma, stretch=stretch)
    fade = np.clip(12 * sigma / (per_unit / 40) / ground.distance, 0, 1)
    return sample(tile, ground.x * per_unit, ground.z * per_unit) * fade


def grass(ground: Ground, camera: Camera, rng: np.random.Generator) -> Array:
    """A lawn: blades are noise drawn out upright in the image."""
    fresh = rng.uniform(0, 1)
    a: Colour = (int(70 + 30 * fresh), int(98 - 6 * fresh), 40)
    b: Colour = (int(126 + 30 * fresh), int(148 - 10 * fresh), 74)
    wide, middle = _field(ground, rng, 10, 4), _field(ground, rng, 60, 2)
    height, width = ground.x.shape
    blades = np.zeros_like(ground.x)
    reach = camera.focal * 0.05 / np.maximum(ground.distance, 1)
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for lean in (-0.35, 0.1, 0.4):
        tile = tile_noise(512, rng, sigma=0.5)
        part = np.zeros_like(blades)
        for step in np.linspace(-0.5, 0.5, 7):
            part += sample(tile, xs + lean * step * reach, ys + step * reach)
        blades = np.maximum(blades, part / (part.std() + 1e-6))
    base = mix(a, b, 0.4 + 0.18 * wide + 0.15 * middle)
    return np.asarray(base * np.exp(0.28 * (blades - 0.8))[:, :, None], np.float32)


def sand(ground: Ground, camera: Camera, rng: np.random.Generator) -> Array:
    """Dry sand with ripples."""
    ripples = _field(ground, rng, 30, 5, (2.5, 0.6)) * 0.5 + _field(ground, rng, 40, 3)
    tone = rng.uniform(0, 1)
    return mix(
        (int(176 - 20 * tone), 150, int(112 - 14 * tone)),
        (226, 204, 164),
        0.5 + 0.14 * ripples + 0.1 * _field(ground, rng, 160, 0.7),
    )


def snow(ground: Ground, camera: Camera, rng: np.random.Generator) -> Array:
    """Trodden snow."""
    return mix(
        (178, 192, 212), (236, 240, 246), 0.6 + 0.12 * _field(ground, rng, 25, 5) + 0.07 * _field(ground, rng, 120, 1.2)
    )


def street(ground: Ground, camera: Camera, rng: np.random.Generator) -> Array:
    """Asphalt, or paving slabs."""
    grey = int(rng.uniform(78, 120))
    out = mix(
        (grey - 26, grey - 26, grey - 24),
        (grey + 34, grey + 32, grey + 28),
        0.45 + 0.12 * _field(ground, rng, 140, 0.8) + 0.1 * _field(ground, rng, 12, 4),
    )
    if rng.random() < 0.6:  # paving slabs
        u, v = np.mod(ground.x + rng.uniform(), 0.7) / 0.7, np.mod(ground.z + rng.uniform(), 0.5) / 0.5
        joint = np.minimum(np.minimum(u, 1 - u) * 0.7, np.minimum(v, 1 - v) * 0.5)
        out *= (0.55 + 0.45 * smooth(joint, 0.008, 0.022))[:, :, None]
    return out


def indoors(ground: Ground, camera: Camera, rng: np.random.Generator) -> Array:
    """Floor boards, or a carpet."""
    if rng.random() < 0.5:  # boards
        plank = np.floor(ground.z / 0.22)
        tone: Array = np.mod(np.sin(plank * 12.9898) * 43758.5453, 1.0).astype(np.float32)
        grain = sample(tile_noise(512, rng, sigma=1.2, stretch=(8, 0.5)), ground.x * 60 + plank * 57, ground.z * 160)
        out = mix((112, 74, 44), (178, 128, 82), 0.2 + 0.55 * tone + 0.08 * grain)
        gap = np.abs(np.mod(ground.z, 0.22) - 0.11) / 0.11
        return np.asarray(out * (1 - 0.5 * smooth(gap, 0.95, 0.99))[:, :, None], np.float32)
    carpet = random_colour(rng, 80, 190)
    shade = 0.5 + 0.16 * _field(ground, rng, 150, 0.9) + 0.1 * _field(ground, rng, 14, 4)
    return mix((carpet[0] - 40, carpet[1] - 40, carpet[2] - 40), carpet, shade)


def shore(ground: Ground, camera: Camera, rng: np.random.Generator) -> Array:
    """Wet sand in front, water behind."""
    grain = 0.15 * _field(ground, rng, 40, 3) + 0.12 * _field(ground, rng, 150, 0.8)
    sand = mix((128, 110, 86), (186, 166, 134), 0.5 + grain)
    waves = _field(ground, rng, 26, 2, (4, 0.7)) * 0.6 + _field(ground, rng, 8, 3, (4, 0.7)) * 0.6
    water = mix((52, 92, 116), (168, 200, 214), 0.4 + 0.22 * waves)
    edge = ground.distance + 0.25 * _field(ground, rng, 6, 10)
    line = float(np.median(ground.distance)) * rng.uniform(1.2, 1.7)
    foam = np.exp(-(((edge - line) / 0.1) ** 2))[:, :, None] * 0.5
    wet = smooth(edge, line, line + 0.15)[:, :, None]
    return np.asarray(sand * (1 - wet) + water * wet + foam, np.float32)
