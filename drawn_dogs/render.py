"""A dog, or a thing, as a camera sees it in a light: coat, fur, gloss."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from drawn_dogs.body import Body
from drawn_dogs.camera import Camera
from drawn_dogs.coat import paint
from drawn_dogs.colours import linear
from drawn_dogs.fur import grow, spread, strands_along
from drawn_dogs.lighting import Light, light_reaching
from drawn_dogs.looks import Colour, DogLook
from drawn_dogs.marching import Surface, find_surface
from drawn_dogs.shape import Array, Shape


@dataclass(frozen=True, slots=True)
class Layer:
    """What was rendered: premultiplied linear colour (h, w, 3), coverage, depth and height above the ground (h, w)."""

    colour: Array
    alpha: Array
    depth: Array
    height: Array


@dataclass(frozen=True, slots=True)
class _Material:
    """Linear `albedo` (n, 3), `wet` gloss (n,), `flow` (n, 3) and `strands` (n,) of the hair, length of the `fur`."""

    albedo: Array
    wet: Array
    flow: Array
    strands: Array
    fur: float


def render_dog(look: DogLook, body: Body, rest: Body, camera: Camera, light: Light, rng: np.random.Generator) -> Layer:
    """One dog as the camera sees it, without the shadow it throws; `rest` is the same dog in the rest pose."""
    width, height = camera.size
    shape = Shape(body.parts)
    surface = find_surface(shape, camera)
    if not len(surface.depth):
        nothing = np.zeros((height, width), np.float32)
        return Layer(np.zeros((height, width, 3), np.float32), nothing, nothing, nothing)
    weights = shape.weights(surface.points)
    albedo = paint(look, rest, shape.carry_to(Shape(rest.parts), surface.points, weights), weights, shape.names)

    def share(*names: str) -> Array:
        return np.asarray(weights[:, np.isin(shape.names, names)].sum(axis=1))

    bare = share("eye", "nose", "tongue")
    furry = (1 - bare) * (1 - 0.35 * share("muzzle", "jaw", "paw", "ear", "leg"))
    flow = weights @ shape.axes[:, 1]  # fur lies along the parts, from the trunk outwards
    flow -= (flow * surface.normals).sum(axis=1, keepdims=True) * surface.normals
    flow /= np.linalg.norm(flow, axis=1, keepdims=True) + 1e-3
    unit = camera.focal / float(np.median(surface.depth))  # pixels per unit, on the dog
    seen_flow, seen_normal = flow @ camera.axes[:2].T, surface.normals @ camera.axes[:2].T
    strands = strands_along(spread(surface.image(seen_flow), surface.coverage), unit, look.fur, rng)
    wet = share("eye") + 0.25 * share("nose", "tongue")
    coat = _Material(albedo, wet, flow, strands[surface.y, surface.x] * furry, look.fur)
    colour = _shade(surface, coat, light, light_reaching(shape, surface, light))

    # Push the picture outwards along the fur, by strands: the outline and the edges of marks become hairy.
    lean = spread(surface.image((0.75 * seen_flow + 0.65 * seen_normal) * furry[:, None]), surface.coverage)
    reach = (0.010 + 0.04 * look.fur) * unit
    hairs = cv2.GaussianBlur(strands_along(lean, unit, look.fur, rng), (0, 0), 0.7)
    push = lean * (reach * np.clip(0.35 + 0.6 * hairs, -0.2, 1.3))[:, :, None]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    spare = grow(surface.image(colour), surface.coverage)
    flat = np.dstack([spare, surface.image(surface.points[:, 1]), surface.coverage])
    flat = cv2.remap(flat, x - push[:, :, 0], y - push[:, :, 1], cv2.INTER_LINEAR)
    return Layer(flat[:, :, :3] * flat[:, :, 4:5], flat[:, :, 4], surface.image(surface.depth), flat[:, :, 3])


def render_thing(shape: Shape, colour: Colour, camera: Camera, light: Light) -> Layer:
    """A smooth thing of one colour."""
    surface = find_surface(shape, camera)
    count = len(surface.depth)
    albedo = np.repeat(linear(colour)[None], count, axis=0)
    still = np.zeros(count, np.float32)
    along = np.repeat(np.array([[0, 1, 0]], np.float32), count, axis=0)
    smooth_skin = _Material(albedo, still + 0.1, along, still, 0.0)
    shaded = _shade(surface, smooth_skin, light, light_reaching(shape, surface, light))
    image = surface.image(shaded) * surface.coverage[:, :, None]
    return Layer(image, surface.coverage, surface.image(surface.depth), surface.image(surface.points[:, 1]))


def _shade(surface: Surface, material: _Material, light: Light, reached: tuple[Array, Array]) -> Array:
    """Linear colour (n, 3) where `reached` (sky, sun) says how much light comes to each point."""
    normals, (sky, sun), dry = surface.normals, reached, 1 - material.wet
    toward_sun = normals @ light.direction
    wrap = 0.25 + 0.15 * material.fur  # light creeps around furry edges
    diffuse = np.clip((toward_sun + wrap) / (1 + wrap), 0, 1) * (0.25 * sky + 0.75) * sun
    ambient = (light.ground + (light.sky - light.ground) * (0.5 + 0.5 * normals[:, 1:2])) * sky[:, None]
    texture = np.exp((0.26 + 0.14 * material.fur) * material.strands)
    colour = material.albedo * (diffuse[:, None] * light.sun + ambient) * texture[:, None]

    half = light.direction - surface.directions
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    across = np.clip(1 - (material.flow * half).sum(axis=1) ** 2, 0, 1)  # hair shines across itself (Kajiya and Kay)
    shine = across**12 * np.clip(toward_sun + 0.2, 0, 1) * sun * (0.055 - 0.02 * material.fur)
    gloss = np.clip((normals * half).sum(axis=1), 0, 1)
    highlight = 2.5 * gloss**140 + 0.08 * gloss**10 + 0.05 * np.clip(normals[:, 1], 0, 1) ** 3
    colour += (dry * shine * np.exp(0.5 * material.strands) + material.wet * highlight)[:, None] * light.sun
    grazing = (1 - np.clip(-(normals * surface.directions).sum(axis=1), 0, 1)) ** 4
    colour += (0.05 * grazing * dry * sky)[:, None] * light.sky * (0.3 + material.albedo)
    return np.asarray(colour, np.float32)
