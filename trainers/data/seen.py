"""What many photos look like, each read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.progress import track

from immich_dog_plugin.errors import PhotoError
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.imaging import read_photo

from .duplicates import look_alikes, looks


class Seen:
    """Photos that were read once and are compared many times.

    Attributes:
        unreadable: why each photo that could not be read could not.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self.unreadable: dict[Path, str] = {}
        self._rows: dict[Path, int] = {}
        self._looks = looks(self._read(dict.fromkeys(files)))

    def _read(self, files: Iterable[Path]) -> Iterator[ImageArray]:
        for file in track(list(files), description="Reading photos"):
            try:
                photo = read_photo(file)
            except PhotoError as error:
                self.unreadable[file] = error.cause
                continue
            self._rows[file] = len(self._rows)
            yield photo

    def alike(self, first: Sequence[Path], second: Sequence[Path]) -> list[tuple[Path, Path]]:
        """Pairs of one photo of each list that show the same picture; a photo of both lists is paired with itself."""
        one, other = ([file for file in dict.fromkeys(files) if file in self._rows] for files in (first, second))
        looks_of = [self._looks.rows([self._rows[file] for file in files]) for files in (one, other)]
        return [(one[i], other[j]) for i, j in look_alikes(*looks_of)]
