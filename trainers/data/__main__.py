"""Make and check the lists of photos that train and choose: ``python -m trainers.data``.

Reads every source, gives each dog a label and a split, and writes ``identity_train.json``, ``identity_val.json`` and
``breed_train.json`` (photos of which only the breed is known). Nothing is written while an error is found. Breed photos
that look like a photo that measures are left out.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from immich_dog_plugin.errors import DogPluginError

from .check import check
from .duplicates import measuring_photos
from .entries import BREEDS, FOLDER, TRAIN, VAL, DataError, Entry, read_entries, write_entries
from .layouts import LAYOUTS, SourcePhoto
from .seen import Seen

SOURCES = (("shared", "../shared/data"), ("stanford", "datasets/stanford_dogs"))


def main() -> None:
    """Build, check, report, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--source",
        nargs=2,
        action="append",
        metavar=("LAYOUT", "PATH"),
        help=f"one of {', '.join(LAYOUTS)}, and where it lies; give several; by default "
        + " and ".join(" ".join(source) for source in SOURCES),
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds the photos that measure")
    parser.add_argument("--val-share", type=float, default=0.15, help="of the dogs of sources without a split")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the lists are")
    parser.add_argument("--check", action="store_true", help="only check the lists that are there")
    args = parser.parse_args()
    try:
        if args.check:
            train, val, breeds = (read_entries(args.out / name) for name in (TRAIN, VAL, BREEDS))
        else:
            train, val, breeds = split(read(args.source or SOURCES), args.val_share)
        measuring = measuring_photos(args.data)
        seen = Seen([*(entry.file_path for entry in (*train, *val, *breeds)), *measuring])
        if not args.check:
            breeds = without_look_alikes(breeds, [*measuring, *(entry.file_path for entry in val)], seen)
        lists = {TRAIN: train, VAL: val, BREEDS: breeds}
        report(lists, [*train, *breeds], val, measuring, seen)
        if not args.check:
            for name, entries in lists.items():
                write_entries(args.out / name, entries)
                print(f"Wrote {args.out / name}")
    except DogPluginError as error:
        raise SystemExit(str(error)) from error


def read(sources: Sequence[Sequence[str]]) -> list[SourcePhoto]:
    """The photos of all sources.

    Raises:
        DataError: a layout that nobody knows, or a source that is not in its layout.
    """
    photos: list[SourcePhoto] = []
    for layout, path in sources:
        if layout not in LAYOUTS:
            raise DataError(f"There is no layout '{layout}'", f"Layouts are: {', '.join(LAYOUTS)}")
        photos += LAYOUTS[layout](Path(path))
    return photos


def split(photos: Sequence[SourcePhoto], val_share: float) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """Number the dogs: photos of dogs that train, of dogs that choose, and photos of which only the breed is known."""
    dogs = sorted({(photo.set, photo.dog) for photo in photos if photo.dog is not None})
    labels = {dog: number for number, dog in enumerate(dogs)}
    train: list[Entry] = []
    val: list[Entry] = []
    breeds: list[Entry] = []
    for photo in photos:
        entry = Entry(
            file_path=photo.file,
            identity_label=None if photo.dog is None else labels[photo.set, photo.dog],
            breed_label=photo.breed,
            source_group=f"{photo.set}/{photo.group}",
            set=photo.set,
            licence=photo.licence,
            dog=photo.dog,
        )
        if photo.dog is None:
            breeds.append(entry)
        else:
            (val if (photo.split or split_of(photo, val_share)) == "val" else train).append(entry)
    return train, val, breeds


def split_of(photo: SourcePhoto, val_share: float) -> str:
    """By a hash of the dog's name: it stays where it is when other dogs come."""
    digest = hashlib.sha256(f"{photo.set}/{photo.dog}".encode()).digest()
    return "val" if int.from_bytes(digest[:4]) / 2**32 < val_share else "train"


def without_look_alikes(breeds: Sequence[Entry], measuring: Sequence[Path], seen: Seen) -> list[Entry]:
    """The breed photos that show no picture that measures."""
    out = {one for one, _ in seen.alike([entry.file_path for entry in breeds], measuring)}
    if out:
        print(f"Left out: {len(out)} breed photos that look like photos that choose or measure")
    return [entry for entry in breeds if entry.file_path not in out]


def report(
    lists: dict[str, list[Entry]], train: Sequence[Entry], val: Sequence[Entry], measuring: Sequence[Path], seen: Seen
) -> None:
    """Print what is in the lists and what is wrong with them.

    Raises:
        DataError: something is wrong that must be mended first.
    """
    for name, entries in lists.items():
        print(overview(name, entries))
    findings = check(train, val, measuring, seen)
    print("\n".join(map(str, findings)) or "Checked: nothing is wrong")
    if fatal := [finding for finding in findings if finding.fatal]:
        raise DataError(f"{len(fatal)} kinds of errors stand above", "Mend them, then give the same command again")


def overview(name: str, entries: Sequence[Entry]) -> str:
    """How much a list holds, set by set.

    >>> print(overview("identity_val.json", []))
    identity_val.json: 0 photos
    """
    lines = [f"{name}: {len(entries)} photos"]
    for (collection, licence), photos in Counter((entry.set, entry.licence) for entry in entries).items():
        part = [entry for entry in entries if entry.set == collection]
        dogs = len({entry.identity_label for entry in part} - {None})
        breeds = len({entry.breed_label for entry in part} - {None})
        groups = len({(entry.identity_label, entry.source_group) for entry in part})
        lines.append(f"    {collection}: {photos} photos, {dogs} dogs, {breeds} breeds, {groups} groups ({licence})")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
