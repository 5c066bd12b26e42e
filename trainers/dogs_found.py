"""Photos of known dogs through the detector and the keypoints, once, so that many crops of them can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.progress import track

from immich_dog_plugin.evaluation.embedded import NamedDog, named_dog, pictures_of
from immich_dog_plugin.evaluation.metrics import verification_figures
from immich_dog_plugin.geometry import FloatArray, ImageArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.manifest import CropSpec
from immich_dog_plugin.pipeline import DogPipeline
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.embedder import Pictures

from .data.identity import IdentityPhoto

BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class FoundDog:
    """A photo of one known dog and where it is."""

    photo: IdentityPhoto
    image: ImageArray
    named: NamedDog


def find_dogs(pipeline: DogPipeline, photos: Sequence[IdentityPhoto]) -> list[FoundDog]:
    """The named dog of every photo with its face, if one is visible."""
    dogs = []
    for photo in track(photos, description="Detector and keypoints"):
        image = read_photo(photo.file)
        dogs.append(FoundDog(photo, image, named_dog(pipeline, Pyramid(image))))
    return dogs


def embed(pipeline: DogPipeline, dogs: Sequence[FoundDog], crop: CropSpec | None) -> FloatArray:
    """One embedding per dog ``(n, 512)``, cut by the pipeline's own code; ``crop=None`` embeds the whole photo."""
    embeddings = []
    for start in track(range(0, len(dogs), BATCH), description="Embedder"):
        batch = dogs[start : start + BATCH]
        embeddings.append(pipeline.embedder([cuts_of(dog, crop, pipeline.embedder.side) for dog in batch]))
    return np.concatenate(embeddings)


def cuts_of(dog: FoundDog, crop: CropSpec | None, side: int) -> Pictures:
    """What is embedded of a dog; ``crop=None``: the whole photo."""
    return (dog.image,) if crop is None else pictures_of(Pyramid(dog.image), dog.named, crop, side)


def figures_by_set(embeddings: FloatArray, photos: Sequence[IdentityPhoto]) -> Mapping[str, dict[str, Any]]:
    """Verification figures over all photos and over those of each set with at least two dogs."""
    sets = np.array([photo.set for photo in photos])
    labels = np.array([photo.dog for photo in photos])
    groups = np.array([photo.group for photo in photos])
    chosen = {"all": np.ones(len(photos), dtype=bool)} | {name: sets == name for name in sorted(set(sets.tolist()))}
    return {
        name: verification_figures(embeddings[mask], labels[mask], groups[mask])
        for name, mask in chosen.items()
        if len(np.unique(labels[mask])) > 1
    }


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Figures as Markdown, one row per name."""
    columns = ("auc", "eer", "tar_at_1_percent", "tar_at_01_percent", "top_1")
    lines = ["| | dogs | photos | AUC | EER | TAR@1% | TAR@0.1% | top-1 |", "|---|---|---|---|---|---|---|---|"]
    for name, figures in rows.items():
        cells = ["n/a" if figures[key] is None else f"{figures[key]:.3f}" for key in columns]
        lines.append(f"| {name} | {figures['dogs']} | {figures['photos']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
