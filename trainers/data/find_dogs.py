"""Find the dogs in the photos that train and choose: ``python -m trainers.data.find_dogs``.

Detector and keypoints of a package look at every photo of the lists once, so that training shows the embedder what
service will: the dog as it is cut out, and its face. The same command continues where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.progress import track

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.evaluation.embedded import named_dog
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from immich_dog_plugin.pyramid import Pyramid

from .entries import BREEDS, FOLDER, TRAIN, VAL, read_entries
from .found import FOUND, Place, key, read_places, write_places

SAVED_EVERY = 1000  # photos


def main() -> None:
    """Look at the photos that were not looked at yet, and print how many show a dog and a face."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER, help="lists of photos, made by python -m trainers.data")
    parser.add_argument("--photos", type=int, help="only so many of those of breeds, drawn at random")
    parser.add_argument("--package", default=DEFAULT_PACKAGE, help="whose detector and keypoints look")
    parser.add_argument("--found", type=Path, default=FOUND, help="where the places go")
    args = parser.parse_args()
    try:
        pipeline = DogPipeline.open(ModelPackage.open(args.package))
        places = read_places(args.found) if args.found.is_file() else {}
        bred = read_entries(args.data / BREEDS)
        drawn = [bred[index] for index in np.random.default_rng(1).permutation(len(bred))[: args.photos]]
        entries = [*read_entries(args.data / TRAIN), *read_entries(args.data / VAL), *drawn]
        photos = {key(entry.file_path): entry.file_path for entry in entries}
        look(pipeline, photos, places, args.found)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error
    looked_at = [places[name] for name in photos]
    print(
        f"{args.found}: {len(looked_at)} photos, a dog in {sum(place.box is not None for place in looked_at)}, "
        f"its face in {sum(place.face is not None for place in looked_at)}"
    )


def look(pipeline: DogPipeline, photos: Mapping[str, Path], places: dict[str, Place], file: Path) -> None:
    """Add where the dog is in each of ``photos``, by key, that ``places`` lacks, and keep all in ``file``."""
    missing = [(name, photo) for name, photo in photos.items() if name not in places]
    for count, (name, photo) in enumerate(track(missing, description="Dogs"), start=1):
        places[name] = seen(pipeline, photo)
        if count % SAVED_EVERY == 0:
            write_places(file, places)
    write_places(file, places)


def seen(pipeline: DogPipeline, photo: Path) -> Place:
    """Where the dog is that a photo is taken to mean."""
    dog = named_dog(pipeline, Pyramid(read_photo(photo)))
    box = [round(float(edge), 1) for edge in dog.box] if dog.dogs else None
    face = None if dog.keypoints is None else [[round(float(x), 3) for x in point] for point in dog.keypoints]
    return Place.model_validate({"box": box, "face": face})


if __name__ == "__main__":
    main()
