"""The colours of a dog, painted on the rest pose so that every mark stays in its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from drawn_dogs.body import Body
from drawn_dogs.colours import linear, smooth
from drawn_dogs.looks import WHITE, Colour, DogLook
from drawn_dogs.noise import space_noise
from drawn_dogs.shape import Array

_SKIN: Colour = (30, 26, 26)


class Skin:
    """Points (n, 3) of a dog's skin, on the rest pose, and the paint put on them so far."""

    def __init__(self, look: DogLook, rest: Body, points: Array, weights: Array, names: Sequence[str]) -> None:
        self.look, self.rest = look, rest
        self.points = points
        self.x, self.y = points[:, 0], points[:, 1]
        self.head = rest.head.coordinates(points)  # ahead, up, right
        self.albedo = np.repeat(linear(look.coat)[None], len(points), axis=0)
        self.edge = space_noise(points, 0.05, look.seed + 1)  # roughens the edges of marks
        self.wide = space_noise(points, 0.3, look.seed + 2)
        self._weights, self._names = weights, np.array(names)

    def part(self, *names: str) -> Array:
        """How far each point (n,) belongs to these parts, 0..1."""
        return np.asarray(self._weights[:, np.isin(self._names, names)].sum(axis=1), np.float32)

    def over(self, mask: Array, colour: Colour) -> None:
        """Paint where `mask` (n,) is 1, mix where it is between."""
        self.albedo += np.clip(mask, 0, 1)[:, None] * (linear(colour) - self.albedo)

    def near(self, centres: Iterable[Array], stretch: tuple[float, float, float] = (1, 1, 1)) -> Array:
        """Distance (n,) to the nearest of some points of the head (head sizes)."""
        scale = np.array(stretch, np.float32)
        return np.asarray(
            np.min([np.linalg.norm((self.head - c) * scale, axis=1) for c in centres], axis=0), np.float32
        )


def paint(look: DogLook, rest: Body, points: Array, weights: Array, names: Sequence[str]) -> Array:
    """Linear albedo (n, 3) at rest-pose points (n, 3); `weights` (n, parts) say which of the named parts each is on."""
    skin = Skin(look, rest, points, weights, names)
    _shades(skin)
    _pattern(skin)
    _marks_on_body(skin)
    _marks_on_head(skin)
    _collar(skin)
    _mouth_and_nose(skin)
    _eyes(skin)
    return np.asarray(np.clip(skin.albedo, 0.004, 0.95), np.float32)


def _both_sides(x: float, y: float, z: float) -> list[Array]:
    return [np.array([x, y, s * z], np.float32) for s in (-1, 1)]


def _shades(skin: Skin) -> None:
    """No coat is of one colour: lighter cheeks, darker ears and back, and clouds in between."""
    tone = 1 + 0.12 * skin.wide + 0.07 * skin.edge - 0.22 * skin.part("ear")
    tone += 0.25 * smooth(skin.head[:, 1], 0.02, -0.08) * skin.part("head", "muzzle", "jaw")
    tone -= 0.18 * smooth(skin.y, skin.look.leg, skin.look.leg + 0.14) * skin.part("body", "thigh", "shoulder")
    skin.albedo *= tone[:, None]


def _pattern(skin: Skin) -> None:
    look, face = skin.look, skin.part("head", "muzzle", "jaw")
    back, not_muzzle = look.leg + 0.05, 1 - skin.part("muzzle", "jaw")
    if look.pattern == "saddle":
        height = skin.y + 0.05 * skin.wide + 0.02 * skin.edge
        behind = smooth(skin.x, look.body * 0.75, look.body * 0.6)
        trunk = skin.part("body", "neck", "thigh", "shoulder")
        skin.over(smooth(height, back - 0.1, back - 0.02) * behind * trunk, look.second)
        skin.over(skin.part("tail") * smooth(skin.y, back - 0.2, back - 0.1), look.second)
    elif look.pattern == "patches":
        field = space_noise(skin.points, 0.34, look.seed + 3) + 0.1 * skin.edge
        skin.over(smooth(field, 0.05, 0.12) * skin.part("body", "neck", "shoulder", "thigh", "tail"), look.second)
        cheeks = smooth(np.abs(skin.head[:, 2]) + 0.01 * skin.edge, 0.03, 0.045)
        skin.over(cheeks * smooth(skin.head[:, 0], 0.17, 0.14) * face, look.second)
    elif look.pattern == "brindle":
        stripes = np.sin(70 * (skin.x + 0.35 * skin.y + 0.03 * skin.wide) + 1.2 * skin.edge) + 0.5 * skin.edge
        skin.over(0.85 * smooth(stripes, 0.1, 0.6) * not_muzzle, look.second)
    elif look.pattern == "spots":
        field = space_noise(skin.points, 0.062, look.seed + 4, 48)
        skin.over(smooth(field, 0.62, 0.72) * not_muzzle, look.second)
    elif look.pattern == "points":  # tan points: a pip over each eye
        skin.over(smooth(skin.near(_both_sides(0.115, 0.085, 0.05)), 0.03, 0.022), look.second)


