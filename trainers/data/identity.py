"""Photos of known dogs (``identity/index.csv``) and folders of breed photos."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class IdentityPhoto:
    """One photo of a known dog; photos of one ``group`` are cuts of the same picture."""

    file: Path
    split: str
    set: str
    dog: str
    group: str


def read_identities(data: Path, split: str) -> list[IdentityPhoto]:
    """The photos of one split of ``<data>/identity/index.csv``: ``train``, ``val`` or ``test``."""
    with (data / "identity" / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    return [
        # Groups are named within their set.
        IdentityPhoto(
            data / "identity" / row["file"], split, row["set"], row["dog"], f"{row['set']}/{row['source_group']}"
        )
        for row in rows
    ]


def breed_photos(folder: Path) -> list[Path]:
    """Every photo under ``folder`` in a fixed order, without files whose content occurs more than once.

    Public copies of Stanford Dogs hold hundreds of one placeholder picture.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in {".jpg", ".jpeg", ".png"})
    digests = {file: hashlib.md5(file.read_bytes(), usedforsecurity=False).digest() for file in files}
    often = {digest for digest, count in Counter(digests.values()).items() if count > 1}
    return [file for file in files if digests[file] not in often]
