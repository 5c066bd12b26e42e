"""Photos of breeds in two random views, read as in service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from immich_dog_plugin.geometry import to_tensor
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import InputSpec

from ..data.masks import Masks
from .augment import RandomView


class ViewPairs(Dataset[tuple[Tensor, int, int]]):
    """``(views (2, 3, side, side), number of the photo, number of its breed)``; a photo's folder names its breed.

    A shared background would tell the network that two views belong together: each draws its own.
    """

    def __init__(self, files: Sequence[Path], spec: InputSpec, view: RandomView, masks: Masks) -> None:
        names = sorted({file.parent.name for file in files})
        self.files = files
        self.breeds = [names.index(file.parent.name) for file in files]
        self._spec = spec
        self._masks = masks
        self._view = view

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        file = self.files[index]
        photo, alpha = read_photo(file), self._masks.get(file)
        views = [self._view(photo, alpha) for _ in range(2)]
        return torch.from_numpy(to_tensor(views, self._spec.mean, self._spec.std)), index, self.breeds[index]
