"""The most similar dogs, and how often they bear the right name; in blocks of rows, never as one large matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry import FloatArray

IndexArray = NDArray[np.int64]

_BLOCK_ROWS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """For each query the most similar dogs of other photos, most similar first.

    Attributes:
        indices: ``(queries, k)`` rows of the embeddings, -1 where there are fewer than ``k`` others.
        scores: ``(queries, k)`` cosines, NaN where the index is -1.
    """

    indices: IndexArray
    scores: FloatArray


@dataclass(frozen=True, slots=True)
class NameAccuracy:
    """How well similarity finds the folder's name again.

    Attributes:
        queries: named dogs that have at least one more photo under their name.
        top_1: share of them whose most similar named dog has the same name.
        top_5: share of them with the same name among the five most similar named dogs.
    """

    queries: int
    top_1: float
    top_5: float


def similarity_blocks(embeddings: FloatArray, rows: IndexArray) -> Iterator[tuple[IndexArray, FloatArray]]:
    """Yield blocks of ``rows`` and their cosines ``(block, n)`` with all ``n`` embeddings of unit length."""
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = rows[start : start + _BLOCK_ROWS]
        yield block, np.clip(embeddings[block] @ embeddings.T, -1, 1)


def most_similar(embeddings: FloatArray, photos: IndexArray, count: int, queries: IndexArray) -> Neighbours:
    """The ``count`` most similar dogs of other photos for each of ``queries``.

    Args:
        embeddings: ``(n, dimension)`` of unit length.
        photos: ``(n,)``, the photo of each; a dog of the query's own photo is no candidate.
        count: how many neighbours.
        queries: ``(queries,)`` rows of ``embeddings``.
    """
    indices = np.full((len(queries), count), -1, dtype=np.int64)
    scores = np.full((len(queries), count), np.nan, dtype=np.float32)
    kept = min(count, len(embeddings))
    done = 0
    for block, cosines in similarity_blocks(embeddings, queries):
        cosines[photos[block][:, None] == photos] = -np.inf
        best = np.argpartition(-cosines, kept - 1, axis=1)[:, :kept]
        values = np.take_along_axis(cosines, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        best, values = np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)
        rows = slice(done, done + len(block))
        indices[rows, :kept] = np.where(np.isfinite(values), best, -1)
        scores[rows, :kept] = np.where(np.isfinite(values), values, np.nan)
        done += len(block)
    return Neighbours(indices, scores)


def name_accuracy(embeddings: FloatArray, photos: IndexArray, names: Sequence[str | None]) -> NameAccuracy | None:
    """Leave one photo out: does the most similar named dog of another photo have the same name?

    Dogs without a name take no part. ``None`` where no name has two photos, so that nothing can be right, or where
    there is one name only, so that nothing can be wrong.
    """
    named = np.array([index for index, name in enumerate(names) if name is not None], dtype=np.int64)
    labels = np.array([name for name in names if name is not None])
    own_photos = photos[named]
    photos_of = {label: len(set(own_photos[labels == label])) for label in np.unique(labels)} if len(named) else {}
    queries = np.array([row for row, label in enumerate(labels) if photos_of[label] > 1], dtype=np.int64)
    if not len(queries) or len(photos_of) < 2:
        return None
    found = most_similar(embeddings[named], own_photos, 5, queries)
    right = (labels[found.indices] == labels[queries][:, None]) & (found.indices >= 0)
    return NameAccuracy(len(queries), float(right[:, 0].mean()), float(right.any(axis=1).mean()))
