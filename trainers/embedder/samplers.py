"""Which photos meet in a batch: lists of indices, one list per step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from pytorch_metric_learning.samplers import MPerClassSampler

from immich_dog_plugin.geometry import FloatArray

from ..runs import TrainingError

LOOK_ALIKES = 4  # dogs that go together into a batch


def per_class_batches(labels: Sequence[int], classes: int, photos: int, steps: int) -> list[list[int]]:
    """``steps`` batches of ``classes`` classes at random with ``photos`` photos each (P x K).

    Drawn from NumPy's global generator, like the library does; a class with fewer photos gives some twice.

    Raises:
        TrainingError: there are fewer classes.
    """
    _require(labels, classes)
    size = classes * photos
    indices = list(MPerClassSampler(list(labels), photos, size, size * steps))
    return [indices[start : start + size] for start in range(0, size * steps, size)]


def look_alike_batches(
    labels: Sequence[int],
    groups: Sequence[Hashable],
    breeds: Sequence[Hashable | None],
    centres: FloatArray,
    dogs: int,
    photos: int,
    steps: int,
) -> list[list[int]]:
    """As ``per_class_batches``, but the dogs of a batch come as fours that are hard to tell apart.

    The photos of a dog are taken from different encounters as far as it has some: two of one are close anyway.

    Args:
        labels: which dog, per photo: 0 to n - 1.
        groups: which encounter or original picture, per photo.
        breeds: per photo, None where unknown.
        centres: ``(n, d)`` unit vectors, where each dog's embeddings lie.
        dogs: per batch.
        photos: per dog.
        steps: how many batches.

    Raises:
        TrainingError: there are fewer dogs.
    """
    _require(labels, dogs)
    random = np.random.default_rng(np.random.randint(2**31))
    photos_of = [np.flatnonzero(np.asarray(labels) == dog) for dog in range(len(centres))]
    breed_of = [breeds[own[0]] if len(own) else None for own in photos_of]
    there = [dog for dog, own in enumerate(photos_of) if len(own)]
    batches = []
    for _ in range(steps):
        chosen: list[int] = []
        for anchor in random.permutation(there):
            if len(chosen) == dogs:
                break
            if anchor not in chosen:
                group = [int(anchor), *look_alikes(int(anchor), breed_of, centres, random)]
                chosen += [dog for dog in group if dog not in chosen][: min(LOOK_ALIKES, dogs - len(chosen))]
        batches.append([int(index) for dog in chosen for index in drawn(photos_of[dog], groups, photos, random)])
    return batches


def look_alikes(
    dog: int, breeds: Sequence[Hashable | None], centres: FloatArray, random: np.random.Generator
) -> list[int]:
    """The other dogs, the hardest to tell from ``dog`` first.

    Dogs of its breed in random order, where its breed is known; then the others by the cosine of their centres.

    >>> centres = np.eye(4)[[0, 0, 1, 2]] + 0.1
    >>> look_alikes(0, ["pug", None, None, "pug"], centres, np.random.default_rng(0))
    [3, 1, 2]
    """
    nearest = [int(other) for other in np.argsort(-(centres @ centres[dog]), kind="stable") if other != dog]
    same = [other for other in nearest if breeds[dog] is not None and breeds[other] == breeds[dog]]
    random.shuffle(same)
    return same + [other for other in nearest if other not in same]


def drawn(
    indices: NDArray[np.int64], groups: Sequence[Hashable], count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """``count`` of ``indices`` at random, first one of each group, then a second; all again where there are fewer."""
    shuffled = random.permutation(indices)
    taken: Counter[Hashable] = Counter()
    turns = []
    for index in shuffled:
        turns.append(taken[groups[index]])
        taken[groups[index]] += 1
    return np.resize(shuffled[np.argsort(turns, kind="stable")], count)


def _require(labels: Sequence[int], classes: int) -> None:
    there = len(set(labels))
    if there < classes:
        raise TrainingError(
            f"A batch asks for {classes} dogs or breeds, and the training photos show {there}",
            "Ask for fewer with --dogs (of breed photos: --views), or add photos",
        )
