"""Dogs into groups, one group a dog, without labels.

Three steps: scikit-learn finds cores; a core loses members that are not similar enough to the rest of it; cores and
left-over dogs are united while their mean cosine says "same dog". Two dogs of one photo never share a group.

HDBSCAN alone needs several clusters to see any: it breaks the only dog of a family into pieces, and takes strangers
for one more dog. Measured on the validation dogs (the first release's embedder, whole crops, the threshold that 0.5 %
of the pairs of different dogs reach), the share of dogs that have most of their photos in one group of their own: of
all 29 dogs 0.72 by HDBSCAN alone, 0.90 by the three steps; of homes with one, two, three or five dogs and twice as many
strangers 0.38, 0.61, 0.60, 0.72 alone, 0.97, 0.98, 0.94, 0.95 by the three steps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPackageError
from ..geometry import FloatArray
from .neighbours import IndexArray

Labels = NDArray[np.int64]  # (n,): group of each dog, 0 is the largest; UNGROUPED
UNGROUPED = -1

_BLOCK_ROWS = 256


def group(embeddings: FloatArray, photos: IndexArray, method: str, same_dog: float) -> Labels:
    """Group dogs by their embeddings.

    Args:
        embeddings: ``(n, dimension)`` of unit length.
        photos: ``(n,)``, the photo of each.
        method: a key of ``METHODS``.
        same_dog: cosine from which two dogs count as the same.
    """
    if len(embeddings) < 2:
        return np.full(len(embeddings), UNGROUPED, dtype=np.int64)
    cores = METHODS[method](embeddings, same_dog)
    for label in np.unique(cores[cores != UNGROUPED]):
        members = np.flatnonzero(cores == label)
        cores[np.setdiff1d(members, _coherent(embeddings, photos, members, same_dog))] = UNGROUPED
    return _by_size(_unite(embeddings, photos, cores, same_dog))


def _hdbscan(embeddings: FloatArray, same_dog: float) -> Labels:
    """Cores of two dogs and more. On unit vectors the Euclidean distance orders pairs as the cosine does."""
    from sklearn.cluster import HDBSCAN

    # cluster_selection_epsilon would be the library's own way to use the threshold; it fails with NumPy 2.4
    # (scikit-learn issue 33219).
    found = HDBSCAN(min_cluster_size=2, min_samples=1, copy=True).fit_predict(embeddings)
    # HDBSCAN marks noise by -1 and rows that are not finite by -2 and -3; the embedder lets none of those through.
    return np.asarray(found, dtype=np.int64)


def _dbscan(embeddings: FloatArray, same_dog: float) -> Labels:
    """Cores linked by pairs over the threshold: for unit vectors a cosine ``t`` is the distance ``sqrt(2 - 2 t)``."""
    from sklearn.cluster import DBSCAN

    radius = float(np.sqrt(max(2 - 2 * same_dog, 1e-6)))
    return np.asarray(DBSCAN(eps=radius, min_samples=2).fit_predict(embeddings), dtype=np.int64)


METHODS: dict[str, Callable[[FloatArray, float], Labels]] = {"hdbscan": _hdbscan, "dbscan": _dbscan}


def require_clustering() -> None:
    """Raises MissingPackageError: scikit-learn is not installed."""
    try:
        import sklearn.cluster  # noqa: F401
    except ImportError as error:
        raise MissingPackageError("scikit-learn", "Grouping dogs") from error


def _coherent(embeddings: FloatArray, photos: IndexArray, members: IndexArray, same_dog: float) -> IndexArray:
    """The members that stay when the least similar goes until each has a mean cosine >= ``same_dog`` to the others.

    Of two members in one photo the less similar goes in any case.
    """
    while len(members) > 1:
        rows = embeddings[members]
        means = (rows @ rows.sum(axis=0) - 1) / (len(members) - 1)  # a row's cosine with itself is the 1
        _, photo_of, count = np.unique(photos[members], return_inverse=True, return_counts=True)
        shares_photo = count[photo_of] > 1
        candidates = np.flatnonzero(shares_photo) if shares_photo.any() else np.arange(len(members))
        worst = candidates[means[candidates].argmin()]
        if means[worst] >= same_dog and not shares_photo.any():
            break
        members = np.delete(members, worst)
    return members


def _unite(embeddings: FloatArray, photos: IndexArray, cores: Labels, same_dog: float) -> Labels:
    """Average linkage: unite cores and single dogs while the mean cosine of all their pairs is >= ``same_dog``.

    Uniting all pairs that are each other's nearest at once gives the same tree as one pair at a time (average linkage
    is reducible) in few rounds, and needs no matrix of all distances.
    """
    one, other = _pairs_of_one_photo(photos)
    unit = cores.copy()
    single = unit == UNGROUPED
    unit[single] = unit.max() + 1 + np.arange(single.sum())
    while True:
        _, unit = np.unique(unit, return_inverse=True)
        sizes = np.bincount(unit)
        means = np.zeros((len(sizes), embeddings.shape[1]), dtype=np.float32)
        np.add.at(means, unit, embeddings)
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
        united = (nearest[nearest] == first) & (first < nearest) & (similarity >= same_dog)
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
