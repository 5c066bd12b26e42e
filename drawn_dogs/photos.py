"""Photos of drawn dogs: pose, camera, place and light are drawn for each photo, apart from who the dog is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from drawn_dogs.body import Body, build_body
from drawn_dogs.camera import Camera
from drawn_dogs.joints import POSES, Pose, Turn
from drawn_dogs.lighting import cast_shadow
from drawn_dogs.looks import look_of
from drawn_dogs.noise import tile_noise
from drawn_dogs.render import Layer, render_dog, render_thing
from drawn_dogs.scenery import PLACES, Place, draw_place, light_of
from drawn_dogs.shape import Array, Shape
from drawn_dogs.things import ball, stool
from immich_dog_plugin.geometry import KEYPOINT_NAMES

Size = tuple[int, int]
View = Literal["sit", "stand", "lie", "head"]
VIEWS: tuple[View, ...] = (*POSES, "head")
SPACING = 0.85  # between dogs of one photo, in units
_AROUND = {"sit": (0.2, 0.9), "stand": (0.6, 1.5), "lie": (0.4, 1.2), "head": (0.1, 1.1)}  # camera's angle from ahead


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPhoto:
    """A drawn photo and the truth about it, one row for each dog.

    `image` (h, w, 3) RGB; `boxes` (dogs, 4) x1 y1 x2 y2 in pixels; `keypoints` (dogs, 5, 3): x, y, and 1 where visible,
    else 0, in the order of KEYPOINT_NAMES (left = left in the image); `names` of the dogs; `view` (one of VIEWS, empty
    without a dog) and `place` in words.
    """

    image: NDArray[np.uint8]
    boxes: Array = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    keypoints: Array = field(default_factory=lambda: np.zeros((0, len(KEYPOINT_NAMES), 3), np.float32))
    names: tuple[str, ...] = ()
    view: str = ""
    place: str = ""


def draw_dog(identity: int, photo: int, *, size: Size = (640, 480), seed: int = 0) -> DrawnPhoto:
    """Photo number `photo` of dog number `identity`; four photos in a row show the four views."""
    rng = np.random.default_rng([seed, identity, photo])
    return _photograph([identity], VIEWS[photo % len(VIEWS)], rng, size)


def draw_group(identities: Sequence[int], photo: int, *, size: Size = (640, 480), seed: int = 0) -> DrawnPhoto:
    """Several dogs side by side in one photo."""
    rng = np.random.default_rng([seed, 0x6209, photo, *identities])
    return _photograph(identities, POSES[photo % len(POSES)], rng, size)


def draw_scene(photo: int, *, size: Size = (640, 480), seed: int = 0) -> DrawnPhoto:
    """A place without a dog: empty, with a ball or with a stool."""
    rng = np.random.default_rng([seed, 0x5CE7E, photo])
    place = PLACES[photo % len(PLACES)]
    extent, around = float(rng.uniform(1.4, 2.2)), float(rng.uniform(0, 2 * np.pi))
    camera = _camera(np.array([0.0, 0.35, 0.0], np.float32), extent, 4.2, around, rng, size)
    light = light_of(place, camera, rng)
    canvas = draw_place(place, camera, light, 4.2, rng)
    thing = (None, ball, stool)[photo % 3]
    if thing is not None:
        shape, colour = thing(rng)
        canvas = cast_shadow(canvas, shape, camera, light)
        layer = render_thing(shape, colour, camera, light)
        canvas = canvas * (1 - layer.alpha[:, :, None]) + layer.colour
    return DrawnPhoto(_develop(canvas, rng), place=place)


def _photograph(identities: Sequence[int], view: View, rng: np.random.Generator, size: Size) -> DrawnPhoto:
    place = PLACES[int(rng.integers(len(PLACES)))]
    pose: Pose = POSES[int(rng.integers(len(POSES)))] if view == "head" else view
    around = float(rng.uniform(*_AROUND[view])) * float(rng.choice([-1.0, 1.0]))
    looks = [look_of(identity) for identity in identities]
    bodies = [build_body(look, pose, _turn(around, rng)) for look in looks]
    camera = _aimed(bodies, view, around, rng, size)
    light = light_of(place, camera, rng)
    canvas = draw_place(place, camera, light, float(np.linalg.norm(bodies[0].head.centre - camera.position)), rng)
    cameras = [_beside(camera, (i - (len(bodies) - 1) / 2) * SPACING) for i in range(len(bodies))]
    for body, own in zip(bodies, cameras, strict=True):
        canvas = cast_shadow(canvas, Shape(body.parts), own, light)
    boxes, keypoints = [], []
    for look, body, own in zip(looks, bodies, cameras, strict=True):
        layer = render_dog(look, body, build_body(look, "stand", Turn()), own, light, rng)
        free = _above_ground(layer, place, rng)
        alpha = layer.alpha * free
        canvas = canvas * (1 - alpha[:, :, None]) + layer.colour * free[:, :, None]
        boxes.append(_box(alpha))
        keypoints.append(_keypoints(body, layer, own))
    names = tuple(look.name for look in looks)
    return DrawnPhoto(_develop(canvas, rng), np.stack(boxes), np.stack(keypoints), names, view, place)


def _turn(around: float, rng: np.random.Generator) -> Turn:
    """The head looks somewhere between straight ahead and the camera; the mouth is open in every second photo or so."""
    yaw, mouth = around * float(rng.uniform(0.3, 0.85)), float(rng.choice([0.0, 0.0, 0.7, 1.0]))
    return Turn(yaw, float(rng.uniform(-0.12, 0.12)), float(rng.normal(0, 0.1)), mouth, float(rng.uniform(-1, 1)))


def _aimed(bodies: Sequence[Body], view: View, around: float, rng: np.random.Generator, size: Size) -> Camera:
    """A camera that has the first dog's head, or all dogs, in view."""
    if view == "head":
        target = bodies[0].head.centre - np.array([0, 0.08, 0], np.float32)
        return _camera(target, float(rng.uniform(0.75, 1.15)), 1.9, around, rng, size)
    joints = np.concatenate([np.stack([part.start for part in body.parts]) for body in bodies])
    low, high = joints.min(axis=0) - 0.08, joints.max(axis=0) + 0.08
    spread = float(np.linalg.norm(high - low)) + 0.6 * (len(bodies) - 1)
    return _camera((low + high) / 2, spread * float(rng.uniform(0.72, 1.0)), 4.2, around, rng, size)


