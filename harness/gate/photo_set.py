"""Photos of known dogs with the limits that count for them: a folder of a user's, or the drawn dogs."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import drawn_dogs
from drawn_dogs.tree import NO_DOG, write_tree
from harness.gate.limits import Limits, default_limits, limits_of
from immich_dog_plugin.evaluation.photos import LabelledPhoto, read_labelled_photos

DRAWN = Path(__file__).parents[2] / "datasets" / "drawn_dogs"  # git-ignored
# Dogs, not photos, make an interval narrow: every dog there is, once in each of the four views.
DOGS, PHOTOS, SIZE = 24, 4, (400, 300)


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """What the gate is held against.

    Attributes:
        name: of the set, in results.
        photos: with their dogs.
        limits: that count for them.
        left_out: how many photos show no dog, or say not which.
    """

    name: str
    photos: Sequence[LabelledPhoto]
    limits: Limits
    left_out: int = 0


def read_photo_set(folder: Path, split: str | None = None) -> PhotoSet:
    """The photos of a folder, read as ``harness/README.md`` says, and its ``limits.toml``.

    Args:
        folder: a subfolder per dog, or an ``index.csv``.
        split: of the index.

    Raises:
        EvaluationError, PhotoError: the folder, its index or its limits cannot be read.
    """
    found = read_labelled_photos(folder, split)
    photos = [photo for photo in found.photos if photo.dog != NO_DOG]
    name = folder.resolve().name if split is None else f"{folder.resolve().name}-{split}"
    return PhotoSet(name, photos, limits_of(folder), found.without_dog_name + len(found.photos) - len(photos))


def drawn_photo_set(cache: Path = DRAWN) -> PhotoSet:
    """The drawn dogs, drawn now unless this drawing code has drawn them into ``cache`` before."""
    folder = cache / _drawing_digest()
    if not folder.is_dir():
        unfinished = cache / f".{folder.name}.{os.getpid()}"
        try:
            write_tree(unfinished, dogs=DOGS, photos=PHOTOS, scenes=0, size=SIZE)
            os.replace(unfinished, folder)
        except OSError:
            if not folder.is_dir():  # else another process has drawn the same meanwhile
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return PhotoSet("drawn-dogs", read_labelled_photos(folder).photos, default_limits("drawn"))


def _drawing_digest() -> str:
    """Of everything that decides what is drawn: another one is another folder."""
    digest = hashlib.sha256(repr((DOGS, PHOTOS, SIZE)).encode())
    for source in sorted(Path(drawn_dogs.__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
