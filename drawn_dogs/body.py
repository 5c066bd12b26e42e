"""The parts of a dog hung on its joints: trunk, legs, tail and head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drawn_dogs.joints import Joints, Point, Pose, Turn, joints_of
from drawn_dogs.looks import DogLook
from drawn_dogs.shape import Array, Part, Shape

Pair = tuple[float, float]
_SIDES = (-1.0, 1.0)  # the dog's left, its right
_EYE_DEPTH = 0.020  # of an eye's centre under the skin


@dataclass(frozen=True, slots=True)
class Body:
    """A dog in a pose; `landmarks` (5, 3): eye, eye, ear, ear, nose, the dog's left one first."""

    parts: list[Part]
    head: HeadFrame
    landmarks: Array
    chest: Array


@dataclass(frozen=True, slots=True)
class HeadFrame:
    """Where the skull is: `centre` (3,), `axes` (3, 3; rows: ahead, up, right), `size` against a middling head."""

    centre: Array
    axes: Array
    size: float

    def place(self, x: float, y: float, z: float) -> Array:
        """A point given in head sizes ahead, up and right, in the world (3,)."""
        return np.asarray(self.centre + (np.array([x, y, z], np.float32) * self.size) @ self.axes, np.float32)

    def coordinates(self, points: Array) -> Array:
        """Points of the world (n, 3) in head sizes ahead, up and right."""
        return np.asarray((points - self.centre) @ self.axes.T / self.size, np.float32)

    def part(self, name: str, a: Point, b: Point, radii: Pair, flat: Pair = (1.0, 1.0)) -> Part:
        """A part of the head given in head sizes."""
        right = (float(self.axes[2, 0]), float(self.axes[2, 1]), float(self.axes[2, 2]))
        hard = name in {"eye", "nose", "tongue"}
        scaled = (radii[0] * self.size, radii[1] * self.size)
        return Part(name, self.place(*a), self.place(*b), scaled, flat, right, hard)


def build_body(look: DogLook, pose: Pose, turn: Turn) -> Body:
    """One dog in one pose."""
    joints = joints_of(look, pose, turn)
    axes = _axes(turn)
    centre = joints["throat"] + (np.array([0.09, 0.075, 0.0], np.float32) * look.head) @ axes
    head = HeadFrame(centre, axes, look.head)
    parts, landmarks = _head(look, head, turn.mouth)
    return Body([*_trunk(look, joints), *_legs(look, joints), *parts], head, landmarks, joints["chest"])


def _axes(turn: Turn) -> Array:
    """The head's axes (3, 3): rows ahead, up, right."""
    ahead = np.array([np.cos(turn.pitch) * np.cos(turn.yaw), np.sin(turn.pitch), np.cos(turn.pitch) * np.sin(turn.yaw)])
    right = np.array([-np.sin(turn.yaw), 0.0, np.cos(turn.yaw)])
    up = np.cross(right, ahead)
    c, s = np.cos(turn.roll), np.sin(turn.roll)
    return np.stack([ahead, c * up + s * right, c * right - s * up]).astype(np.float32)


def _trunk(look: DogLook, j: Joints) -> list[Part]:
    g = look.girth
    parts = [
        Part("body", j["chest"], j["loin"], (g, g * 0.86), (1.0, 0.82)),
        Part("body", j["loin"], j["rump"], (g * 0.8, g * 0.82), (1.0, 0.84)),
        Part("body", j["chest"], j["brisket"], (g * 0.92, g * 0.6), (1.0, 0.85)),
        Part("neck", j["neck"], j["throat"], (g * 0.82, 0.115 * look.head), (1.0, 0.85)),
        Part("neck", j["chest"], j["throat"], (g * 0.68, 0.10 * look.head), (1.0, 0.85)),
    ]
    bush = 0.9 * look.fur  # long fur thickens the tail from its root on
    thickness = [0.05, 0.046 * (1 + bush / 2), 0.046 * (1 + bush), 0.04 * (1 + bush), 0.022 * (1 + bush)]
    parts += [Part("tail", j[f"tail {i}"], j[f"tail {i + 1}"], (thickness[i], thickness[i + 1])) for i in range(4)]
    return parts


def _legs(look: DogLook, j: Joints) -> list[Part]:
    parts: list[Part] = []
    for s, hand in zip(_SIDES, ("left", "right"), strict=True):
        for name, start, end, r0, r1, flat in (
            ("shoulder", "shoulder", "elbow", 0.115, 0.064, 0.8),
            ("leg", "elbow", "wrist", 0.06, 0.043, 1.0),
            ("leg", "wrist", "paw", 0.042, 0.039, 1.0),
            ("thigh", "hip", "knee", 0.155, 0.09, 0.72),
            ("thigh", "knee", "hock", 0.07, 0.04, 1.0),
            ("leg", "hock", "foot", 0.038, 0.037, 1.0),
        ):
            radii = (r0 * look.bone, r1 * look.bone)
            parts.append(Part(name, j[f"{start} {hand}"], j[f"{end} {hand}"], radii, (1.0, flat)))
        for spread in (-0.027, 0.0, 0.027):  # toes
            for end_joint, outward in (("paw", 0.0), ("foot", 0.01 * s)):
                toe = j[f"{end_joint} {hand}"]
                tip = toe + np.array([0.062, -0.005, spread + outward], np.float32)
                parts.append(Part("paw", toe, tip, (0.034 * look.bone, 0.029 * look.bone)))
    return parts


