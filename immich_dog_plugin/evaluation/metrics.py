"""Verification and retrieval figures, one implementation each, as pure functions on arrays.

Everywhere: ``embeddings`` are ``(n, d)`` unit rows, ``labels`` ``(n,)`` say which dog, ``groups`` ``(n,)`` which
original photo. Two pictures of one group never make a pair: they show the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A rate of 1 in 1,000 cannot be read off fewer impostor pairs than this.
MIN_IMPOSTORS_FOR_01_PERCENT = 3000

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Cosines of all unordered pairs.

    Attributes:
        genuine: pairs of one dog, ``(n_genuine,)``.
        impostor: pairs of two dogs, ``(n_impostor,)``.
    """

    genuine: Floats
    impostor: Floats


def verification_pairs(embeddings: Floats, labels: ArrayLike, groups: ArrayLike) -> Pairs:
    """Every unordered pair once, pairs of one group left out.

    >>> pairs = verification_pairs(np.eye(3), ["rex", "rex", "bella"], ["a", "b", "c"])
    >>> len(pairs.genuine), len(pairs.impostor)
    (1, 2)
    """
    same_dog, same_group = _equal(labels), _equal(groups)
    once = np.triu(~same_group, k=1)
    similarity = embeddings @ embeddings.T
    return Pairs(similarity[once & same_dog], similarity[once & ~same_dog])


def auc(pairs: Pairs) -> float:
    """Probability that a genuine pair is closer than an impostor pair (a tie counts half).

    >>> auc(Pairs(genuine=np.array([0.9, 0.5]), impostor=np.array([0.5, 0.1])))
    0.875
    """
    impostor = np.sort(pairs.impostor)
    below = np.searchsorted(impostor, pairs.genuine, side="left")
    up_to = np.searchsorted(impostor, pairs.genuine, side="right")
    return float((below + up_to).mean() / 2 / len(impostor))


def far_threshold(pairs: Pairs, far: float) -> float:
    """The (1 - ``far``) quantile of the impostor pairs: the cosine at and above which a pair is accepted.

    >>> far_threshold(Pairs(genuine=np.array([]), impostor=np.arange(101) / 100), far=0.1)
    0.9
    """
    return float(np.quantile(pairs.impostor, 1 - far))


def tar_at_far(pairs: Pairs, far: float) -> float:
    """Share of the genuine pairs accepted (>=) at the threshold of ``far``.

    >>> tar_at_far(Pairs(genuine=np.array([0.95, 0.9, 0.2]), impostor=np.arange(101) / 100), far=0.1)
    0.6666666666666666
    """
    return float((pairs.genuine >= far_threshold(pairs, far)).mean())


def eer(pairs: Pairs) -> float:
    """Equal error rate: where the share of impostors accepted meets the share of genuine pairs rejected.

    >>> eer(Pairs(genuine=np.array([0.9, 0.8, 0.7, 0.3]), impostor=np.array([0.6, 0.2, 0.1, 0.0])))
    0.25
    """
    thresholds = np.unique(np.concatenate([pairs.genuine, pairs.impostor]))
    accepted = 1 - np.searchsorted(np.sort(pairs.impostor), thresholds, side="left") / len(pairs.impostor)
    rejected = np.searchsorted(np.sort(pairs.genuine), thresholds, side="left") / len(pairs.genuine)
    nearest = np.argmin(np.abs(accepted - rejected))
    return float((accepted[nearest] + rejected[nearest]) / 2)


def top_k(embeddings: Floats, labels: ArrayLike, groups: ArrayLike, k: int = 1) -> float:
    """Share of photos with a photo of the same dog among the ``k`` nearest others (own group left out).

    Only photos whose dog has a photo of another group count.

    >>> vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]])
    >>> top_k(vectors, ["rex", "rex", "bella", "bella"], ["a", "b", "c", "d"], k=1)
    0.5
    """
    same_dog, same_group = _equal(labels), _equal(groups)
    similarity = np.where(same_group, -np.inf, embeddings @ embeddings.T)
    answerable = np.any(same_dog & ~same_group, axis=1)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    hits = np.any(np.take_along_axis(same_dog & ~same_group, nearest, axis=1), axis=1)
    return float(np.mean(hits, where=answerable))


def verification_figures(embeddings: Floats, labels: ArrayLike, groups: ArrayLike) -> dict[str, float | int | None]:
    """Everything above in one record; ``tar_at_01_percent`` is None under 3,000 impostor pairs."""
    pairs = verification_pairs(embeddings, labels, groups)
    enough = len(pairs.impostor) >= MIN_IMPOSTORS_FOR_01_PERCENT
    return {
        "auc": auc(pairs),
        "eer": eer(pairs),
        "tar_at_1_percent": tar_at_far(pairs, 0.01),
        "tar_at_01_percent": tar_at_far(pairs, 0.001) if enough else None,
        "top_1": top_k(embeddings, labels, groups, k=1),
        "top_5": top_k(embeddings, labels, groups, k=5),
        "photos": len(embeddings),
        "dogs": len(np.unique(np.asarray(labels))),
        "genuine_pairs": len(pairs.genuine),
        "impostor_pairs": len(pairs.impostor),
    }


def _equal(values: ArrayLike) -> NDArray[np.bool_]:
    array = np.asarray(values)
    return np.asarray(array[:, None] == array[None, :], dtype=np.bool_)
