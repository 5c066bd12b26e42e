"""Where each exponent of the people mode puts ``same_dog``, measured on validation dogs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from immich_dog_plugin.evaluation.pairs import DogPairs, Floats
from immich_dog_plugin.people_map import PeopleMap, signed_power

from .runs import TrainingError

EXPONENTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)  # below, what little a coordinate says is mostly its sign
MIN_ACCEPTED = 30  # pairs of different dogs that the threshold takes for one


def measure_people_map(embeddings: Floats, labels: ArrayLike, groups: ArrayLike, same_dog: float) -> PeopleMap:
    """The distance that stands for ``same_dog`` after each exponent.

    At it as many pairs of different dogs are taken for one as at the threshold itself, because what Immich merges
    wrongly a user has to take apart by hand.

    Args:
        embeddings: ``(n, d)`` unit rows.
        labels: ``(n,)``, which dog.
        groups: ``(n,)``, which original photo; two cuts of one are no pair.
        same_dog: the package's threshold.

    Raises:
        EvaluationError: there is no pair of one dog, or none of two dogs.
        TrainingError: too few pairs of different dogs reach the threshold.
    """
    pairs = DogPairs.of(embeddings, labels, groups)
    accepted = int((pairs.impostor >= same_dog).sum())
    if not MIN_ACCEPTED <= accepted < len(pairs.impostor):
        raise TrainingError(
            f"{accepted} of {len(pairs.impostor)} pairs of different validation dogs reach same_dog ({same_dog:.4f})",
            f"The people mode is measured on {MIN_ACCEPTED} at least, and not on all: give more photos",
        )
    first, second = pairs.impostor_photos
    distances = []
    for exponent in EXPONENTS:
        mapped = signed_power(np.asarray(embeddings, dtype=np.float32), exponent).astype(np.float64)
        distance = np.sort(1 - np.sum(mapped[first] * mapped[second], axis=1))
        distances.append(round(float(distance[accepted - 1 : accepted + 1].mean()), 4))
    return PeopleMap(
        exponents=EXPONENTS,
        distances=tuple(distances),
        source=f"{len(pairs.impostor)} pairs of different validation dogs, of which same_dog ({same_dog:.4f}) takes "
        f"{accepted} for one",
    )


def people_section(people: PeopleMap) -> str:
    """The table as Markdown."""
    title = f"Cosine distance of `same_dog` after the signed power of the people mode, measured on {people.source}:"
    rows = [f"| {q:g} | {d:.3f} |" for q, d in zip(people.exponents, people.distances, strict=True)]
    return "\n".join([title, "", "| exponent | distance |", "|---|---|", *rows])
