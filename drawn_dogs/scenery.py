"""Places a photo is taken in: ground, backdrop and light. Nothing here knows which dog stands in it."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from drawn_dogs import backdrops, floors
from drawn_dogs.camera import Camera, ground_of
from drawn_dogs.colours import smooth
from drawn_dogs.lighting import Light
from drawn_dogs.shape import Array

Place = Literal["grass", "sand", "room", "snow", "street", "water"]
_BOUNCE = {"grass": (0.16, 0.2, 0.08), "sand": (0.42, 0.36, 0.26), "snow": (0.7, 0.74, 0.8)}  # light from the ground
PLACES: tuple[Place, ...] = ("grass", "sand", "room", "snow", "street", "water")


def light_of(place: Place, camera: Camera, rng: np.random.Generator) -> Light:
    """Sun (or window) and sky for a place: side, height, warmth and strength vary."""
    side = float(rng.uniform(-1.0, 1.0))
    direction = -0.55 * camera.axes[2] + side * 0.9 * camera.axes[0] + np.array([0, rng.uniform(0.6, 1.2), 0])
    warmth = float(rng.uniform(-0.12, 0.22))
    sun = np.array([1 + warmth, 1, 1 - 1.1 * warmth]) * rng.uniform(1.1, 1.9)
    sky = np.array([0.85, 0.95, 1.12]) * rng.uniform(0.45, 0.75)
    if place == "room":
        sun, sky = sun * 0.75, np.array([1.05, 0.98, 0.88]) * rng.uniform(0.5, 0.75)
    if place == "snow":
        sky = sky * 1.3
    direction /= np.linalg.norm(direction)
    return Light(
        *(np.asarray(part, np.float32) for part in (direction, sun, sky, _BOUNCE.get(place, (0.22, 0.2, 0.18))))
    )


def draw_place(place: Place, camera: Camera, light: Light, focus: float, rng: np.random.Generator) -> Array:
    """The empty place in linear light (h, w, 3), blurred away from the distance in focus."""
    ground = ground_of(camera)
    floor = _FLOORS[place](ground, camera, rng)
    floor = floor * (light.sun * max(0.25, float(light.direction[1])) + light.sky * 0.7)
    backdrop = _BACKDROPS[place](camera, rng)
    shift = ground.distance / max(focus, 0.1)
    out = _defocus(floor, shift, camera.size[0] / 640)
    horizon = cv2.GaussianBlur(ground.mask.astype(np.float32), (0, 0), 2.5)[:, :, None]
    haze = smooth(ground.distance, 12, 60)[:, :, None] * (0.0 if place == "room" else 0.5)
    out = out * (1 - haze) + haze * backdrop.reshape(-1, 3).mean(axis=0)
    return np.asarray(out * horizon + backdrop * (1 - horizon), np.float32)


def _defocus(image: Array, shift: Array, scale: float) -> Array:
    """Blur by distance / focus distance: sharp at 1."""
    out = image
    for sigma, near, far in (
        (1.5, (0.9, 0.7), (1.12, 1.4)),
        (4.0, (0.7, 0.45), (1.4, 2.2)),
        (9.0, (0.2, 0.1), (2.2, 4.5)),
    ):
        amount = np.maximum(smooth(shift, *near), smooth(shift, *far))[:, :, None]
        out = out * (1 - amount) + cv2.GaussianBlur(image, (0, 0), sigma * scale) * amount
    return np.asarray(out, np.float32)


_FLOORS = {
    "grass": floors.grass,
    "sand": floors.sand,
    "room": floors.indoors,
    "snow": floors.snow,
    "street": floors.street,
    "water": floors.shore,
}
_BACKDROPS = {
    "grass": backdrops.trees,
    "sand": backdrops.sea,
    "room": backdrops.wall,
    "snow": backdrops.trees,
    "street": backdrops.houses,
    "water": backdrops.sea,
}