def _head(look: DogLook, head: HeadFrame, mouth: float) -> tuple[list[Part], Array]:
    """The head's parts, and its landmarks (5, 3)."""
    m, part = look.muzzle, head.part
    parts = [
        part("head", (-0.035, 0.0, 0), (0.02, 0.01, 0), (0.122, 0.112)),
        part("head", (0.03, -0.035, 0), (0.085, -0.035, 0), (0.092, 0.066)),
        part("muzzle", (0.07, -0.035, 0), (0.10 + m, -0.052, 0), (0.062, 0.047), (1.0, 0.95)),
    ]
    for s in _SIDES:
        parts += [
            part("head", (0.0, -0.05, 0.06 * s), (0.04, -0.055, 0.048 * s), (0.074, 0.06)),  # cheek
            part("head", (0.082, 0.05, 0.04 * s), (0.04, 0.062, 0.05 * s), (0.028, 0.042)),  # brow
            part("muzzle", (0.08, -0.068, 0.026 * s), (0.10 + 0.86 * m, -0.08, 0.022 * s), (0.042, 0.036)),  # lip
        ]
    skull = Shape(parts)
    jaw = (0.06 + (0.86 - 0.12 * mouth) * m, -0.108 - (0.045 + 0.2 * m) * mouth, 0.0)
    tongue = (jaw[0] + 0.035 * mouth, jaw[1] + 0.008 * mouth, 0.0)
    hanging = (tongue[0] + 0.012 * mouth, tongue[1] - 0.045 * mouth - 0.001, 0.0)
    thick = 0.03 if mouth > 0.3 else 0.008  # with the mouth shut the tongue lies inside
    nose = (0.136 + m, -0.026)
    parts += [
        part("jaw", (0.03, -0.095, 0), jaw, (0.044, 0.032), (1.0, 1.15)),
        part("tongue", (0.08, -0.105 - 0.02 * mouth, 0), tongue, (thick, thick), (0.45, 1.0)),
        part("tongue", tongue, hanging, (thick, 0.8 * thick), (0.45, 1.0)),
        part("nose", (*nose, -0.011), (*nose, 0.011), (0.027, 0.025)),
    ]
    eyes, ears = [], []
    for s in _SIDES:
        x, y, z = _under_skin(skull, head, (0.0, 0.0, 0.03 * s), (0.13, 0.048, 0.088 * s))
        parts.append(part("eye", (x, y, z), (x, y, z + 1e-3), (0.027, 0.027)))
        eyes.append(head.place(x + 0.02, y, z + 0.008 * s))
        ear, landmark = _ear(look, head, s)
        parts += ear
        ears.append(head.place(*landmark))
    return parts, np.stack([*eyes, *ears, head.place(nose[0] + 0.022, nose[1], 0.0)])


def _ear(look: DogLook, head: HeadFrame, s: float) -> tuple[list[Part], Point]:
    """The ear of one side, and the point in its middle (head sizes)."""
    if look.ears == "pricked":
        base, tip = (-0.03, 0.075, 0.082 * s), (-0.035, 0.24, 0.112 * s)
        return [head.part("ear", base, tip, (0.072, 0.006), (0.36, 1.0))], (-0.03, 0.17, 0.1 * s)
    if look.ears == "drop":
        base, fold, tip = (-0.02, 0.088, 0.098 * s), (-0.01, 0.02, 0.152 * s), (0.01, -0.115, 0.158 * s)
        upper = head.part("ear", base, fold, (0.042, 0.06), (1.0, 0.45))
        return [upper, head.part("ear", fold, tip, (0.062, 0.042), (1.0, 0.4))], (0.02, -0.02, 0.165 * s)
    base, fold, tip = (-0.02, 0.085, 0.095 * s), (-0.035, 0.155, 0.125 * s), (0.03, 0.118, 0.155 * s)
    upper = head.part("ear", base, fold, (0.05, 0.036), (0.5, 1.0))
    return [upper, head.part("ear", fold, tip, (0.036, 0.018), (0.5, 1.0))], (-0.02, 0.14, 0.135 * s)


def _under_skin(skull: Shape, head: HeadFrame, inside: Point, towards: Point) -> Point:
    """Where an eye sits, in head sizes: just under the skin on the way from a point inside the skull."""
    point, end = head.place(*inside), head.place(*towards)
    step = (end - point) / np.linalg.norm(end - point)
    for _ in range(24):
        point = point - step * skull.distance(point[None])[0]
    x, y, z = head.coordinates((point - _EYE_DEPTH * step)[None])[0]
    return float(x), float(y), float(z)
