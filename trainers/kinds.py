"""Photos by the kind of animal they show, those to train on and those held out.

A photo's folder says what it shows. Every tenth photo of the sources that train is held out by a hash of its name, as
in ``detector.prepare``; of the second source of cats a folder is, and of ImageNet's sample photos every one.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .data.duplicates import measuring_photos
from .data.identity import breed_photos, read_identities
from .data.seen import Seen
from .detector.prepare import draw, is_held_out, photos_under

log = logging.getLogger(__name__)
DOG, CAT, OTHER = KINDS = ("dogs", "cats", "other animals")
# The folder of cats shows dogs next to them; and who rejects wolves rejects huskies.
NO_OTHERS = frozenset({"dog", "cat", "wolf"})
# ImageNet's classes are sorted: animals, then things. Among the animals dogs, then wolves, dingo and other wild dogs.
WORDNET = re.compile(r"n(\d{8})_")
FIRST_DOG, FIRST_WILD_DOG, FIRST_FOX = 2085620, 2114367, 2117135
FIRST_CAT, FIRST_BIG_CAT, FIRST_THING = 2123045, 2125311, 2666196
SHOW_DOGS = frozenset({3218198, 2797295})  # dogsled and barrow: things with a dog beside them


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the public photos are; see ``trainers/README.md``."""

    breeds: Path = Path("datasets/stanford_dogs")
    cats_and_dogs: Path = Path("datasets/cats_and_dogs")
    cat_breeds: Path = Path("datasets/cat_breeds")
    other_animals: Path = Path("datasets/other_animals")
    imagenet_samples: Path = Path("datasets/imagenet_samples")


def training_photos(folders: Folders, counts: dict[str, int], data: Path, seed: int) -> dict[str, list[Path]]:
    """Photos to train on by kind, without those that are held out or measure, or look like one that is or does.

    Args:
        folders: of public photos.
        counts: photos drawn of each kind of ``KINDS``, at most; known dogs that train come on top.
        data: the shared data, whose ``train`` dogs are added.
        seed: of the draw.
    """
    random = np.random.default_rng(seed)
    pets = photos_under(folders.cats_and_dogs)
    found = {
        DOG: [file for file in pets if "cats" not in file.parts] + breed_photos(folders.breeds),
        CAT: [file for file in pets if "cats" in file.parts] + photos_under(folders.cat_breeds / "train"),
        OTHER: _others(folders.other_animals),
    }
    drawn = {
        kind: draw([file for file in files if not is_held_out(file)], counts[kind], random)
        for kind, files in found.items()
    }
    kept_out = [*measuring_photos(data), *(file for files in held_out_photos(folders).values() for file in files)]
    seen = Seen([*kept_out, *(file for files in drawn.values() for file in files)])
    photos = {}
    for kind, files in drawn.items():
        alike = {file for file, _ in seen.alike(files, kept_out)}
        photos[kind] = [file for file in files if file not in alike and file not in seen.unreadable]
        log.info("%s: %d photos, %d left out", kind, len(photos[kind]), len(files) - len(photos[kind]))
    photos[DOG] += [photo.file for photo in read_identities(data, "train")]
    return photos


def held_out_photos(folders: Folders, dogs: int = 300) -> dict[str, list[Path]]:
    """Photos that no stage was trained on, by kind and source; ``dogs`` of the dogs are drawn."""
    pets = [file for file in photos_under(folders.cats_and_dogs) if is_held_out(file)]
    samples = {
        int(found[1]): file for file in photos_under(folders.imagenet_samples) if (found := WORDNET.match(file.name))
    }
    return {
        DOG: draw([file for file in pets if "cats" not in file.parts], dogs, np.random.default_rng(1)),
        CAT: [file for file in pets if "cats" in file.parts],
        "cats, second source": photos_under(folders.cat_breeds / "test"),
        OTHER: [file for file in _others(folders.other_animals) if is_held_out(file)],
        "other animals, unseen source": [file for number, file in samples.items() if _is_other(number)],
        "wild dogs, unseen source": [file for number, file in samples.items() if FIRST_WILD_DOG <= number < FIRST_FOX],
        "cats, unseen source": [file for number, file in samples.items() if FIRST_CAT <= number < FIRST_BIG_CAT],
        "scenes, unseen source": [
            file for number, file in samples.items() if number >= FIRST_THING and number not in SHOW_DOGS
        ],
    }


def animal_of(file: Path) -> str:
    """What a held-out photo shows, by its folder or, of ImageNet's samples, by its name.

    >>> animal_of(Path("imagenet_samples/n02119022_red_fox.JPEG")), animal_of(Path("other_animals/bear/12.jpg"))
    ('red fox', 'bear')
    """
    named = WORDNET.match(file.name)
    return file.stem[named.end() :].replace("_", " ") if named else file.parent.name


def _others(folder: Path) -> list[Path]:
    return [file for file in photos_under(folder) if file.parent.name not in NO_OTHERS]


def _is_other(number: int) -> bool:
    """Whether an animal of ImageNet is neither dog nor wild dog nor house cat."""
    return number < FIRST_DOG or FIRST_FOX <= number < FIRST_CAT or FIRST_BIG_CAT <= number < FIRST_THING
