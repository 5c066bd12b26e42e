"""Folders that hold no photos of their own: what photo programs, storage servers and systems make out of photos."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

# By their name alone, which nobody would give to an album; in lower case.
_NAMES: Mapping[str, str] = {
    "@eadir": "thumbnails by a Synology NAS",
    "#recycle": "a wastebasket of a Synology NAS",
    "#snapshot": "snapshots of a Synology NAS",
    "@recycle": "a wastebasket of a QNAP NAS",
    "@recently-snapshot": "snapshots of a QNAP NAS",
    "$recycle.bin": "a wastebasket of Windows",
    "lost+found": "what a check of the disk found",
    "__macosx": "what macOS adds to an archive",
}
# Albums may have these names too: they are Immich's only beside its mark.
_IMMICH: Mapping[str, str] = {
    "thumbs": "previews by Immich",
    "encoded-video": "films by Immich",
    "profile": "portraits of Immich's users",
    "backups": "backups of Immich's database",
}
_IMMICH_MARK = ".immich"  # Immich's server writes it into each of its media folders when it first starts
_IMMICH_ORIGINALS = ("library", "upload")
# A library of Apple Photos, iPhoto or Aperture is a folder; beside the originals it holds previews, edits and faces.
_APPLE_LIBRARIES = (".photoslibrary", ".photolibrary", ".migratedphotolibrary", ".aplibrary")
_APPLE_ORIGINALS = ("originals", "masters")  # "Masters" up to macOS 10.14
_NEXTCLOUD = re.compile(r"appdata_[a-z0-9]+")  # its end is drawn by lot for each installation
_PHOTOPRISM_MARK = ".ppstorage"  # PhotoPrism's own mark of its folder of thumbnails, sidecars and backups


def derived(folder: Path) -> str | None:
    """What a folder holds instead of photos of its own, in words; ``None`` for any other folder.

    Raises:
        OSError: it cannot be looked into.
    """
    return _by_name(folder.name.lower()) or _by_place(folder)


def _by_name(name: str) -> str | None:
    return "previews by Lightroom" if name.endswith(".lrdata") else _NAMES.get(name)


def _by_place(folder: Path) -> str | None:
    name = folder.name.lower()
    if folder.name in _IMMICH and _is_of_immich(folder):
        return _IMMICH[folder.name]
    # The photos' folder itself may be the library, and named by a relative path.
    above = folder.parent.resolve()
    if above.suffix.lower() in _APPLE_LIBRARIES and name not in _APPLE_ORIGINALS:
        return "edits, previews and data by Apple's Photos"
    if name == "photodata" and (folder.parent / "DCIM").is_dir():
        return "thumbnails and edits by an iPhone"
    if _NEXTCLOUD.fullmatch(name) and (folder / "preview").is_dir():
        return "previews by Nextcloud"
    if (folder / _PHOTOPRISM_MARK).exists():
        return "thumbnails and data by PhotoPrism"
    return None


def _is_of_immich(folder: Path) -> bool:
    marked = (folder, *(folder.parent / name for name in _IMMICH_ORIGINALS))
    return any((place / _IMMICH_MARK).exists() for place in marked)