def _camera(
    target: Array, extent: float, distance: float, around: float, rng: np.random.Generator, size: Size
) -> Camera:
    """A camera `distance` away from `target`, `around` it (radians), so that `extent` units fill the short side."""
    rise = float(rng.uniform(0.05, 0.38))
    ahead = -np.array([np.cos(rise) * np.cos(around), np.sin(rise), np.cos(rise) * np.sin(around)])
    right = np.cross(ahead, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    room = 0.06 * min(size)
    centre = (size[0] / 2 + float(rng.uniform(-2, 2)) * room, size[1] / 2 + float(rng.uniform(-1, 1)) * room)
    axes = np.stack([right, np.cross(ahead, right), ahead]).astype(np.float32)
    return Camera(
        (target - ahead * distance).astype(np.float32), axes, 0.95 * min(size) / extent * distance, size, centre
    )


def _beside(camera: Camera, shift: float) -> Camera:
    """The camera in the frame of a dog that stands `shift` units further right: moved the other way."""
    return replace(camera, position=camera.position - camera.axes[0] * np.float32(shift))


def _above_ground(layer: Layer, place: Place, rng: np.random.Generator) -> Array:
    """Share (h, w) of the dog that grass, snow or sand leaves free: the paws sink in a little."""
    depth = {"grass": 0.05, "snow": 0.03, "sand": 0.012}.get(place, 0.0)
    height, width = layer.alpha.shape
    if not depth:
        return np.ones((height, width), np.float32)
    blades = tile_noise(512, rng, sigma=0.7, stretch=(1, 5)) if place == "grass" else tile_noise(512, rng, sigma=3)
    blades = np.tile(blades, (height // 512 + 1, width // 512 + 1))[:height, :width]
    return np.asarray(1 - np.clip((depth * (0.75 + 0.5 * blades) - layer.height) / 0.012, 0, 1), np.float32)


def _box(alpha: Array) -> Array:
    ys, xs = np.nonzero(alpha > 0.4)
    return (
        np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32) if len(xs) else np.zeros(4, np.float32)
    )


def _keypoints(body: Body, layer: Layer, camera: Camera) -> Array:
    """(5, 3) in KEYPOINT_NAMES' order; visible where nothing of the dog is in front."""
    points = camera.project(body.landmarks)
    width, height = camera.size
    rows = np.zeros((5, 3), np.float32)
    for row, (x, y, depth) in zip(rows, points, strict=True):
        row[:2] = x, y
        if 0 <= x < width and 0 <= y < height:
            seen = layer.depth[int(y), int(x)]
            row[2] = float(seen == 0 or depth < seen + 0.06 * body.head.size)
    for a, b in ((0, 1), (2, 3)):
        if rows[a, 0] > rows[b, 0]:
            rows[[a, b]] = rows[[b, a]]
    return rows


def _develop(canvas: Array, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a camera makes of the light: exposure, white balance, tone curve, vignette, blur, noise and JPEG."""
    height, width = canvas.shape[:2]
    metered = float(np.median(canvas)) + 0.08
    image = canvas * (0.30 / metered) ** 0.5 * float(rng.uniform(0.7, 1.2))
    image = image * (1 + rng.uniform(-0.07, 0.07, 3)).astype(np.float32)
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    image *= (1 - float(rng.uniform(0.02, 0.16)) * (xs**2 + ys**2))[:, :, None].astype(np.float32)
    image = 1 - np.exp(-1.35 * np.maximum(image, 0))  # soft shoulder, so that white coats keep their shading
    image = np.clip(image * 1.12, 0, 1) ** (1 / 2.2)
    image = image * 0.84 + 0.16 * (image @ np.array([0.3, 0.59, 0.11], np.float32))[:, :, None]
    image = image + 0.25 * (image - 0.45) * image * (1 - image)
    image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.35, 0.8)))
    grain = rng.standard_normal((height, width, 3)).astype(np.float32)
    grain = 0.7 * cv2.GaussianBlur(grain, (0, 0), 0.7) + 0.3 * grain
    image = image + grain * float(rng.uniform(0.004, 0.02))
    pixels = np.clip(np.round(image * 255), 0, 255).astype(np.uint8)
    coded = BytesIO()
    Image.fromarray(pixels).save(coded, "JPEG", quality=int(rng.integers(72, 95)))
    return np.array(Image.open(coded))
