"""Pictures of the data, and of what a model makes of it: ``python -m trainers.view``.

``sheets`` draws one contact sheet for each dog (or breed) of a list. ``neighbours`` draws the photos of a list that are
nearest to a query photo, any one, by the embeddings of a model package, or to one of the list by those in a file.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

from .data.entries import FOLDER, TRAIN, VAL, DataError, Entry, read_entries
from .data.identity import IdentityPhoto
from .dogs_found import embed, find_dogs
from .sheets import GREEN, RED, WHITE, Tile, contact_sheet, save_png

PACKAGE = Path("artifacts/dog-identification-v1")
COLUMNS = 10


def main() -> None:
    """Draw what is asked for and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    sheets = commands.add_parser("sheets", help="a contact sheet for each dog or breed")
    sheets.add_argument("list", type=Path, nargs="?", default=FOLDER / TRAIN)
    sheets.add_argument("--by", choices=("dog", "breed"), default="dog")
    sheets.add_argument("--photos", type=int, default=60, help="on a sheet at most")
    sheets.add_argument("--out", type=Path, default=Path("out/sheets"))
    near = commands.add_parser("neighbours", help="the nearest photos to a query photo")
    near.add_argument("query", type=Path, nargs="+")
    near.add_argument("--list", type=Path, default=FOLDER / VAL, help="of the photos that are compared")
    near.add_argument("--package", type=Path, default=PACKAGE, help="which embeds them")
    near.add_argument(
        "--embeddings",
        type=Path,
        help="instead: an .npz file with an array for each photo, its key the photo's path or the end of it, as "
        "'immich-dogs identify' exports; a further dog of a photo (#1 and up) is left out",
    )
    near.add_argument("--count", type=int, default=19, help="neighbours of each query")
    near.add_argument("--out", type=Path, default=Path("out/neighbours"))
    args = parser.parse_args()
    try:
        entries = read_entries(args.list)
        if args.command == "sheets":
            drawn = draw_sheets(entries, args.by, args.photos, args.out)
        else:
            gallery = (
                Gallery.read(args.embeddings, entries)
                if args.embeddings
                else Gallery.embed(args.package, entries, args.query)
            )
            drawn = draw_neighbours(args.query, gallery, args.count, args.out)
        for file in drawn:
            print(file)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error


def draw_sheets(entries: Sequence[Entry], by: str, photos: int, out: Path) -> Iterator[Path]:
    """One PNG for each dog or breed; below each photo its source group and file.

    Raises:
        DataError: no photo of the list has a dog, or a breed.
    """
    sheets: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        name = dog_name(entry) if by == "dog" else entry.breed_label
        if name is not None:
            sheets[name].append(entry)
    if not sheets:
        raise DataError(f"No photo of the list has a {by}", "Choose another list, or the other --by")
    for name, group in track(sheets.items(), description="Sheets"):
        shown = group[:photos]
        tiles = [Tile(read_photo(entry.file_path), (entry.source_group, entry.file_path.name)) for entry in shown]
        title = f"{name}: {len(tiles)} of {len(group)} photos"
        yield _save(out / f"{by}_{_plain(name)}.png", tiles, title)


