"""Photos of breeds in two random views, read as in service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from immich_dog_plugin.geometry import ImageArray, to_tensor
from immich_dog_plugin.model_package import InputSpec


class ViewPairs(Dataset[tuple[Tensor, int, int]]):
    """``(views (k, 3, side, side), number of the photo, number of its breed)``; a photo's folder names its breed.

    Args:
        files: the photos.
        spec: how views are read.
        views: makes the ``k`` of a photo.
    """

    def __init__(self, files: Sequence[Path], spec: InputSpec, views: Callable[[Path], list[ImageArray]]) -> None:
        names = sorted({file.parent.name for file in files})
        self.files = files
        self.breeds = [names.index(file.parent.name) for file in files]
        self._spec = spec
        self._views = views

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        views = self._views(self.files[index])
        return torch.from_numpy(to_tensor(views, self._spec.mean, self._spec.std)), index, self.breeds[index]
