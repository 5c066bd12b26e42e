"""Photos of breeds in two random views, read as in service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from immich_dog_plugin.geometry import to_tensor
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import InputSpec

from .augment import random_view


class ViewPairs(Dataset[tuple[Tensor, int, int]]):
    """``(views (2, 3, side, side), number of the photo, number of its breed)``; a photo's folder names its breed."""

    def __init__(self, files: Sequence[Path], spec: InputSpec) -> None:
        names = sorted({file.parent.name for file in files})
        self.files = files
        self.breeds = [names.index(file.parent.name) for file in files]
        self._spec = spec

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        # torch seeds every worker anew each epoch; numpy would repeat itself.
        random = np.random.default_rng(int(torch.randint(2**31, (1,))))
        photo = read_photo(self.files[index])
        # One other photo per view: a shared background would tell the network that the views belong together.
        others = [read_photo(self.files[other]) for other in random.integers(0, len(self.files), size=2)]
        views = [random_view(photo, other, self._spec.side, random) for other in others]
        return torch.from_numpy(to_tensor(views, self._spec.mean, self._spec.std)), index, self.breeds[index]
