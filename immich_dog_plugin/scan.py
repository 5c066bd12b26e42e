"""Which photos a folder holds, and which dog its subfolders name."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .derived_folders import derived
from .errors import PhotoError
from .imaging import PHOTO_SUFFIXES, looks_like_photo

STORE = "identify.sqlite"  # the file that marks a folder as the output of an earlier run

_OUTPUT = "the output of an earlier run"
_MAX_KINDS = 10
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
class LeftOut:
    """A file or folder that was not looked at.

    Attributes:
        key: its path below the scanned folder.
        kind: of a file its suffix in lower case, or ``without a suffix``; of a folder what it holds, in words.
        folder: whether it is a folder.
    """

    key: str
    kind: str
    folder: bool = False


@dataclass(frozen=True, slots=True)
class Scan:
    """What a folder holds; whoever reads it reports what is no photo.

    Attributes:
        photos: in natural order of their keys.
        failures: folders that cannot be read.
        left_out: files that are no photos, and folders that hold none of their own.
    """

    photos: list[PhotoFile]
    failures: list[Failure]
    left_out: list[LeftOut]


def scan(root: Path, exclude: Path | None = None) -> Scan:
    """List the photos below ``root``, following links; ``exclude`` (an output folder) is not entered.

    A photo has a photo's suffix; without any suffix its first bytes decide. Folders that hold no photos of their own
    (``derived_folders``, and the output of an earlier run) are left out, hidden files and folders are not mentioned.

    Raises:
        PhotoError: ``root`` is not a folder, cannot be read, or holds no photo.
    """
    _check_folder(root)
    excluded = None if exclude is None else exclude.resolve()
    photos: list[PhotoFile] = []
    failures: list[Failure] = []
    left_out: list[LeftOut] = []
    visited = {_identity(root)}

    def unreadable(error: OSError) -> None:
        reason = f"the folder cannot be read ({error.strerror}). Check its permissions"
        failures.append(Failure(_key(Path(error.filename), root), reason))

    for folder, subfolders, files in os.walk(root, onerror=unreadable, followlinks=True):
        here = Path(folder)
        entered = []
        for name in subfolders:
            kind = _why_not(here / name, excluded)
            if kind:
                left_out.append(LeftOut(_key(here / name, root), kind, folder=True))
            elif kind is None and _is_new(here / name, visited):
                entered.append(name)
        subfolders[:] = entered
        for name in files:
            if name.startswith("."):
                continue
            key, suffix = _key(here / name, root), _suffix(name)
            if not (suffix in PHOTO_SUFFIXES or (not suffix and _begins_as_photo(here / name))):
                left_out.append(LeftOut(key, suffix or "without a suffix"))
                continue
            photos.append(PhotoFile(here / name, key, key.split("/")[0] if "/" in key else None))
    if not photos:
        raise _no_photos(root, failures, left_out)
    photos.sort(key=lambda photo: _natural(photo.key))
    left_out.sort(key=lambda one: _natural(one.key))
    return Scan(photos, failures, left_out)


def in_words(left_out: Iterable[LeftOut]) -> str:
    """What was left out by its kind, the most frequent first.

    >>> in_words([LeftOut("a.dng", ".dng"), LeftOut("b.DNG", ".dng"), LeftOut("thumbs", "previews by Immich", True)])
    '2 .dng, 1 folder (previews by Immich)'
    """
    counts = Counter((one.kind, one.folder) for one in left_out).most_common()
    words = [
        f"{count:,} folder{'' if count == 1 else 's'} ({kind})" if folder else f"{count:,} {kind}"
        for (kind, folder), count in counts[:_MAX_KINDS]
    ]
    if counts[_MAX_KINDS:]:
        words.append(f"{sum(count for _, count in counts[_MAX_KINDS:]):,} of other kinds")
    return ", ".join(words)


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise PhotoError(f"The folder {root} does not exist", "Check the path")
    if not root.is_dir():
        raise PhotoError(f"{root} is not a folder", "Give the folder that holds the photos")
    try:
        os.scandir(root).close()
    except OSError as error:
        raise PhotoError(f"The folder {root} cannot be read ({error.strerror})", "Check its permissions") from error


def _why_not(folder: Path, excluded: Path | None) -> str | None:
    """Why not to walk into a folder, empty where nobody needs to be told; ``None``: walk."""
    if folder.name.startswith("."):
        return ""
    try:
        if folder.resolve() == excluded:
            return ""
        return _OUTPUT if (folder / STORE).exists() else derived(folder)
    except OSError:
        return None  # os.walk reports it


def _is_new(folder: Path, visited: set[tuple[int, int]]) -> bool:
    """Each folder is walked once, however many links (or a circle of them) lead to it."""
    try:
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


def _suffix(name: str) -> str:
    """The suffix in lower case; what follows the dot of a date (``Rex 12.03.2021``) or of a sentence is none."""
    suffix = Path(name).suffix.lower()
    return suffix if re.search(r"[^\W\d_]", suffix) and " " not in suffix else ""


def _begins_as_photo(path: Path) -> bool:
    # Opening a pipe would wait for ever.
    return path.is_file() and looks_like_photo(path)


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


def _no_photos(root: Path, failures: list[Failure], left_out: list[LeftOut]) -> PhotoError:
    reasons = [f"{failure.key}: {failure.reason}" for failure in failures[:3]]
    if left_out:
        reasons.append(f"but {in_words(left_out)}")
    found = f" ({'; '.join(reasons)})" if reasons else " (it is empty)"
    suffixes = " ".join(sorted(PHOTO_SUFFIXES))
    return PhotoError(f"The folder {root} holds no photo{found}", f"Photos are files that end in {suffixes}")
