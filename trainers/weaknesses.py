"""Where a package is weak: the sets on which it errs most, the dogs that it confuses most, and the breeds."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict

import numpy as np

from immich_dog_plugin.evaluation.embedded import EmbeddedPhotos
from immich_dog_plugin.evaluation.evaluate import ALL, Evaluation
from immich_dog_plugin.evaluation.pairs import DogPairs

MOST = 5
BREEDS_PROTOCOL = (
    "Breed photos (Stanford Dogs, 224 pixels, squashed) that no stage was trained on, at the manifest's thresholds. "
    "'Taken for one dog': of all pairs of photos of the breed, those that reach the 'same dog' threshold; a few do "
    "show one dog twice."
)


class ConfusedDogs(TypedDict):
    """Two dogs that are taken for one; they are not named, for photos and names may be private.

    Keys:
        sets: of both dogs.
        breeds: of both dogs, where known.
        accepted: how many pairs of their photos reach the threshold, of ``pairs``.
    """

    sets: list[str]
    breeds: list[str | None]
    accepted: int
    pairs: int


class Confusions(TypedDict):
    """Different dogs taken for one at a threshold.

    Keys:
        accepted: pairs of photos of different dogs that reach it.
        dog_pairs: how many pairs of dogs these belong to.
        most: the pairs of dogs with most of them.
        dogs, dogs_of_known_breed: how many dogs there are.
    """

    accepted: int
    dog_pairs: int
    most: list[ConfusedDogs]
    dogs: int
    dogs_of_known_breed: int


class Breed(TypedDict):
    """Figures of one breed.

    Keys:
        photos: looked at.
        found: of them, those in which a dog is detected.
        faces: of them, those in which its face is seen too.
        pairs: of two found dogs.
        accepted: of these, those whose cosine reaches the threshold.
    """

    photos: int
    found: int
    faces: int
    pairs: int
    accepted: int


SHARES: dict[str, Callable[[Breed], float]] = {
    "not found": lambda breed: 1 - breed["found"] / breed["photos"],
    "no face seen": lambda breed: 1 - breed["faces"] / max(1, breed["found"]),
    "taken for one dog": lambda breed: breed["accepted"] / max(1, breed["pairs"]),
}


def confusions(photos: EmbeddedPhotos, cosine: float, breeds: dict[str, str]) -> Confusions:
    """The pairs of dogs whose photos reach ``cosine`` most often; ``breeds`` by the dogs' names, as far as known."""
    pairs = DogPairs.of(photos.embeddings, photos.labels, photos.groups)
    names = np.unique(photos.labels).tolist()
    set_of = dict(zip(photos.labels.tolist(), photos.sets.tolist(), strict=True))
    dogs = np.sort(pairs.impostor_dogs, axis=0)
    every, counts = np.unique(dogs, axis=1, return_counts=True)
    reached, accepted = np.unique(dogs[:, pairs.impostor >= cosine], axis=1, return_counts=True)
    total = {(first, second): count for first, second, count in zip(*every.tolist(), counts.tolist(), strict=True)}
    most: list[ConfusedDogs] = []
    for index in np.argsort(-accepted, kind="stable")[:MOST]:
        first, second = reached[:, index].tolist()
        two = (names[first], names[second])
        most.append(
            {
                "sets": [set_of[name] for name in two],
                "breeds": [breeds.get(name) for name in two],
                "accepted": int(accepted[index]),
                "pairs": total[first, second],
            }
        )
    return {
        "accepted": int(accepted.sum()),
        "dog_pairs": len(accepted),
        "most": most,
        "dogs": len(names),
        "dogs_of_known_breed": sum(name in breeds for name in names),
    }


def breeds_of(index: Path) -> dict[str, str]:
    """Breeds by dog, of an index of photos; empty where it has no column ``breed``."""
    with index.open(newline="", encoding="utf-8-sig") as file:
        return {row["dog"]: row["breed"] for row in csv.DictReader(file) if row.get("breed")}


def weaknesses_section(evaluation: Evaluation, found: Confusions) -> str:
    """Markdown: sets from the worst on, and the dogs that are confused most."""
    sets = {name: figures for name, figures in evaluation.sets.items() if name != ALL}
    worst = sorted(sets, key=lambda name: sets[name].eer.value, reverse=True)
    parts = []
    if worst:
        lines = [f"- {name}, {sets[name].dogs} dogs: {sets[name].eer}" for name in worst]
        parts.append("Sets from the worst on, by equal error rate with its 95 % interval:\n\n" + "\n".join(lines))
    parts.append(
        f"At the 'same dog' threshold {found['accepted']} pairs of photos of different dogs are accepted; they belong "
        f"to {found['dog_pairs']} pairs of dogs."
    )
    if found["most"]:
        rows = [
            f"| {' and '.join(pair['sets'])} | {' and '.join(breed or 'not known' for breed in pair['breeds'])} "
            f"| {pair['accepted']} of {pair['pairs']} |"
            for pair in found["most"]
        ]
        parts.append("\n".join(["| two dogs of | breeds | pairs accepted |", "|---|---|---|", *rows]))
    known, dogs = found["dogs_of_known_breed"], found["dogs"]
    if known < dogs:
        parts.append(
            f"The breed of {known} of these {dogs} dogs is known: which breeds are confused most was not measured."
            if not known
            else f"The breed of only {known} of these {dogs} dogs is known."
        )
    return "\n\n".join(parts)


def breeds_section(figures: Mapping[str, Breed]) -> str:
    """Markdown: all breeds together, and the worst by each figure."""
    together: Breed = {"photos": 0, "found": 0, "faces": 0, "pairs": 0, "accepted": 0}
    for breed in figures.values():
        together = {part: together[part] + breed[part] for part in together}  # type: ignore[literal-required,assignment]
    rows = ["| | all breeds | worst breeds |", "|---|---|---|"]
    for name, of in SHARES.items():
        worst = sorted(figures, key=lambda breed: of(figures[breed]), reverse=True)[:MOST]
        cells = ", ".join(f"{breed} {of(figures[breed]):.0%}" for breed in worst)
        rows.append(f"| {name} | {of(together):.1%} | {cells} |")
    return f"{BREEDS_PROTOCOL} {together['photos']} photos of {len(figures)} breeds.\n\n" + "\n".join(rows)
