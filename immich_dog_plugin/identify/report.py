"""``report.html``: everything a person wants to see, in one file without any outside reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from .. import __version__
from ..dog_names import refusal
from ..html import data_uri, write_page
from ..scan import in_words
from .collection import Collection, Detection, Photo
from .grouping import UNGROUPED, Labels
from .heatmap import colour_stops, heat_map
from .neighbours import NameAccuracy
from .queries import one_per_dog, queries
from .store import Store
from .verdicts import Verdicts

_TEMPLATE = Path(__file__).parent / "templates" / "report.html.j2"

# What the report shows at most: a picture is about 7 kB, so that the file stays under about 15 MB.
_MAX_GROUPS = 50
_MAX_GROUP_PICTURES = 24
_MAX_UNGROUPED = 96
_MAX_QUERIES = 60
_MAX_WITHOUT_DOG = 96
_MAX_LINES = 500

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the report says about the run.

    Attributes:
        folder: the photos' folder.
        model: name and version of the model package.
        min_score: least detection score that counted.
        verdicts: what a cosine says.
        same_dog: cosine from which the centroids of two groups are united.
        threshold_source: how it was chosen.
        accuracy: how often similarity finds the folder's name again.
        refused_names: folders whose names do not look like dogs' names.
    """

    folder: str
    model: str
    min_score: float
    verdicts: Verdicts
    same_dog: float
    threshold_source: str
    accuracy: NameAccuracy | None
    refused_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown(Generic[_Item]):
    """The items of a list that the report shows, and how many the list has."""

    items: list[_Item]
    total: int

    @classmethod
    def first(cls, items: Sequence[_Item], limit: int) -> Shown[_Item]:
        return cls(list(items[:limit]), len(items))

    @classmethod
    def spread(cls, items: Sequence[_Item], limit: int) -> Shown[_Item]:
        """At most ``limit`` items, evenly spread over the list."""
        rows = np.unique(np.linspace(0, max(len(items) - 1, 0), min(limit, len(items))).round().astype(int))
        return cls([items[row] for row in rows], len(items))


@dataclass(frozen=True, slots=True)
class Group:
    """One group: its number from 1, the dogs shown, and how often each name is in it, most frequent first."""

    number: int
    dogs: Shown[Detection]
    names: list[tuple[str, int]]


def write_report(path: Path, collection: Collection, groups: Labels, facts: Facts, store: Store) -> None:
    """Write the report; its pictures are read from ``store`` one at a time.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    write_page(path, _TEMPLATE, _content(collection, groups, facts, store))


def _content(collection: Collection, groups: Labels, facts: Facts, store: Store) -> dict[str, Any]:
    chosen = one_per_dog(collection, groups)
    ungrouped = [collection.detections[row] for row in np.flatnonzero(groups == UNGROUPED)]
    all_groups = _groups(collection, groups)

    def dog_picture(detection: Detection) -> str:
        return data_uri(store.dog_thumbnail(detection.id))

    def photo_picture(photo: Photo) -> str:
        return data_uri(store.photo_thumbnail(photo.id))

    return {
        "facts": facts,
        "version": __version__,
        "made": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        "collection": collection,
        "has_names": any(detection.name is not None for detection in collection.detections),
        "groups": Shown.first(all_groups, _MAX_GROUPS),
        "ungrouped": Shown.first(ungrouped, _MAX_UNGROUPED),
        "queries": Shown(queries(collection, chosen[:_MAX_QUERIES]), len(chosen)),
        "heat_map": heat_map(collection.embeddings, groups) if len(collection.detections) > 1 else None,
        "colour_stops": colour_stops(9),
        "without_dog": Shown.first(collection.without_dog, _MAX_WITHOUT_DOG),
        "failures": Shown.first(collection.failures, _MAX_LINES),
        "left_out": Shown.first(collection.left_out, _MAX_LINES),
        "left_out_words": in_words(collection.left_out),
        "copied": Shown.first([photo for photo in collection.photos if photo.copies], _MAX_LINES),
        "refusal": refusal(facts.refused_names) if facts.refused_names else "",
        "conflicts": Shown.first(collection.conflicts, _MAX_LINES),
        "dog_picture": dog_picture,
        "photo_picture": photo_picture,
    }


def _groups(collection: Collection, groups: Labels) -> list[Group]:
    members: dict[int, list[Detection]] = {}
    for detection, label in zip(collection.detections, groups.tolist(), strict=True):
        if label != UNGROUPED:
            members.setdefault(label, []).append(detection)
    return [
        Group(
            number=label + 1,
            dogs=Shown.spread(members[label], _MAX_GROUP_PICTURES),
            names=Counter(detection.name for detection in members[label] if detection.name is not None).most_common(),
        )
        for label in sorted(members)
    ]
