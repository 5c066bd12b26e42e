"""Dogs into groups, one group a dog, without labels.

Two steps, both average linkage. Dogs whose mean cosine is well over the threshold make cores; then cores and left-over
dogs are united while the centroids of what is united reach the threshold: a centroid of several photos lies nearer to
the dog than any of them, so what one photo cannot tell, a core can. Two dogs of one photo never share a group.

``python -m harness.groupings`` compares it with other ways of grouping on photos of known dogs, and chose it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry import FloatArray
from .neighbours import IndexArray

Labels = NDArray[np.int64]  # (n,): group of each dog, 0 is the largest; UNGROUPED
UNGROUPED = -1
CORE_MARGIN = 0.04  # of a core's mean cosine over ``same_dog``

_BLOCK_ROWS = 256


def group(embeddings: FloatArray, photos: IndexArray, same_dog: float, core_margin: float = CORE_MARGIN) -> Labels:
    """Group dogs by their embeddings.

    Args:
        embeddings: ``(n, dimension)`` of unit length.
        photos: ``(n,)``, the photo of each.
        same_dog: cosine from which two centroids count as the same dog.
        core_margin: by how much more the mean cosine of a core's dogs is.
    """
    if len(embeddings) < 2:
        return np.full(len(embeddings), UNGROUPED, dtype=np.int64)
    one, other = _pairs_of_one_photo(photos)
    cores = average_linkage(embeddings, one, other, same_dog + core_margin)
    centroids = np.zeros((cores.max() + 1, embeddings.shape[1]), dtype=np.float32)
    np.add.at(centroids, cores, embeddings)
    # Dogs that cancel each other out have no centroid, and are united only under a threshold that takes anything.
    centroids /= np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return _by_size(average_linkage(centroids, cores[one], cores[other], same_dog)[cores])


def average_linkage(vectors: FloatArray, one: IndexArray, other: IndexArray, cosine: float) -> Labels:
    """Clusters ``(n,)``, numbered from 0: units are united while the mean cosine of all their pairs is >= ``cosine``.

    The partition of ``scipy.cluster.hierarchy.linkage(…, "average")``, which needs all ``n (n - 1) / 2`` distances as
    float64, and a copy: 8 GB for 32,000 dogs, where blocks of rows are enough. Uniting all pairs that are each other's
    nearest at once gives the same tree as one pair at a time (average linkage is reducible; Murtagh, A survey of recent
    advances in hierarchical clustering algorithms, The Computer Journal 26, 1983) in few rounds.

    Args:
        vectors: ``(n, d)`` of unit length.
        one, other: ``(m,)`` rows, all ordered pairs that are never in one cluster.
        cosine: least mean cosine.
    """
    unit = np.arange(len(vectors))
    while True:
        _, unit = np.unique(unit, return_inverse=True)
        sizes = np.bincount(unit)
        means = np.zeros((len(sizes), vectors.shape[1]), dtype=np.float32)
        np.add.at(means, unit, vectors)
        means /= sizes[:, None]
        nearest = np.empty(len(sizes), dtype=np.int64)
        similarity = np.empty(len(sizes), dtype=np.float32)
        for start in range(0, len(sizes), _BLOCK_ROWS):
            rows = np.arange(start, min(start + _BLOCK_ROWS, len(sizes)))
            # The dot product of two means is the mean cosine of all pairs between the two units.
            cosines = means[rows] @ means.T
            cosines[rows - start, rows] = -np.inf
            here = (unit[one] >= start) & (unit[one] < start + _BLOCK_ROWS)
            cosines[unit[one[here]] - start, unit[other[here]]] = -np.inf
            nearest[rows] = cosines.argmax(axis=1)
            similarity[rows] = cosines.max(axis=1)
        first = np.arange(len(sizes))
        united = (nearest[nearest] == first) & (first < nearest) & (similarity >= cosine)
        if not united.any():
            return unit
        target = first.copy()
        target[nearest[united]] = first[united]
        unit = target[unit]


def _pairs_of_one_photo(photos: IndexArray) -> tuple[IndexArray, IndexArray]:
    """All ordered pairs of rows whose dogs are in one photo."""
    order = np.argsort(photos, kind="stable")
    _, counts = np.unique(photos, return_counts=True)
    pairs = [
        (one, other)
        for rows in np.split(order, np.cumsum(counts)[:-1])
        if len(rows) > 1
        for one in rows
        for other in rows
        if one != other
    ]
    one, other = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return one, other


def _by_size(unit: Labels) -> Labels:
    """Number the units of two dogs and more, the largest first (of equals the one that comes first)."""
    _, first, unit, sizes = np.unique(unit, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    number = np.empty(len(sizes), dtype=np.int64)
    number[order] = np.arange(len(sizes))
    return np.where(sizes[unit] > 1, number[unit], UNGROUPED)
