"""The photos of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from immich_dog_plugin.geometry import ImageArray, crop_box
from immich_dog_plugin.imaging import read_photo

from ..crops import BODY_PADDING
from ..data.entries import BREEDS, TRAIN, VAL, Entry, read_entries
from ..data.found import FOUND, NOWHERE, Places, key, place_of, read_places
from ..data.masks import MASKS, Masks
from ..records import Counts
from ..runs import TrainingError
from .recipe import Recipe


@dataclass(frozen=True, slots=True)
class Material:
    """The photos of a run. A photo's number is its place in ``entries``.

    Attributes:
        known: photos of known dogs; none with the loss of views.
        bred: photos of which only the breed is known; none where no views are asked for.
        val: photos of the dogs that choose, none of which is in ``known``.
        masks: where each dog is in its photo, as far as that is known.
        places: its box and face, for views of dogs; empty for others.
    """

    known: list[Entry]
    bred: list[Entry]
    val: list[Entry]
    masks: Masks
    places: Places

    @classmethod
    def read(cls, recipe: Recipe, folder: Path, masks: Path = MASKS, found: Path = FOUND) -> Material:
        """The photos that a recipe uses out of the lists in ``folder``, which ``python -m trainers.data`` writes.

        Raises:
            DataError: a list is missing or damaged.
            TrainingError: a list holds no photo.
        """
        known = [] if recipe.loss == "views" else _listed(folder / TRAIN)
        bred = _listed(folder / BREEDS) if recipe.views else []
        places = read_places(found) if recipe.views_of == "dog" else {}
        if recipe.views_of == "dog":
            bred = [entry for entry in bred if places.get(key(entry.file_path), NOWHERE).face]
        order = np.random.default_rng(recipe.seed).permutation(len(bred))
        drawn = [bred[index] for index in order[: recipe.breed_photos]]
        return cls(known, drawn, _listed(folder / VAL), Masks(masks), places)

    @property
    def entries(self) -> list[Entry]:
        """All photos that train: those of known dogs, then those of breeds."""
        return [*self.known, *self.bred]

    @property
    def files(self) -> list[Path]:
        """Where they lie."""
        return [entry.file_path for entry in self.entries]

    def body(self, file: Path) -> ImageArray:
        """The dog of a photo as service cuts it; the whole photo where nobody knows where the dog is."""
        photo = read_photo(file)
        box = place_of(file, self.places).box_in(photo.shape[1], photo.shape[0]) if self.places else None
        return photo if box is None else crop_box(photo, box, BODY_PADDING)[0]

    @property
    def counts(self) -> dict[str, dict[str, Counts]]:
        """How much of each collection there is, by use, for the record."""
        return {"known dogs": by_set(self.known), "breed photos": by_set(self.bred), "val": by_set(self.val)}


def by_set(entries: Sequence[Entry]) -> dict[str, Counts]:
    """Photos, dogs and breeds of each set; None where no dog or no breed of it is known."""
    counts = {}
    for name in sorted({entry.set for entry in entries}):
        part = [entry for entry in entries if entry.set == name]
        dogs = {entry.identity_label for entry in part} - {None}
        breeds = {entry.breed_label for entry in part} - {None}
        counts[name] = Counts(photos=len(part), dogs=len(dogs) or None, breeds=len(breeds) or None)
    return counts


def _listed(file: Path) -> list[Entry]:
    entries = read_entries(file)
    if not entries:
        raise TrainingError(f"{file} lists no photo", "Give python -m trainers.data a source that holds some")
    return entries
