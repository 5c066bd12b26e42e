"""A folder per dog, laid out as the data that trains and measures (``../shared/data``)."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from itertools import count, cycle
from pathlib import Path
from typing import Any

from rich.progress import track

from immich_dog_plugin.geometry import KEYPOINT_NAMES
from immich_dog_plugin.imaging import PHOTO_SUFFIXES, read_photo
from immich_dog_plugin.pipeline import Dog, DogPipeline

from ..data.landmarks import Split, split_of
from ..runs import TrainingError

NO_DOG = "no-dog"
BRED, VAL, TEST, TRAIN = 2, 4, 2, 2  # dogs; those beyond train too
SURE = 0.5  # of a point
SPLITS: tuple[Split, ...] = ("train", "val", "test", "train")


def lay_out(folder: Path, data: Path, pipeline: DogPipeline) -> None:
    """Lists and copies under ``data``; boxes and face points are what ``pipeline`` sees.

    Args:
        folder: a folder of photos per dog, and ``no-dog``.
        data: is made.
        pipeline: the teacher of the face points.

    Raises:
        TrainingError: there are too few dogs, or too few faces among them.
    """
    dogs = {path.name: photos(path) for path in sorted(folder.glob("*/")) if path.name != NO_DOG}
    if len(dogs) < BRED + VAL + TEST + TRAIN:
        raise TrainingError(
            f"{folder} holds {len(dogs)} dogs where {BRED + VAL + TEST + TRAIN} are needed",
            "Draw some: python -m drawn_dogs FOLDER --dogs 10 --photos 4",
        )
    names = iter(dogs)
    bred, val, test = ([next(names) for _ in range(number)] for number in (BRED, VAL, TEST))
    train = list(names)
    identities(data / "identity", {"val": val, "test": test, "train": train}, dogs)
    breeds(data, bred, dogs)
    for file in photos(folder / NO_DOG):
        copied(file, data / "negatives" / "misc" / file.name)
    for dog in test:
        copied(dogs[dog][0], data / "photos" / "home_dogs" / f"{dog}.jpg")
    landmarks(data / "keypoints", [file for dog in (*val, *train) for file in dogs[dog]], pipeline)


def photos(folder: Path) -> list[Path]:
    """The photos of a folder, in order."""
    return [file for file in sorted(folder.glob("*")) if file.suffix.lower() in PHOTO_SUFFIXES]


def copied(file: Path, copy: Path) -> Path:
    """``copy`` of a file: an index may name no photo that lies elsewhere, be it by a link."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)
    return copy


def identities(folder: Path, splits: Mapping[str, Sequence[str]], dogs: Mapping[str, Sequence[Path]]) -> None:
    """``index.csv``. The set has the name of the one whose dogs were seen on many days, at which the choice looks."""
    rows = []
    for split, names in splits.items():
        for dog in names:
            for file in dogs[dog]:
                name = f"stdove/{dog}/{file.name}"
                copied(file, folder / name)
                group = f"{dog}_{file.stem}"
                rows.append(
                    {"split": split, "set": "stdove", "dog": f"stdove/{dog}", "file": name, "source_group": group}
                )
    write_table(folder / "index.csv", rows)


def breeds(data: Path, names: Sequence[str], dogs: Mapping[str, Sequence[Path]]) -> None:
    """``breeds.csv``: dogs of which only the breed is known. Here each is a breed of its own."""
    rows = []
    for dog in names:
        for file in dogs[dog]:
            name = f"breeds/{dog}/{file.name}"
            copied(file, data / name)
            rows.append({"file": name, "dog": "", "breed": dog, "split": "train"})
    write_table(data / "breeds.csv", rows)


def landmarks(folder: Path, files: Sequence[Path], pipeline: DogPipeline) -> None:
    """``faye/annotations.json`` and ``beagle_faces/annotations.json``, with dogs in every split of both."""
    seen = [(file, dogs[0]) for file in track(files, "Face points") if (dogs := pipeline(read_photo(file)))]
    faces = [(file, dog) for file, dog in seen if dog.keypoints is not None]
    if len(faces) < len(SPLITS):
        raise TrainingError(
            f"The shipped model sees {len(faces)} faces in {len(files)} photos, {len(SPLITS)} are needed",
            "Give more photos that show a dog from the front",
        )
    hidden = [(file, dog) for file, dog in seen if dog.keypoints is None]
    for source, box, groups in (("faye", "boxes", (faces, hidden)), ("beagle_faces", "face_box", (faces,))):
        entries = []
        for group in groups:
            for (file, dog), split in zip(group, cycle(SPLITS), strict=False):
                name = named(file, split)
                copied(file, folder / source / "images" / name)
                corners = dog.box.tolist()
                entries.append(
                    {"image": name, box: [corners] if box == "boxes" else corners, "keypoints": points_of(dog)}
                )
        (folder / source / "annotations.json").write_text(json.dumps(entries))


def named(file: Path, split: Split) -> str:
    """A name for the photo by which it falls into ``split``."""
    names = (f"{file.parent.name}_{file.stem}_{number}{file.suffix}" for number in count())
    return next(name for name in names if split_of(name) == split)


def points_of(dog: Dog) -> dict[str, list[float]]:
    """The points that the teacher is sure of, by name, in pixels of the photo."""
    if dog.keypoints is None:
        return {}
    found = zip(KEYPOINT_NAMES, dog.keypoints.tolist(), strict=True)
    return {name: [x, y] for name, (x, y, score) in found if score >= SURE}


def write_table(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A CSV with the keys of the first row as its columns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
