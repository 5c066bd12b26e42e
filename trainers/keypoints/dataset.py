"""Annotated dogs as the tensors that the landmark network reads, cut and scaled by serving's own code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from immich_dog_plugin.geometry import FloatArray, ImageArray, to_tensor
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.manifest import KeypointSpec
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.keypoints import Cut, keypoint_input

from ..data.landmarks import AnnotatedDog
from .augment import View, random_view


class LandmarkDataset(Dataset[tuple[Tensor, Tensor]]):
    """``(image (3, side, side), target (5, 3))``: x, y in input pixels and 1, zeros where a point is not in the crop.

    Args:
        dogs: what to read; the photos are kept in memory.
        spec: padding, side and scaling of the stage.
        augment: random views; else the annotated box as it is.
    """

    def __init__(self, dogs: Sequence[AnnotatedDog], spec: KeypointSpec, augment: bool) -> None:
        self.dogs = dogs
        self._spec = spec
        self._augment = augment
        self._photos = [read_photo(dog.photo) for dog in dogs]

    def __len__(self) -> int:
        return len(self.dogs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        dog, photo = self.dogs[index], self._photos[index]
        view = View(photo, dog.box, dog.points)
        if self._augment:
            # torch seeds every worker anew each epoch; numpy would repeat itself.
            random = np.random.default_rng(int(torch.randint(2**31, (1,))))
            view = random_view(dog, photo, random)
        image, target = network_input(view, self._spec)
        return torch.from_numpy(image), torch.from_numpy(target)


def network_input(view: View, spec: KeypointSpec) -> tuple[FloatArray, FloatArray]:
    """The tensor ``(3, side, side)`` and the points ``(5, 3)`` on it; a point outside the crop is not visible."""
    canvas, points, _ = on_canvas(view, spec)
    return to_tensor([canvas], spec.input.mean, spec.input.std)[0], points


def on_canvas(view: View, spec: KeypointSpec) -> tuple[ImageArray, FloatArray, Cut]:
    """The canvas ``(side, side, 3)`` of a view, its points there, and how they map back to the photo."""
    canvas, mapping = keypoint_input(Pyramid(view.photo), view.box, spec.input.side, spec.padding)
    points = view.points.copy()
    points[:, :2] = mapping.to_canvas(points[:, :2])
    inside = ((points[:, :2] >= 0) & (points[:, :2] <= spec.input.side)).all(axis=1)
    points[~inside | (view.points[:, 2] == 0)] = 0
    return canvas, points, mapping
