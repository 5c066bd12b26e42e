"""Where a dog's joints are in each pose. Axes: x ahead of the dog, y up (ground at 0), z to its right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drawn_dogs.looks import DogLook
from drawn_dogs.shape import Array

Pose = Literal["sit", "stand", "lie"]
POSES: tuple[Pose, ...] = ("sit", "stand", "lie")

Point = tuple[float, float, float]
Joints = Mapping[str, Array]

_TAILS: dict[str, tuple[tuple[float, float], ...]] = {  # of a standing dog: (ahead, up) from the root
    "up": ((0, 0), (-0.1, 0.09), (-0.17, 0.2), (-0.2, 0.31), (-0.19, 0.42)),
    "curled": ((0, 0), (-0.05, 0.12), (0.03, 0.22), (0.12, 0.2), (0.16, 0.12)),
    "low": ((0, 0), (-0.1, -0.06), (-0.16, -0.18), (-0.2, -0.3), (-0.25, -0.38)),
}


@dataclass(frozen=True, slots=True)
class Turn:
    """How the head is held (radians), how far the mouth is open (0..1) and how far the legs stride (-1..1)."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    mouth: float = 0.0
    stride: float = 0.0


def joints_of(look: DogLook, pose: Pose, turn: Turn) -> Joints:
    """The joints (3,) by name; those of the legs are called `elbow left`, `elbow right` and so on."""
    points = {"sit": _sitting, "stand": _standing, "lie": _lying}[pose](look, turn.stride)
    return {name: np.array(point, np.float32) for name, point in points.items()}


def _standing(look: DogLook, stride: float) -> dict[str, Point]:
    leg, x, back, w = look.leg, look.body / 2, look.leg + 0.09, 0.62 * look.girth
    points: dict[str, Point] = {
        "chest": (x, back - 0.03, 0),
        "brisket": (x + 0.03, leg - 0.03, 0),
        "loin": (-0.02, back + 0.015, 0),
        "rump": (-x, back, 0),
        "neck": (x + 0.04, back + 0.06, 0),
        "throat": (x + 0.2, back + 0.3, 0),
    }
    for s, hand in ((-1, "left"), (1, "right")):
        swing = 0.12 * stride * s  # the hind leg of a side swings against its front leg
        points |= {
            f"shoulder {hand}": (x + 0.02, leg, s * w),
            f"elbow {hand}": (x - 0.03 + 0.3 * swing, leg * 0.62, s * w),
            f"wrist {hand}": (x + 0.01 + 0.8 * swing, leg * 0.27, s * w * 0.92),
            f"paw {hand}": (x + 0.02 + swing, 0.042, s * w * 0.9),
            f"hip {hand}": (-x, leg + 0.03, s * w * 0.8),
            f"knee {hand}": (-x + 0.11 - 0.5 * swing, leg * 0.62, s * w * 0.95),
            f"hock {hand}": (-x - 0.13 - 0.8 * swing, leg * 0.35, s * w * 0.9),
            f"foot {hand}": (-x - 0.1 - swing, 0.042, s * w * 0.9),
        }
    points |= {f"tail {i}": (-x - 0.13 + dx, back + 0.06 + dy, 0) for i, (dx, dy) in enumerate(_TAILS[look.tail])}
    return points


def _sitting(look: DogLook, stride: float) -> dict[str, Point]:
    leg, w, rump, chest = look.leg, 0.62 * look.girth, 0.98 * look.girth, look.leg + 0.06
    x = max(0.13, 0.4 * float(np.sqrt(max(look.body**2 - (chest - rump) ** 2, 0.0))))
    points: dict[str, Point] = {
        "chest": (x, chest, 0),
        "brisket": (x + 0.02, leg - 0.08, 0),
        "loin": (0, (chest + rump) / 2 + 0.03, 0),
        "rump": (-x, rump, 0),
        "neck": (x + 0.02, leg + 0.16, 0),
        "throat": (x + 0.09, leg + 0.37, 0),
    }
    for s, hand in ((-1, "left"), (1, "right")):
        points |= {
            f"shoulder {hand}": (x + 0.03, leg, s * w),
            f"elbow {hand}": (x + 0.02, leg * 0.58, s * (w + 0.005)),
            f"wrist {hand}": (x + 0.08, leg * 0.26, s * w * 0.95),
            f"paw {hand}": (x + 0.1 + 0.03 * stride * s, 0.042, s * w),
            f"hip {hand}": (-x + 0.02, rump + 0.03, s * w),
            f"knee {hand}": (-x + 0.26, 0.22, s * (w + 0.1)),
            f"hock {hand}": (-x, 0.06, s * (w + 0.07)),
            f"foot {hand}": (-x + 0.24, 0.042, s * (w + 0.12)),
        }
    steps = (
        (-0.15, 0.6 * rump, 0.0),
        (-0.23, 0.08, 0.05),
        (-0.29, 0.06, 0.14),
        (-0.3, 0.05, 0.24),
        (-0.25, 0.05, 0.33),
    )
    points |= {f"tail {i}": (-x + dx, y, z) for i, (dx, y, z) in enumerate(steps)}
    return points


def _lying(look: DogLook, stride: float) -> dict[str, Point]:
    g, x, w = look.girth, look.body / 2, 0.62 * look.girth
    chest, rump = 1.15 * g, 0.95 * g
    points: dict[str, Point] = {
        "chest": (x, chest, 0),
        "brisket": (x + 0.02, 0.95 * g, 0),
        "loin": (0, g, 0.02),
        "rump": (-x, rump, 0.03),
        "neck": (x + 0.04, chest + 0.09, 0),
        "throat": (x + 0.13, chest + 0.32, 0),
    }
    for s, hand in ((-1, "left"), (1, "right")):
        z, reach = s * (w + 0.02), 0.05 * stride * s
        points |= {
            f"shoulder {hand}": (x, chest, z),
            f"elbow {hand}": (x - 0.02, 0.1, z * 1.25),
            f"wrist {hand}": (x + 0.24 + reach, 0.055, z * 0.95),
            f"paw {hand}": (x + 0.34 + reach, 0.042, z * 0.85),
            f"hip {hand}": (-x, rump, s * w),
            f"knee {hand}": (-x + 0.24, 0.19, s * (w + 0.1)),
            f"hock {hand}": (-x - 0.02, 0.06, s * (w + 0.11)),
            f"foot {hand}": (-x + 0.2, 0.042, s * (w + 0.13)),
        }
    steps = (
        (-0.13, 0.8 * rump, 0.0),
        (-0.23, 0.1, 0.04),
        (-0.33, 0.06, 0.09),
        (-0.41, 0.05, 0.16),
        (-0.46, 0.05, 0.26),
    )
    points |= {f"tail {i}": (-x + dx, y, z) for i, (dx, y, z) in enumerate(steps)}
    return points
