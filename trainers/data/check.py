"""What would make training or its figures wrong, found in the lists of photos before anything is trained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .entries import TRAIN, VAL, Entry
from .seen import Seen

SHOWN = 5  # examples of each finding
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault.

    Attributes:
        cause: what is wrong.
        cure: what to do about it.
        cases: the photos, pairs or dogs concerned; none where all is well.
        fatal: nothing should be trained before it is mended.
    """

    cause: str
    cure: str
    cases: tuple[str, ...]
    fatal: bool = True

    def __str__(self) -> str:
        shown = [f"    {case}" for case in self.cases[:SHOWN]]
        if len(self.cases) > SHOWN:
            shown.append(f"    and {len(self.cases) - SHOWN} more")
        heading = f"{'ERROR' if self.fatal else 'Note'}: {self.cause} ({len(self.cases)})"
        return "\n".join([heading, *shown, f"    Cure: {self.cure}"])


def check(train: Sequence[Entry], val: Sequence[Entry], measuring: Sequence[Path], seen: Seen) -> list[Finding]:
    """What is wrong with the photos that train and the dogs that choose.

    Args:
        train: photos of known dogs and, without a label, of breeds.
        val: photos of the dogs that choose.
        measuring: further photos that nothing may be trained on.
        seen: what all these photos look like.
    """
    chosen = [entry.file_path for entry in val]
    findings = [
        *_files([*train, *val], seen),
        *_labels(train, val),
        Finding(
            "two photos of one picture have two labels: one dog counts as two",
            "Look at both: give the dogs one label, or remove the photo from the list where it is wrong",
            tuple(pair for entries in (train, val) for pair in _two_labels(entries, seen)),
        ),
        Finding(
            "photos that train look like photos that choose or measure: the figures would flatter",
            "Leave the dog out of training, by removing its photos from the source or from the list",
            _pairs(seen.alike([entry.file_path for entry in train], [*chosen, *measuring])),
        ),
        *_thin(train, val),
    ]
    return [finding for finding in findings if finding.cases]


def _files(entries: Sequence[Entry], seen: Seen) -> list[Finding]:
    unreadable = {file: cause for file, cause in seen.unreadable.items() if file.exists()}
    return [
        Finding(
            "photos are missing",
            "Bring them back to where the list looks for them, or make the list anew without them",
            tuple(str(entry.file_path) for entry in entries if not entry.file_path.exists()),
        ),
        Finding(
            "photos cannot be read",
            "Copy them again from their source, or remove them",
            tuple(unreadable[entry.file_path] for entry in entries if entry.file_path in unreadable),
        ),
    ]


def _labels(train: Sequence[Entry], val: Sequence[Entry]) -> list[Finding]:
    known = [entry for entry in (*train, *val) if entry.identity_label is not None]
    named = [entry for entry in known if entry.dog is not None]
    places = [(entry.identity_label, name) for name, part in ((TRAIN, train), (VAL, val)) for entry in part]
    return [
        Finding(
            "a dog has several labels",
            "Give all photos of a dog one identity_label; two dogs of a set need two names",
            _conflicts(named, lambda entry: (entry.set, entry.dog), lambda entry: entry.identity_label),
        ),
        Finding(
            "a label stands for several dogs",
            "Give each dog an identity_label of its own",
            _conflicts(named, lambda entry: entry.identity_label, lambda entry: (entry.set, entry.dog)),
        ),
        Finding(
            "a photo is listed under several labels",
            "Keep the right one; a photo of two dogs does not tell one dog from another",
            _conflicts([*train, *val], lambda entry: entry.file_path, lambda entry: entry.identity_label),
        ),
        Finding(
            f"dogs are in {TRAIN} and in {VAL}",
            "Move all photos of a dog into one of the lists",
            tuple(f"label {label}" for label in sorted(_shared(places))),
        ),
        Finding(
            f"photos of {VAL} have no identity_label",
            "Only known dogs can choose: remove them",
            tuple(str(entry.file_path) for entry in val if entry.identity_label is None),
        ),
    ]


def _shared(places: Iterable[tuple[int | None, str]]) -> set[int]:
    lists = defaultdict(set)
    for label, place in places:
        lists[label].add(place)
    return {label for label, found in lists.items() if label is not None and len(found) > 1}


def _conflicts(
    entries: Sequence[Entry], key: Callable[[Entry], K], value: Callable[[Entry], Hashable]
) -> tuple[str, ...]:
    """Keys that have several values, each with its values."""
    values: dict[K, list[Hashable]] = defaultdict(list)
    for entry in entries:
        if value(entry) not in values[key(entry)]:
            values[key(entry)].append(value(entry))
    return tuple(f"{name}: {', '.join(map(str, found))}" for name, found in values.items() if len(found) > 1)


def _two_labels(entries: Sequence[Entry], seen: Seen) -> tuple[str, ...]:
    label = {entry.file_path: entry.identity_label for entry in entries if entry.identity_label is not None}
    pairs = seen.alike(list(label), list(label))
    return _pairs([(one, other) for one, other in pairs if one < other and label[one] != label[other]])


def _thin(train: Sequence[Entry], val: Sequence[Entry]) -> list[Finding]:
    photos: dict[str, set[Path]] = defaultdict(set)
    groups: dict[str, set[str]] = defaultdict(set)
    for entry in (*train, *val):
        if entry.identity_label is not None:
            name = f"{entry.set}: {entry.dog or entry.identity_label}"
            photos[name].add(entry.file_path)
            groups[name].add(entry.source_group)
    return [
        Finding(
            "dogs have one photo",
            "They only serve as other dogs; add photos to learn from them",
            tuple(name for name, found in photos.items() if len(found) == 1),
            fatal=False,
        ),
        Finding(
            "all photos of a dog are of one source group",
            "No pair of them counts when dogs are measured; add photos of another encounter",
            tuple(name for name, found in groups.items() if len(found) == 1 < len(photos[name])),
            fatal=False,
        ),
    ]


def _pairs(pairs: Sequence[tuple[Path, Path]]) -> tuple[str, ...]:
    return tuple(f"{one} and {other}" for one, other in pairs)
