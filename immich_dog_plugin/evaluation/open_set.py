"""Open-set identification: photos of known dogs are to be named, photos of unknown dogs to be rejected.

The gallery holds photos of known dogs, one by one; a search finds the most similar of them and names its dog if the
cosine reaches the threshold. Every photo is searched twice: *mated*, in the gallery of all other photos, and *unmated*,
in the gallery without any photo of its dog, to which the dog is unknown. A photo's own group is in neither.

- DIR, detection and identification rate: share of the mated searches that reach the threshold **and** name the right
  dog (rank 1). Phillips, Grother and Micheals, "Evaluation methods in face recognition", Handbook of Face Recognition.
- FPIR, false positive identification rate: share of the unmated searches that reach the threshold (ISO/IEC 19795-1).
  It grows with the gallery: more known dogs, more chances of a look-alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .pairs import Counts, Floats, Pairs, equal


@dataclass(frozen=True, eq=False)
class Searches:
    """The best cosine of every search, and whose photo was searched.

    As ``pairs`` they are scores like any other: ``tar_at_far(pairs, 0.01)`` is the DIR at an FPIR of 1 %.

    Attributes:
        mated: the cosine that names the right dog, ``-inf`` where another dog is as near or nearer, ``(m,)``. A photo
            whose dog has no photo of another group has no mated search.
        genuine_dogs: the dog of each as a number from 0, ``(m,)``.
        unmated: the cosine of the nearest other dog, ``(u,)``.
        unmated_dogs: the dog of each, ``(u,)``.
        dogs: how many dogs there are.
    """

    mated: Floats
    genuine_dogs: Counts
    unmated: Floats
    unmated_dogs: Counts
    dogs: int

    @classmethod
    def of(cls, embeddings: Floats, labels: ArrayLike, groups: ArrayLike) -> Searches:
        """Search every photo; shapes as in ``pairs``. There are at least two dogs.

        >>> vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> found = Searches.of(vectors, ["rex", "rex", "bella"], ["a", "b", "c"])
        >>> found.mated, found.unmated
        (array([0.8, 0.8]), array([0. , 0.6, 0.6]))
        """
        names, dog = np.unique(np.asarray(labels), return_inverse=True)
        same_dog, same_group = equal(dog), equal(groups)
        similarity = embeddings @ embeddings.T
        own = np.where(same_dog & ~same_group, similarity, -np.inf).max(axis=1)
        other = np.where(~same_dog & ~same_group, similarity, -np.inf).max(axis=1)
        mated, unmated = np.isfinite(own), np.isfinite(other)
        return cls(
            mated=np.where(own > other, own, -np.inf)[mated],
            genuine_dogs=dog[mated],
            unmated=other[unmated],
            unmated_dogs=dog[unmated],
            dogs=len(names),
        )

    @property
    def pairs(self) -> Pairs:
        """Every search once: mated as genuine, unmated as impostor scores."""
        return Pairs(self.mated, self.unmated)

    def drawn(self, counts: Counts) -> Pairs:
        """The searches weighed by how often each dog was drawn; the gallery stays whole."""
        return Pairs(self.mated, self.unmated, counts[self.genuine_dogs], counts[self.unmated_dogs])
