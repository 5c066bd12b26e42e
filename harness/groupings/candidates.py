"""The ways of grouping that are compared, each of a library's own, over cosines around the package's threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.cluster import hierarchy
from sklearn.cluster import HDBSCAN

from immich_dog_plugin.evaluation.embedded import Texts
from immich_dog_plugin.evaluation.pairs import Counts, Floats
from immich_dog_plugin.identify.grouping import UNGROUPED, group

# Of a cosine from the package's same_dog.
OFFSETS = (-0.12, -0.08, -0.06, -0.04, -0.02, 0.0, 0.02)
CORES = (-0.02, 0.0, 0.02, 0.04, 0.06)
CENTROIDS = (-0.02, 0.0, 0.02, 0.04)
WITHIN_DAYS = (-0.08, -0.04, 0.0, 0.04)
ACROSS_DAYS = (-0.02, 0.0)

Method = Callable[[Floats, Texts], Counts]  # embeddings (n, d), days (n,) to groups (n,)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way of grouping.

    Attributes:
        name: what it is.
        cosines: its thresholds.
        method: embeddings ``(n, d)`` and days ``(n,)`` to groups ``(n,)``, ``UNGROUPED`` where there is none.
        days: whether it asks on which day a photo was taken.
    """

    name: str
    cosines: tuple[float, ...]
    method: Method
    days: bool = False


def candidates(same_dog: float) -> list[Candidate]:
    """All of them for a package whose dogs are the same from the cosine ``same_dog`` on; the shipped way first."""
    found = [Candidate("as shipped", (), lambda embeddings, days: _shipped(embeddings, same_dog))]
    for linkage in ("average", "complete", "single"):
        # DBSCAN with two samples is single linkage.
        name = f"{linkage} linkage" + " (DBSCAN)" * (linkage == "single")
        found += [Candidate(name, (cosine,), _agglomerative(linkage, cosine)) for cosine in _around(same_dog, OFFSETS)]
    found.append(Candidate("HDBSCAN", (), _hdbscan))
    for cosine in _around(same_dog, OFFSETS[2:]):
        found.append(Candidate("label propagation", (cosine,), _label_propagation(cosine)))
    for first in _around(same_dog, CORES):
        for then in _around(same_dog, CENTROIDS):
            found.append(Candidate("cores, then centroids", (first, then), _centroids(first, then, by_days=False)))
    for within in _around(same_dog, WITHIN_DAYS):
        for across in _around(same_dog, ACROSS_DAYS):
            found.append(Candidate("days, then average linkage", (within, across), _days(within, across), days=True))
        for across in _around(same_dog, ACROSS_DAYS):
            method = _centroids(within, across, by_days=True)
            found.append(Candidate("days, then centroids", (within, across), method, days=True))
    return found


def _around(same_dog: float, offsets: tuple[float, ...]) -> list[float]:
    return [same_dog + offset for offset in offsets]


def _shipped(embeddings: Floats, same_dog: float) -> Counts:
    """Each dog in a photo of its own."""
    return group(embeddings.astype(np.float32), np.arange(len(embeddings)), same_dog)


def _distances(embeddings: Floats) -> Floats:
    return np.clip(1 - embeddings.astype(np.float64) @ embeddings.T.astype(np.float64), 0, 2)


def _linked(distances: Floats, linkage: str, cosine: float) -> Counts:
    tree = hierarchy.linkage(distances[np.triu_indices(len(distances), 1)], linkage)
    return np.asarray(hierarchy.fcluster(tree, 1 - cosine, "distance"), dtype=np.int64) - 1


def _without_singles(labels: Counts) -> Counts:
    _, unit, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return np.where((sizes[unit] > 1) & (labels >= 0), labels, UNGROUPED)


def _agglomerative(linkage: str, cosine: float) -> Method:
    return lambda embeddings, days: _without_singles(_linked(_distances(embeddings), linkage, cosine))


def _hdbscan(embeddings: Floats, days: Texts) -> Counts:
    """Without ``cluster_selection_epsilon``: with NumPy 2.4 it raises TypeError on some dogs (scikit-learn 33219)."""
    model = HDBSCAN(min_cluster_size=2, min_samples=1, copy=True)
    return _without_singles(np.asarray(model.fit_predict(embeddings.astype(np.float64))))


def _label_propagation(cosine: float) -> Method:
    """Chinese whispers (Biemann, 2006), as label propagation on the graph of pairs over the cosine."""
    import networkx

    def method(embeddings: Floats, days: Texts) -> Counts:
        distances = _distances(embeddings)
        graph = networkx.Graph()
        graph.add_nodes_from(range(len(embeddings)))
        one, other = np.nonzero(np.triu(distances <= 1 - cosine, 1))
        graph.add_weighted_edges_from(
            (a, b, 1 - distances[a, b]) for a, b in zip(one.tolist(), other.tolist(), strict=True)
        )
        labels = np.zeros(len(embeddings), dtype=np.int64)
        found = networkx.algorithms.community.asyn_lpa_communities(graph, weight="weight", seed=0)
        for number, members in enumerate(found):
            labels[list(members)] = number
        return _without_singles(labels)

    return method


def _within_days(distances: Floats, days: Texts, cosine: float) -> Counts:
    """Average linkage of the photos of each day; photos of no known day are alone."""
    unit = np.arange(len(days))
    for day in np.unique(days[days != ""]):
        rows = np.flatnonzero(days == day)
        if len(rows) > 1:
            unit[rows] = rows[_linked(distances[np.ix_(rows, rows)], "average", cosine)]
    return unit


def _days(within: float, across: float) -> Method:
    def method(embeddings: Floats, days: Texts) -> Counts:
        distances = _distances(embeddings)
        unit = _within_days(distances, days, within)
        # What is linked already lies at one place: it is united first, and counts by all its photos from then on.
        distances[unit[:, None] == unit] = 0
        return _without_singles(_linked(distances, "average", across))

    return method


def _centroids(first: float, then: float, by_days: bool) -> Method:
    def method(embeddings: Floats, days: Texts) -> Counts:
        distances = _distances(embeddings)
        unit = _within_days(distances, days, first) if by_days else _linked(distances, "average", first)
        _, unit = np.unique(unit, return_inverse=True)
        means = np.zeros((unit.max() + 1, embeddings.shape[1]))
        np.add.at(means, unit, embeddings)
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        linked = _linked(_distances(means), "average", then) if len(means) > 1 else np.zeros(1, dtype=np.int64)
        return _without_singles(linked[unit])

    return method
