"""Which folders can be named after dogs: most folders of photos are named after days, cameras and programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .geometry import FloatArray
from .scan import Scan

Names = Literal["auto", "folder", "none"]
CHOICES: tuple[Names, ...] = get_args(Names)

_MONTHS = """
january february march april may june july august september october november december
jan feb mar apr jun jul aug sep sept oct nov dec
januar februar märz maerz mai juni juli oktober dezember
janvier février fevrier mars avril juin juillet août aout septembre octobre novembre décembre decembre
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
januari februari maart mei augustus
janeiro fevereiro março marco maio junho julho setembro outubro novembro dezembro
"""
_CAMERAS = "dcim camera roll img image images dsc dscn dscf pxl mvimg vid video videos gopro burst panorama"
_PROGRAMS = """
library upload uploads admin originals original import imports external thumbs
photo photos foto fotos picture pictures pics bilder album albums gallery takeout google archive backup backups
whatsapp telegram signal messenger instagram facebook snapchat screenshot screenshots download downloads
iphone ipad android icloud onedrive dropbox nextcloud mobile phone sdcard media misc unsorted untitled folder
"""
_FILLERS = "from of the and my all new old vom von aus de du la le el del di da van i e y"
_NO_NAMES = frozenset(f"{_MONTHS} {_CAMERAS} {_PROGRAMS}".split())
_WITH_THEM = _NO_NAMES | frozenset(_FILLERS.split())

_YEAR = r"(?:19|20)\d\d"
# 2021, 2021-03, 2021_03_04, 20210304, and what follows it: "2021-03 Spain". Day first: 04.03.2021.
_DATE = re.compile(
    rf"{_YEAR}(?:[-_. ]?(?:0[1-9]|1[0-2])(?:[-_. ]?[0-3]\d)?)?(?!\d).*|[0-3]?\d[-_. ][01]?\d[-_. ]{_YEAR}.*"
)
# "Design rule for Camera File system", JEITA CP-3461: three digits from 100 to 999 and five free characters.
_CAMERA_FOLDER = re.compile(r"[1-9]\d\d[0-9A-Z_]{5}")
_HEX = re.compile(r"(?=.*\d)[0-9a-f]{8,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_PER_NAME = 50  # photos of a name that are compared with those of the others
_MAX_ROWS = 10_000
_BLOCK_ROWS = 256


def can_name_a_dog(folder: str) -> bool:
    """Whether a dog can be called as a folder is; a number can stand for one.

    >>> [name for name in ("Rex", "dog 12", "2021", "DCIM", "100APPLE", "Photos from 2023") if can_name_a_dog(name)]
    ['Rex', 'dog 12']
    """
    name = folder.strip()
    if _DATE.fullmatch(name) or _CAMERA_FOLDER.fullmatch(name) or _HEX.fullmatch(name):
        return False
    words = re.findall(r"[^\W\d_]+", name.casefold())
    return not any(word in _NO_NAMES for word in words) or any(word not in _WITH_THEM for word in words)


@dataclass(frozen=True, slots=True)
class NamedScan:
    """A scan whose photos have only names that can be dogs'; ``refused`` are the folders whose names cannot."""

    scan: Scan
    refused: tuple[str, ...] = ()


def choose_names(found: Scan, names: Names) -> NamedScan:
    """Take folders' names for dogs' names: all (``folder``), none, or those that can be (``auto``)."""
    if names == "folder":
        return NamedScan(found)
    folders = dict.fromkeys(photo.name for photo in found.photos if photo.name is not None)
    refused = tuple(name for name in folders if names == "none" or not can_name_a_dog(name))
    if names == "auto" and len(refused) == 1 and refused[0].casefold() in _MONTHS.split():
        refused = ()  # months come several at once: June alone is a dog
    if not refused:
        return NamedScan(found)
    without = set(refused)
    photos = [replace(photo, name=None) if photo.name in without else photo for photo in found.photos]
    return NamedScan(replace(found, photos=photos), () if names == "none" else refused)


def contradicted(
    embeddings: FloatArray, photos: NDArray[np.int64], names: Sequence[str | None], same_from: float
) -> bool:
    """Whether the names say nothing about who is similar to whom, so that they are no dogs' names.

    Of two photos of one name a share is judged the same dog, and of two photos of two names another, each as the mean
    over the names and the pairs of names. Where names are dogs the second is a small part of the first, also with
    look-alikes among them; where folders are trips or years both are alike. Half is the limit. If no name has two
    photos, half of all pairs.

    Args:
        embeddings: ``(n, dimension)`` of unit length.
        photos: ``(n,)``, the photo of each; pairs within a photo do not count.
        names: of each, ``None`` where it has none.
        same_from: cosine from which two dogs are judged the same.
    """
    rows, labels = _sample(names)
    count = int(labels.max(initial=-1)) + 1
    if count < 2:
        return False
    chosen, own = embeddings[rows], photos[rows]
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    same, pairs = np.zeros((count, count)), np.zeros((count, count))
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        others = own[block][:, None] != own
        judged = (chosen[block] @ chosen.T >= same_from) & others
        np.add.at(same, labels[block], np.add.reduceat(judged, starts, axis=1, dtype=np.float64))
        np.add.at(pairs, labels[block], np.add.reduceat(others, starts, axis=1, dtype=np.float64))
    shares = np.divide(same, pairs, out=np.full_like(same, np.nan), where=pairs > 0)
    within = np.diagonal(shares)[np.diagonal(pairs) > 0]
    between = shares[~np.eye(count, dtype=np.bool_)]
    between = between[np.isfinite(between)]
    if not len(between):
        return False
    expected = float(within.mean()) if len(within) else 1.0
    return float(between.mean()) > 0 and float(between.mean()) >= expected / 2


def _sample(names: Sequence[str | None]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of named dogs in the order of their names, of each name evenly spread ones; and the name's number."""
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name is not None:
            rows_of.setdefault(name, []).append(row)
    each = max(2, min(_PER_NAME, _MAX_ROWS // max(len(rows_of), 1)))
    spread = [
        [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, min(each, len(rows))).round().astype(int))]
        for rows in rows_of.values()
    ]
    labels = np.repeat(np.arange(len(spread)), [len(rows) for rows in spread])
    return np.array([row for rows in spread for row in rows], dtype=np.int64), labels.astype(np.int64)


def anyway(folders: Sequence[str]) -> str:
    """How a user has the names of folders taken that were refused."""
    return f"--names folder takes {'it' if len(folders) == 1 else 'them'} anyway"


def refusal(folders: Sequence[str]) -> str:
    """What a user is told of folders whose names were not taken.

    >>> refusal(["2021", "2022", "2023", "2024"])
    "The folders 2021, 2022, 2023 … do not look like dogs' names"
    """
    if len(folders) == 1:
        return f"The folder {folders[0]} does not look like a dog's name"
    return f"The folders {', '.join(folders[:3])}{' …' if folders[3:] else ''} do not look like dogs' names"