def draw_neighbours(queries: Sequence[Path], gallery: Gallery, count: int, out: Path) -> Iterator[Path]:
    """One PNG for each query: the query, then the nearest photos of the list; green the same dog, red another.

    Raises:
        DataError: a query is not among the gallery's photos.
    """
    for query in queries:
        row = gallery.row(query)
        others = np.flatnonzero(np.arange(gallery.listed) != row)  # a photo is no neighbour of itself
        cosines = gallery.embeddings @ gallery.embeddings[row]
        asked = gallery.entries[row]
        tiles = [Tile(read_photo(asked.file_path), ("QUERY", dog_name(asked) or "", asked.source_group))]
        for index in others[np.argsort(-cosines[others])][:count]:
            found = gallery.entries[index]
            colour = WHITE if dog_name(asked) is None else GREEN if dog_name(found) == dog_name(asked) else RED
            lines = (f"{cosines[index]:.3f}", dog_name(found) or "", found.source_group)
            tiles.append(Tile(read_photo(found.file_path), lines, colour))
        title = f"{asked.file_path}: nearest of {len(others)} photos, by {gallery.source}"
        yield _save(out / f"{_plain(dog_name(asked) or 'photo')}_{_plain(asked.file_path.stem)}.png", tiles, title)


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Photos that can be compared.

    Attributes:
        entries: what is known of each; first the photos of the list, then queries that are not in it.
        listed: how many are of the list.
        embeddings: ``(n, d)`` of unit length.
        source: what made the embeddings.
    """

    entries: list[Entry]
    listed: int
    embeddings: FloatArray
    source: str

    @classmethod
    def embed(cls, package: Path, listed: Sequence[Entry], queries: Sequence[Path]) -> Gallery:
        """Embed the largest dog of every photo, the whole photo where none is found."""
        known = {entry.file_path.resolve() for entry in listed}
        entries = [*listed, *(unlisted(query) for query in queries if query.resolve() not in known)]
        opened = ModelPackage.open(package)
        pipeline = DogPipeline.open(opened)
        photos = [
            IdentityPhoto(entry.file_path, "", entry.set, entry.dog or "", entry.source_group) for entry in entries
        ]
        found = find_dogs(pipeline, photos)
        return cls(entries, len(listed), embed(pipeline, found, opened.manifest.crop), package.name)

    @classmethod
    def read(cls, file: Path, entries: Sequence[Entry]) -> Gallery:
        """Take the embeddings from a file; photos of the list that it does not have are left out.

        Raises:
            DataError: no such file, no embeddings in it, or none of a photo of the list.
        """
        by_key = _read_embeddings(file)
        chosen = [(entry, key) for entry in entries if (key := _key(entry.file_path, by_key)) is not None]
        keys = [key for _, key in chosen]
        if not chosen:
            raise DataError(f"{file} has none of the {len(entries)} photos", f"Its keys are like {next(iter(by_key))}")
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise DataError(f"{twice} in {file} means several photos of the list", "Use longer paths as keys")
        embeddings = np.stack([by_key[key] for key in keys])
        unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        return cls([entry for entry, _ in chosen], len(chosen), unit, file.name)

    def row(self, query: Path) -> int:
        """The place of a photo.

        Raises:
            DataError: it is not here.
        """
        wanted = query.resolve()
        for row, entry in enumerate(self.entries):
            if entry.file_path.resolve() == wanted:
                return row
        raise DataError(
            f"{query} is not among the {len(self.entries)} photos",
            "Give a photo of the --list, or leave --embeddings out",
        )


def _read_embeddings(file: Path) -> dict[str, FloatArray]:
    """The first dog's embedding of every photo by the photo's path, as far as the file knows it."""
    try:
        with np.load(file) as arrays:
            stored = {key: np.asarray(arrays[key], dtype=np.float32) for key in arrays.files}
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read ({error})", "Give an .npz file with an array for each photo") from error
    first = {re.sub("#0$", "", key): vector for key, vector in stored.items() if not re.search("#[1-9][0-9]*$", key)}
    if not first or len({vector.shape for vector in first.values()}) != 1:
        raise DataError(f"{file} does not hold one embedding for each photo", "Every array must have the same length")
    return first


def _key(photo: Path, keys: Container[str]) -> str | None:
    """The longest end of a photo's path that is a key."""
    parts = photo.parts
    return next((end for start in range(len(parts)) if (end := Path(*parts[start:]).as_posix()) in keys), None)


def dog_name(entry: Entry) -> str | None:
    """What to call the dog of a photo, None where nobody knows it."""
    return None if entry.identity_label is None else entry.dog or f"dog {entry.identity_label}"


def unlisted(photo: Path) -> Entry:
    """A photo of which nothing is known."""
    return Entry(
        file_path=photo, identity_label=None, breed_label=None, source_group="not in the list", set="", licence=""
    )


def _save(file: Path, tiles: Sequence[Tile], title: str) -> Path:
    save_png(file, contact_sheet(tiles, COLUMNS, title=title))
    return file


def _plain(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[^\w.-]+", "_", name)


if __name__ == "__main__":
    main()
