"""Embeddings of photos of known dogs through the shipped pipeline, computed once per model package."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from rich.progress import track

from immich_dog_plugin.evaluation.embedded import EmbeddedPhotos, named_dog, pictures_of
from immich_dog_plugin.evaluation.photos import INDEX, read_labelled_photos
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from immich_dog_plugin.pyramid import Pyramid

CACHE = Path("runs/groupings")


def embedded(folder: Path, split: str, package: ModelPackage, cache: Path = CACHE) -> EmbeddedPhotos:
    """The largest dog of each photo of a split, embedded as ``identify`` does.

    Kept in ``cache`` by the package's fingerprint and the index' content. Changed code is not noticed: delete the
    folder then.

    Args:
        folder: with an ``index.csv``.
        split: of its dogs.
        package: embeds.
        cache: where results are kept.

    Raises:
        EvaluationError: no index, or not one that can be read.
        PhotoError: a photo cannot be read.
    """
    photos = read_labelled_photos(folder, split).photos
    index = hashlib.sha256((folder / INDEX).read_bytes()).hexdigest()[:16]
    file = cache / f"{folder.name}-{split}-{package.fingerprint}-{index}.npz"
    if file.is_file():
        with np.load(file) as arrays:
            embeddings, dogs = arrays["embeddings"], arrays["dogs"]
    else:
        pipeline = DogPipeline.open(package)
        crop, side = package.manifest.crop, pipeline.embedder.side
        rows, found = [], []
        for photo in track(photos, description=f"{folder.name}, {split}"):
            image = Pyramid(read_photo(photo.path))
            dog = named_dog(pipeline, image)
            rows.append(pipeline.embedder([pictures_of(image, dog, crop, side)])[0])
            found.append(dog.dogs)
        embeddings, dogs = np.stack(rows), np.array(found, dtype=np.int64)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, embeddings=embeddings, dogs=dogs)
    return EmbeddedPhotos(
        embeddings=embeddings,
        labels=np.array([photo.dog for photo in photos]),
        groups=np.array([photo.group or photo.key for photo in photos]),
        sets=np.array([photo.set for photo in photos]),
        sessions=np.array([photo.session or "" for photo in photos]),
        dogs=dogs,
        times=np.full(len(photos), np.nan),
        keys=[photo.key for photo in photos],
    )
