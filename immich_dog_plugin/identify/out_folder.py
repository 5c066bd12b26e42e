"""Which folders ``identify`` may write to: it overwrites its own files only, never the user's."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import OutputError
from ..files import output_error
from ..scan import STORE

REPORT = "report.html"
DEBUG = "debug"
_OUTPUTS = (DEBUG, REPORT, "dogs.csv", "similarity.csv", "embeddings.*")  # beside the store
_CURE = "Choose another folder by --out"


def check_out_folder(out: Path, photos: Path) -> None:
    """Refuse an output folder in which a file of the user's would be overwritten; nothing is written.

    Raises:
        OutputError: ``out`` or its debug pictures would lie among ``photos``, or ``out`` holds files with the names of
            the outputs that no earlier run made. A folder of its own inside ``photos`` is fine: it is not scanned.
    """
    photos, out = photos.resolve(), out.resolve()
    if out == photos:
        raise OutputError(f"--out is the photos' own folder {photos}", _CURE)
    debug = (out / DEBUG).resolve()
    linked_into_photos = debug.parent != out and photos in debug.parents
    if debug == photos or debug in photos.parents or linked_into_photos:
        raise OutputError(f"The debug pictures would be written to {debug}, among the photos of {photos}", _CURE)
    foreign = _foreign(out)
    if foreign:
        raise OutputError(
            f"{out} holds {', '.join(foreign)}, but no {STORE}: no run of identify made it, "
            "and its files would be overwritten",
            f"{_CURE}, or move these files away",
        )


def _foreign(out: Path) -> list[str]:
    """What in a folder has the name of an output, though no earlier run left its store there."""
    try:
        names = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    except OSError as error:
        raise output_error(out, error) from error
    if STORE in names:
        return []
    # Not every file system tells capitals apart.
    return [name for name in names if any(fnmatchcase(name.casefold(), output) for output in _OUTPUTS)]
