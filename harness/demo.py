"""`tox -e demo`: groups dogs that it draws itself; `tox -e demo -- FOLDER` groups those in your own photos."""

from __future__ import annotations

import argparse
import csv
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from drawn_dogs.tree import NO_DOG, drawn_files
from immich_dog_plugin.cli import main as immich_dogs
from immich_dog_plugin.identify.out_folder import REPORT
from immich_dog_plugin.scan import scan
from immich_dog_plugin.spreadsheet import ENCODING, cell_text

OUT = Path("out/demo")
DOGS, PHOTOS, SCENES = 6, 6, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of `immich-dogs identify`."""
    parser = argparse.ArgumentParser(prog="tox -e demo --", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="your photos (default: drawn ones)")
    folder: Path | None = parser.parse_args(argv).folder

    photos = folder or draw_photos(OUT / "photos")
    report_folder = OUT / "report" if folder is None else OUT / f"report-{photos.resolve().name}"
    code = immich_dogs(["identify", str(photos), "--out", str(report_folder)])
    if code == 0:
        print(f"\n{summary([photo.key for photo in scan(photos, report_folder).photos], report_folder / 'dogs.csv')}")
        if folder is None:
            print("These dogs are drawn: how well they are told apart says little about real ones.")
        report = (report_folder / REPORT).resolve()
        print(f"\nThe report: {report}\nIn a browser: {report.as_uri()}")
    return code


def draw_photos(folder: Path) -> Path:
    """Draw the demo's photos anew: the same ones each time."""
    shutil.rmtree(folder, ignore_errors=True)
    count = DOGS * PHOTOS + SCENES
    print(f"No folder given: drawing {PHOTOS} photos of each of {DOGS} dogs, and {SCENES} without a dog, in {folder}")
    files = drawn_files(folder, dogs=DOGS, photos=PHOTOS, scenes=SCENES)
    for _ in track(files, "Drawing", total=count, console=Console(stderr=True)):
        pass
    return folder


def summary(photos: Sequence[str], dogs_csv: Path) -> str:
    """What was found in photos (paths below their folder), in words, and how well the groups agree with subfolders."""
    with dogs_csv.open(newline="", encoding=ENCODING) as file:
        dogs = [{column: cell_text(cell) for column, cell in row.items()} for row in csv.DictReader(file)]
    with_dog = {dog["file"] for dog in dogs}
    members: dict[str, list[str]] = defaultdict(list)
    for dog in dogs:
        if dog["group"] != "0":
            members[dog["group"]].append(dog["name"])
    lines = [
        f"{len(photos)} photos, {len(dogs)} dogs found in {len(with_dog)} of them.",
        f"{len(members)} groups hold {sum(map(len, members.values()))} of the dogs; the others are in no group.",
    ]
    names = {dog["name"] for dog in dogs} - {"", NO_DOG}
    if names:
        pure = sum(len(set(group)) == 1 for group in members.values())
        homes = {name: {key for key, group in members.items() if name in group} for name in names}
        together = sum(len(groups) == 1 for groups in homes.values())
        lines.append(
            f"By the subfolders' names: {pure} of {len(members)} groups hold one dog only; "
            f"{together} of {len(names)} dogs are in exactly one group."
        )
    without = {photo for photo in photos if photo.startswith(f"{NO_DOG}/")}
    if without:
        lines.append(
            f"In {len(without & with_dog)} of the {len(without)} photos without a dog one was seen all the same."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
