"""Verification and retrieval figures, one implementation each, as pure functions on arrays.

Verification asks of a pair whether it shows one dog; the figures take ``Pairs`` and mind their weights. Retrieval asks
which dog a photo shows, with all other photos as the gallery. Shapes are those of ``pairs``.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .pairs import Counts, Floats, Pairs, Scores, equal, verification_pairs

# A rate is read off three times as many trials as one error in it takes: 1 in 1,000 off no fewer than 3,000.
TRIALS_PER_ERROR = 3


def stated(rate: float, trials: int) -> bool:
    """Whether there are enough trials (impostor pairs, say) to state a figure at this error rate.

    >>> stated(0.001, 3000), stated(0.001, 2999), stated(0.01, 300)
    (True, False, True)
    """
    return trials * rate >= TRIALS_PER_ERROR - 1e-9


def share_at_least(values: Floats, threshold: float, weights: Counts | None = None) -> float:
    """Share of the values at or above the threshold.

    >>> share_at_least(np.array([0.5, 0.4, 0.6]), 0.5, weights=np.array([2, 1, 1]))
    0.75
    """
    return Scores.of(values, weights).share_at_least(threshold)


def auc(pairs: Pairs) -> float:
    """Probability that a genuine pair is closer than an impostor pair (a tie counts half).

    >>> auc(Pairs(genuine=np.array([0.9, 0.5]), impostor=np.array([0.5, 0.1])))
    0.875
    """
    impostors = pairs.impostor_scores
    beaten = (impostors.share_below(pairs.genuine) + impostors.share_below(pairs.genuine, "right")) / 2
    return float(np.average(beaten, weights=pairs.genuine_weights))


def far_threshold(pairs: Pairs, far: float) -> float:
    """The (1 - ``far``) quantile of the impostor pairs: the cosine at and above which a pair is accepted.

    >>> far_threshold(Pairs(genuine=np.array([]), impostor=np.arange(101) / 100), far=0.1)
    0.9
    """
    return pairs.impostor_scores.quantile(1 - far)


def tar_at_far(pairs: Pairs, far: float) -> float:
    """Share of the genuine pairs accepted (>=) at the threshold of ``far``.

    >>> tar_at_far(Pairs(genuine=np.array([0.95, 0.9, 0.2, 0.1]), impostor=np.arange(101) / 100), far=0.1)
    0.5
    """
    return pairs.genuine_scores.share_at_least(far_threshold(pairs, far))


def eer(pairs: Pairs) -> float:
    """Equal error rate: where the share of impostors accepted meets the share of genuine pairs rejected.

    >>> eer(Pairs(genuine=np.array([0.9, 0.8, 0.7, 0.3]), impostor=np.array([0.6, 0.2, 0.1, 0.0])))
    0.25
    """
    genuine, impostors = pairs.genuine_scores, pairs.impostor_scores

    def excess(threshold: ArrayLike) -> Floats:
        rejected = genuine.weight_before[genuine.values.searchsorted(threshold)] / genuine.weight
        accepted = 1 - impostors.weight_before[impostors.values.searchsorted(threshold)] / impostors.weight
        return np.asarray(rejected - accepted)

    # What is rejected beyond what is accepted grows with the threshold: the best of all pairs' cosines is one beside
    # its change of sign.
    around = []
    for values in (genuine.values, impostors.values):
        after = bisect_left(values, True, key=lambda value: bool(excess(value) >= 0))
        around.append(values[max(after - 1, 0) : after + 1])
    candidates = np.sort(np.concatenate(around))
    nearest = candidates[np.argmin(np.abs(excess(candidates)))]
    return float(genuine.share_below(nearest) + 1 - impostors.share_below(nearest)) / 2


def median_margin(pairs: Pairs) -> float:
    """How far the median genuine pair lies above the median impostor pair.

    >>> median_margin(Pairs(genuine=np.array([0.75, 0.5, 0.25]), impostor=np.array([0.25, 0.0])))
    0.375
    """
    return pairs.genuine_scores.quantile(0.5) - pairs.impostor_scores.quantile(0.5)


def mean_margin(pairs: Pairs) -> float:
    """How far the mean genuine pair lies above the mean impostor pair.

    >>> mean_margin(Pairs(genuine=np.array([1.0, 0.5]), impostor=np.array([0.5, 0.0])))
    0.5
    """
    genuine = np.average(pairs.genuine, weights=pairs.genuine_weights)
    return float(genuine - np.average(pairs.impostor, weights=pairs.impostor_weights))


@dataclass(frozen=True, slots=True, eq=False)
class Retrieval:
    """What each query finds among all other photos; a photo whose dog has none of another group is no query.

    Attributes:
        queries: rows of the embeddings, ``(q,)``.
        rank: of the first photo of the same dog, 0 is the nearest, ``(q,)``.
        average_precision: ``(q,)``, the mean over the dog's other photos of the share of its photos among all that
            are as near or nearer (Manning, Raghavan and Schütze, Introduction to Information Retrieval, 8.4).
    """

    queries: Counts
    rank: Counts
    average_precision: Floats


def retrieval(embeddings: Floats, labels: ArrayLike, groups: ArrayLike) -> Retrieval:
    """Every photo searched among all others, its own group left out.

    >>> vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]])
    >>> found = retrieval(vectors, ["rex", "rex", "bella", "bella"], ["a", "b", "c", "d"])
    >>> found.rank, found.average_precision
    (array([0, 1, 0, 1]), array([1. , 0.5, 1. , 0.5]))
    """
    same_dog, same_group = equal(labels), equal(groups)
    relevant = same_dog & ~same_group
    similarity = np.where(same_group, -np.inf, embeddings @ embeddings.T)
    queries = np.flatnonzero(relevant.any(axis=1))
    order = np.argsort(-similarity[queries], axis=1, kind="stable")
    hits = np.take_along_axis(relevant[queries], order, axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return Retrieval(
        queries=queries, rank=hits.argmax(axis=1), average_precision=(precision * hits).sum(axis=1) / hits.sum(axis=1)
    )


def top_k(embeddings: Floats, labels: ArrayLike, groups: ArrayLike, k: int = 1) -> float:
    """Share of the queries of ``retrieval`` with a photo of the same dog among the ``k`` nearest others.

    >>> vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]])
    >>> top_k(vectors, ["rex", "rex", "bella", "bella"], ["a", "b", "c", "d"], k=1)
    0.5
    """
    return float((retrieval(embeddings, labels, groups).rank < k).mean())


def verification_figures(embeddings: Floats, labels: ArrayLike, groups: ArrayLike) -> dict[str, float | int | None]:
    """Figures of pairs and of retrieval in one record; a TAR is None where its rate cannot be read off the pairs."""
    pairs = verification_pairs(embeddings, labels, groups)
    found = retrieval(embeddings, labels, groups)
    impostors = len(pairs.impostor)
    return {
        "auc": auc(pairs),
        "eer": eer(pairs),
        "tar_at_1_percent": tar_at_far(pairs, 0.01) if stated(0.01, impostors) else None,
        "tar_at_01_percent": tar_at_far(pairs, 0.001) if stated(0.001, impostors) else None,
        "top_1": float((found.rank < 1).mean()),
        "top_5": float((found.rank < 5).mean()),
        "map": float(found.average_precision.mean()),
        "photos": len(embeddings),
        "dogs": len(np.unique(np.asarray(labels))),
        "genuine_pairs": len(pairs.genuine),
        "impostor_pairs": impostors,
    }
