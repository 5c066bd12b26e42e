"""Which photos a folder holds, and which dog its subfolders name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import PhotoError
from .imaging import PHOTO_SUFFIXES

STORE = "identify.sqlite"  # the file that marks a folder as the output of an earlier run

# Thumbnails and wastebaskets that a NAS leaves between the photos.
_SKIPPED_FOLDERS = frozenset({"@eadir", "#recycle", "#snapshot", "$recycle.bin", "lost+found"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a terminal obeys them


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """One photo on disk.

    Attributes:
        path: where to read it.
        key: the path below the scanned folder with ``/`` between its parts; unique, and always printable UTF-8.
        name: the top-level subfolder, taken as the dog's name; ``None`` for a photo that lies in no subfolder.
    """

    path: Path
    key: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A file or folder that could not be used, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a folder holds: the photos in natural order of their keys, unreadable folders, and how many other files."""

    photos: list[PhotoFile]
    failures: list[Failure]
    other_files: int


def scan(root: Path, exclude: Path | None = None) -> Scan:
    """List the photos below ``root``, following links; ``exclude`` (an output folder) is not entered.

    Nor is the output folder of an earlier run: its debug pictures are no photos.
    Hidden files and folders and the thumbnail folders of a NAS are skipped silently, other files that have no
    photo's suffix are counted.

    Raises:
        PhotoError: ``root`` is not a folder, cannot be read, or holds no photo.
    """
    _check_folder(root)
    excluded = None if exclude is None else exclude.resolve()
    photos: list[PhotoFile] = []
    failures: list[Failure] = []
    other_files = 0
    visited = {_identity(root)}

    def unreadable(error: OSError) -> None:
        reason = f"the folder cannot be read ({error.strerror}). Check its permissions"
        failures.append(Failure(_key(Path(error.filename), root), reason))

    for folder, subfolders, files in os.walk(root, onerror=unreadable, followlinks=True):
        here = Path(folder)
        subfolders[:] = [name for name in subfolders if _enters(here / name, excluded, visited)]
        for name in files:
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() not in PHOTO_SUFFIXES:
                other_files += 1
                continue
            key = _key(here / name, root)
            photos.append(PhotoFile(here / name, key, key.split("/")[0] if "/" in key else None))
    if not photos:
        raise _no_photos(root, failures, other_files)
    photos.sort(key=lambda photo: _natural(photo.key))
    return Scan(photos, failures, other_files)


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise PhotoError(f"The folder {root} does not exist", "Check the path")
    if not root.is_dir():
        raise PhotoError(f"{root} is not a folder", "Give the folder that holds the photos")
    try:
        os.scandir(root).close()
    except OSError as error:
        raise PhotoError(f"The folder {root} cannot be read ({error.strerror})", "Check its permissions") from error


def _enters(folder: Path, excluded: Path | None, visited: set[tuple[int, int]]) -> bool:
    """Whether to walk into a folder; each is walked once, however many links (or a circle of them) lead to it."""
    if folder.name.startswith(".") or folder.name.lower() in _SKIPPED_FOLDERS:
        return False
    try:
        if folder.resolve() == excluded or (folder / STORE).exists():
            return False
        identity = _identity(folder)
    except OSError:
        return True  # os.walk reports it
    if identity in visited:
        return False
    visited.add(identity)
    return True


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _key(path: Path, root: Path) -> str:
    """The path below ``root``. What is no UTF-8 (names on Linux are bytes) or a control character is ``\\xNN``."""
    key = os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", key)


def _natural(key: str) -> tuple[list[list[tuple[int, str]]], str]:
    """Sorts ``2.jpg`` before ``10.jpg`` and ``Rex/`` before ``Rex2/``; capitals count only between equals."""
    folders = [
        [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in re.split(r"(\d+)", name)]
        for name in key.split("/")
    ]
    return folders, key


def _no_photos(root: Path, failures: list[Failure], other_files: int) -> PhotoError:
    reasons = [f"{failure.key}: {failure.reason}" for failure in failures[:3]]
    if other_files:
        reasons.append(f"{other_files} file{'' if other_files == 1 else 's'} of other kinds")
    found = f" ({'; '.join(reasons)})" if reasons else " (it is empty)"
    suffixes = " ".join(sorted(PHOTO_SUFFIXES))
    return PhotoError(f"The folder {root} holds no photo{found}", f"Photos are files that end in {suffixes}")
