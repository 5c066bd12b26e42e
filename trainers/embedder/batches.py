"""The batches of a run: photos drawn, changed, and brought together with what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from immich_dog_plugin.geometry import FloatArray, ImageArray, to_tensor
from immich_dog_plugin.manifest import InputSpec

from ..data.identity import IdentityDataset
from ..distributed import Processes
from .augment import BodyAndFace, RandomView
from .background import Backgrounds
from .material import Material
from .objective import UNKNOWN, Batch
from .recipe import Recipe
from .samplers import look_alike_batches, per_class_batches

Item = tuple[Tensor, int, int, int]  # images (k, 3, side, side), dog, photo, breed


class Batches:
    """Makes the batches of every epoch.

    Args:
        recipe: how many photos of what.
        material: the photos.
        processes: of each batch, this process gets its share.
        workers: processes that read and change photos, for known dogs and for views each.

    Attributes:
        dogs: of each photo, which dog: 0 to the number of dogs - 1, ``UNKNOWN`` for photos of breeds.
        breeds: of each photo, which breed, ``UNKNOWN`` where the lists name none.
        steps: of an epoch: as asked, or one pass over the photos of known dogs (with the loss of views, of breeds).
    """

    def __init__(self, recipe: Recipe, material: Material, processes: Processes, workers: int) -> None:
        self._recipe, self._processes, self._workers = recipe, processes, workers
        self.breeds = numbered([entry.breed_label for entry in material.entries])
        self.dogs = [UNKNOWN] * len(material.entries)
        self._known = self._views = None
        spec, first = recipe.train_input, len(material.known)
        photos, batch = len(material.bred), recipe.views
        # Of all photos, because few sources show many places.
        view = RandomView(spec.side, Backgrounds(material.files, material.masks))
        if material.known:
            pictures = IdentityDataset(material.known, spec, view, material.masks)
            self.dogs[:first] = pictures.labels
            self._known = Known(pictures, self.breeds[:first])
            photos, batch = len(material.known), recipe.dogs * recipe.photos
        if material.bred:
            dogs = recipe.views_of == "dog"
            views = BodyAndFace(spec.side, material.places) if dogs else view.twice(material.masks)
            files = [entry.file_path for entry in material.bred]
            self._views = Views(files, spec, views, self.breeds[first:], first)
        self.steps = recipe.steps or max(1, photos // batch)

    def epoch(self, centres: FloatArray) -> Iterator[Batch]:
        """The batches of one epoch, drawn from the global generators: seed them to get the same again.

        Args:
            centres: ``(dogs, d)``, where each dog's embeddings lie.
        """
        recipe, loaders = self._recipe, []
        if self._known:
            labels = self._known.dogs
            if recipe.negatives == "random":
                drawn = per_class_batches(labels, recipe.dogs, recipe.photos, self.steps)
            else:
                breeds = [None if breed == UNKNOWN else breed for breed in self._known.breeds]
                drawn = look_alike_batches(
                    labels, self._known.groups, breeds, centres, recipe.dogs, recipe.photos, self.steps
                )
            loaders.append(self._loader(self._known, drawn))
        if self._views:
            each = recipe.views_per_breed
            drawn = per_class_batches(self._views.breeds, recipe.views // each, each, self.steps)
            loaders.append(self._loader(self._views, drawn))
        return (joined(parts) for parts in zip(*loaders, strict=True))

    def _loader(self, items: Dataset[Item], drawn: list[list[int]]) -> DataLoader[Item]:
        # Workers live for one epoch, so that its seed decides what they draw.
        return DataLoader(
            items,
            batch_sampler=[self._processes.share(batch) for batch in drawn],
            num_workers=self._workers,
            pin_memory=self._processes.device.type == "cuda",
        )


class Known(Dataset[Item]):
    """One picture of a known dog per item."""

    def __init__(self, pictures: IdentityDataset, breeds: Sequence[int]) -> None:
        self._pictures, self.dogs, self.groups, self.breeds = pictures, pictures.labels, pictures.groups, breeds

    def __getitem__(self, index: int) -> Item:
        image, dog = self._pictures[index]
        return image[None], dog, index, self.breeds[index]


class Views(Dataset[Item]):
    """The views of one photo per item, read as in service.

    Args:
        files: the photos.
        spec: how views are read.
        views: makes those of a photo.
        breeds: of each photo.
        first: the number of the first photo.
    """

    def __init__(
        self,
        files: Sequence[Path],
        spec: InputSpec,
        views: Callable[[Path], list[ImageArray]],
        breeds: Sequence[int],
        first: int,
    ) -> None:
        self._files, self._spec, self._views, self.breeds, self._first = files, spec, views, breeds, first

    def __getitem__(self, index: int) -> Item:
        images = to_tensor(self._views(self._files[index]), self._spec.mean, self._spec.std)
        return torch.from_numpy(images), UNKNOWN, self._first + index, self.breeds[index]


def joined(parts: Sequence[Sequence[Tensor]]) -> Batch:
    """Items of ``k`` pictures each, from several loaders, as one batch of single pictures."""
    columns = [
        [images.flatten(0, 1), *(column.repeat_interleave(images.shape[1]) for column in known)]
        for images, *known in parts
    ]
    return Batch(*(torch.cat(column) for column in zip(*columns, strict=True)))


def numbered(names: Sequence[str | None]) -> list[int]:
    """Each name's place among the different ones in alphabetical order, ``UNKNOWN`` for None.

    >>> numbered(["pug", None, "collie"])
    [1, -1, 0]
    """
    places = {name: place for place, name in enumerate(sorted({name for name in names if name is not None}))}
    return [UNKNOWN if name is None else places[name] for name in names]
