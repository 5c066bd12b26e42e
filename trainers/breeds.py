"""How a package does by breed, on breed photos that it was not trained on: ``python -m trainers.breeds``.

A dog that is not found, or whose face is not seen, is a loss in any breed. Photos of one breed show different dogs, but
for a few that Stanford's collection shows twice: the more pairs of them reach the 'same dog' threshold, the worse the
package tells dogs of that breed apart. ``--record`` writes the figures into the manifest and the model card.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.evaluation.embedded import named_dog, pictures_of
from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from immich_dog_plugin.pyramid import Pyramid

from .data.entries import BREEDS, FOLDER, DataError, Entry, read_entries
from .data.found import FOUND, key, read_places
from .detector.prepare import DATASET, photos_under
from .export import PACKAGE, write_manifest
from .model_card import write_model_card
from .weaknesses import Breed, breeds_section


def main() -> None:
    """Measure every breed, print the worst, and record all on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, default=PACKAGE)
    parser.add_argument("--data", type=Path, default=FOLDER, help="lists of photos, made by python -m trainers.data")
    parser.add_argument("--found", type=Path, default=FOUND, help="the photos that the embedder learned from")
    parser.add_argument("--detector", type=Path, default=DATASET, help="the photos that the detector learned from")
    parser.add_argument("--photos", type=int, default=30, help="of each breed")
    parser.add_argument("--record", action="store_true", help="write the figures into manifest and model card")
    args = parser.parse_args()
    try:
        package = ModelPackage.open(args.package)
        trained = {key(file) for file in photos_under(args.detector / "images" / "train")} | set(
            read_places(args.found)
        )
        photos = unseen(read_entries(args.data / BREEDS), trained, args.photos)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error
    figures = measure(DogPipeline.open(package), package, photos)
    print(breeds_section(figures))
    if args.record:
        metrics = {**package.manifest.metrics, "breeds": figures}
        recorded = package.manifest.model_copy(update={"metrics": metrics})
        write_manifest(args.package, recorded)
        write_model_card(args.package, recorded)


def unseen(entries: Sequence[Entry], trained: set[str], count: int) -> dict[str, list[Path]]:
    """Of each breed ``count`` photos at random that are not among ``trained`` (keys of photos).

    Raises:
        DataError: there are none.
    """
    photos: dict[str, list[Path]] = defaultdict(list)
    for index in np.random.default_rng(1).permutation(len(entries)):
        entry = entries[index]
        if entry.breed_label and len(photos[entry.breed_label]) < count and key(entry.file_path) not in trained:
            photos[entry.breed_label].append(entry.file_path)
    chosen = {breed: photos[breed] for breed in sorted(photos) if photos[breed]}
    if not chosen:
        raise DataError("Every breed photo was trained on", "Look for dogs in fewer of them: --photos of find_dogs")
    return chosen


def measure(pipeline: DogPipeline, package: ModelPackage, photos: Mapping[str, Sequence[Path]]) -> dict[str, Breed]:
    """The figures of every breed."""
    figures: dict[str, Breed] = {}
    crop, side = package.manifest.crop, pipeline.embedder.side
    for breed in track(photos, description="Breeds"):
        embeddings, faces = [], 0
        for file in photos[breed]:
            photo = Pyramid(read_photo(file))
            dog = named_dog(pipeline, photo)
            if dog.dogs:
                faces += dog.keypoints is not None
                embeddings.append(pipeline.embedder([pictures_of(photo, dog, crop, side)])[0])
        pairs, accepted = alike(embeddings, package.manifest.thresholds.same_dog)
        figures[breed] = {
            "photos": len(photos[breed]),
            "found": len(embeddings),
            "faces": faces,
            "pairs": pairs,
            "accepted": accepted,
        }
    return figures


def alike(embeddings: Sequence[FloatArray], cosine: float) -> tuple[int, int]:
    """How many pairs there are, and how many of them reach ``cosine``.

    >>> alike([np.float32([1, 0]), np.float32([0.8, 0.6]), np.float32([0, 1])], 0.8)
    (3, 1)
    """
    if not embeddings:
        return 0, 0
    rows = np.stack(embeddings)
    cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    return len(cosines), int((cosines >= np.float32(cosine)).sum())


if __name__ == "__main__":
    main()
