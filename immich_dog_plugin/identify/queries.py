"""One query per dog: which photos are most similar to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .collection import Collection, Detection
from .grouping import UNGROUPED, Labels
from .neighbours import most_similar

MATCHES = 5


@dataclass(frozen=True, slots=True)
class Match:
    """A dog that is similar to a query: its cosine, and whether the names agree (``None`` if one has no name)."""

    detection: Detection
    cosine: float
    right: bool | None


@dataclass(frozen=True, slots=True)
class Query:
    """A dog and the five most similar dogs of other photos, most similar first."""

    detection: Detection
    matches: list[Match]


def queries(collection: Collection, rows: list[int]) -> list[Query]:
    """The five most similar dogs for each of ``rows`` of the collection."""
    if not rows:
        return []
    found = most_similar(collection.embeddings, collection.photo_ids, MATCHES, np.array(rows, dtype=np.int64))
    detections = collection.detections
    return [
        Query(
            detections[row],
            [
                Match(detections[other], cosine, _right(detections[row].name, detections[other].name))
                for other, cosine in zip(others, cosines, strict=True)
                if other >= 0
            ],
        )
        for row, others, cosines in zip(rows, found.indices.tolist(), found.scores.tolist(), strict=True)
    ]


def one_per_dog(collection: Collection, groups: Labels) -> list[int]:
    """The first row of each name, and of each group that holds no named dog; of every dog if there is neither."""
    rows: dict[str | int, int] = {}
    named_groups = {
        int(group) for detection, group in zip(collection.detections, groups, strict=True) if detection.name is not None
    }
    for row, (detection, group) in enumerate(zip(collection.detections, groups.tolist(), strict=True)):
        if detection.name is not None:
            rows.setdefault(detection.name, row)
        elif group != UNGROUPED and group not in named_groups:
            rows.setdefault(group, row)
    return sorted(rows.values()) or list(range(len(collection.detections)))


def _right(name: str | None, other: str | None) -> bool | None:
    return None if name is None or other is None else name == other