def _marks_on_body(skin: Skin) -> None:
    look, x, y, edge = skin.look, skin.x, skin.y, skin.edge
    skin.over(look.belly * smooth(y + 0.03 * skin.wide, look.leg + 0.1, look.leg - 0.12) * skin.part("body"), WHITE)
    if look.socks is not None:
        legs = skin.part("leg", "paw", "thigh", "shoulder")
        skin.over(smooth(y + 0.015 * edge, look.sock_height, look.sock_height - 0.03) * legs, look.socks)
    if look.chest is not None:
        ahead = x + 0.02 * edge + 0.1 * smooth(y, look.leg + 0.05, look.leg - 0.15) - look.body / 2
        front = smooth(ahead, 0.16, 0.2) * smooth(y, look.leg + 0.34, look.leg + 0.24)
        skin.over(front * skin.part("body", "neck", "shoulder"), look.chest)
    if look.tail_tip is not None:
        skin.over(skin.part("tail") * smooth(x + look.body / 2, -0.27, -0.32), look.tail_tip)


def _marks_on_head(skin: Skin) -> None:
    look, edge = skin.look, skin.edge
    face, ears = skin.part("head", "muzzle", "jaw"), skin.part("ear")
    ahead, up, aside = skin.head[:, 0], skin.head[:, 1], np.abs(skin.head[:, 2])
    skin.over(0.6 * look.belly * smooth(up, -0.03, -0.08) * skin.part("muzzle", "jaw"), WHITE)
    if look.muzzle_colour is not None:
        skin.over(smooth(ahead - 0.25 * np.maximum(up, 0) + 0.006 * edge, 0.085, 0.115) * face, look.muzzle_colour)
        skin.over(smooth(up + 0.006 * edge, -0.045, -0.075) * smooth(ahead, -0.02, 0.03) * face, look.muzzle_colour)
    if look.blaze:
        stripe = smooth(aside + 0.005 * edge, look.blaze * 0.17, look.blaze * 0.11)
        skin.over(stripe * smooth(ahead, 0.0, 0.03) * face, WHITE)
    if look.mask is not None:
        skin.over(smooth(ahead + 0.008 * edge, 0.09, 0.14) * face, look.mask)
    if look.ear_colour is not None:
        skin.over(smooth(ears, 0.3, 0.6), look.ear_colour)
    if look.ears == "pricked":
        inside = smooth(ahead + 0.25 * np.abs(aside - 0.09), -0.022, -0.012) * smooth(up, 0.2, 0.15)
        skin.over(0.6 * inside * smooth(ears, 0.6, 0.9), (120, 84, 78))


def _collar(skin: Skin) -> None:
    if skin.look.collar is None:
        return
    top = skin.rest.head.centre - np.array([0.09, 0.1, 0], np.float32)
    down = (skin.rest.chest - top) / np.linalg.norm(skin.rest.chest - top)
    ring = smooth(np.abs((skin.points - top) @ down - 0.12), 0.034, 0.03)
    skin.over(ring * smooth(skin.part("neck", "body", "head"), 0.5, 0.7) * (1 - skin.part("ear")), skin.look.collar)


def _mouth_and_nose(skin: Skin) -> None:
    muzzle, nose = skin.part("muzzle", "jaw"), skin.part("nose")
    ahead, up, aside = skin.head[:, 0], skin.head[:, 1], np.abs(skin.head[:, 2])
    end = 0.1 + skin.look.muzzle  # of the muzzle, ahead
    lip = -0.094 + 0.06 * np.maximum(end - ahead, 0) - 0.15 * aside
    skin.over(0.8 * smooth(np.abs(up - lip), 0.006, 0.002) * smooth(ahead, 0.04, 0.07) * muzzle, _SKIN)
    cleft = smooth(aside, 0.005, 0.002) * smooth(ahead, end - 0.01, end) * smooth(up, lip - 0.002, lip + 0.002)
    skin.over(0.8 * cleft * muzzle, _SKIN)
    inside = 4 * skin.part("muzzle") * skin.part("jaw")
    skin.over(0.8 * smooth(inside, 0.6, 0.95) * smooth(ahead, 0.03, 0.08), _SKIN)
    skin.over(nose, (44, 38, 38))
    nostrils = skin.near(_both_sides(end + 0.06, -0.028, 0.016), (0.6, 1.3, 1))
    skin.over(nose * smooth(nostrils, 0.012, 0.007), (4, 3, 3))
    skin.over(skin.part("tongue"), (214, 108, 112))


def _eyes(skin: Skin) -> None:
    face, globe = skin.part("head", "muzzle", "jaw"), skin.part("eye")
    centres = skin.rest.head.coordinates(np.stack([part.start for part in skin.rest.parts if part.name == "eye"]))
    skin.over(0.35 * smooth(skin.near(centres), 0.06, 0.03) * face, _SKIN)
    skin.over(0.95 * smooth(skin.near(centres, (1, 1.15, 0.85)), 0.034, 0.029) * face, _SKIN)
    iris = skin.near([c + np.array([0.0255, 0.003, 0.007 * np.sign(c[2])], np.float32) for c in centres])
    skin.over(globe, (22, 17, 15))
    skin.over(globe * smooth(iris, 0.0145, 0.012), skin.look.eye)
    skin.over(globe * smooth(iris, 0.0085, 0.006), (8, 7, 7))
