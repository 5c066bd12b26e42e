"""Photos of known dogs (``identity/index.csv``, or a list of entries as a data set) and folders of breed photos."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from immich_dog_plugin.geometry import ImageArray, to_tensor
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.manifest import InputSpec
from immich_dog_plugin.stages.embedder import embedder_input

from .entries import DataError, Entry
from .masks import Masks

# A photo and its mask (or None) to a view of the network's side.
Augment = Callable[[ImageArray, ImageArray | None], ImageArray]


@dataclass(frozen=True, slots=True)
class IdentityPhoto:
    """One photo of a known dog; photos of one ``group`` are cuts of the same picture."""

    file: Path
    split: str
    set: str
    dog: str
    group: str


def read_identities(data: Path, split: str) -> list[IdentityPhoto]:
    """The photos of one split of ``<data>/identity/index.csv``: ``train``, ``val`` or ``test``.

    Raises:
        DataError: there is no such file.
    """
    index = data / "identity" / "index.csv"
    if not index.is_file():
        raise DataError(f"{data} has no identity/index.csv", "Give the folder that holds identity/")
    with index.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    return [
        # Groups are named within their set.
        IdentityPhoto(
            data / "identity" / row["file"], split, row["set"], row["dog"], f"{row['set']}/{row['source_group']}"
        )
        for row in rows
    ]


def breed_photos(folder: Path) -> list[Path]:
    """Every photo under ``folder`` in a fixed order, without files whose content occurs more than once.

    Public copies of Stanford Dogs hold hundreds of one placeholder picture.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in {".jpg", ".jpeg", ".png"})
    digests = {file: hashlib.md5(file.read_bytes(), usedforsecurity=False).digest() for file in files}
    often = {digest for digest, count in Counter(digests.values()).items() if count > 1}
    return [file for file in files if digests[file] not in often]


class IdentityDataset(Dataset[tuple[Tensor, int]]):
    """``(image (3, side, side), label)`` of every photo of known dogs.

    Args:
        entries: the photos; each needs its ``identity_label``.
        spec: side and scaling of the network's input.
        augment: makes a random view of a photo and its mask; None reads the photo as service does.
        masks: where the dogs are in their photos, for ``augment``.

    Attributes:
        labels: of each photo, 0 to the number of dogs - 1, in the order of their ``identity_label``.
        groups: of each photo, its ``source_group``.
        breeds: of each photo, its ``breed_label``.

    Raises:
        DataError: an entry without an ``identity_label``.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        spec: InputSpec,
        augment: Augment | None = None,
        masks: Masks | None = None,
    ) -> None:
        known = sorted({entry.identity_label for entry in entries if entry.identity_label is not None})
        if unknown := [entry.file_path for entry in entries if entry.identity_label is None]:
            raise DataError(
                f"{unknown[0]} has no identity_label, and {len(unknown) - 1} more have none",
                "Photos of which only the breed is known belong into breed_train.json",
            )
        places = {label: place for place, label in enumerate(known)}
        self.entries = list(entries)
        self.labels = [places[entry.identity_label] for entry in entries if entry.identity_label is not None]
        self.groups = [entry.source_group for entry in entries]
        self.breeds = [entry.breed_label for entry in entries]
        self._spec = spec
        self._augment = augment
        self._masks = masks or Masks()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        file = self.entries[index].file_path
        photo = read_photo(file)
        view = (
            embedder_input(photo, self._spec) if self._augment is None else self._augment(photo, self._masks.get(file))
        )
        return torch.from_numpy(to_tensor([view], self._spec.mean, self._spec.std)[0]), self.labels[index]
