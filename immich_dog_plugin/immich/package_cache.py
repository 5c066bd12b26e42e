"""Model packages in Immich's model cache, ``<cache>/dog-identification/<name>/``.

A package that the user put there counts before the one that came with the plugin. The latter is copied there when it is
first needed, and again when a newer plugin brings another one under the same name.
"""

from __future__ import annotations

import hashlib
import os.path
import shutil
import tempfile
import time
from contextlib import suppress
from glob import escape, glob
from pathlib import Path
from reprlib import repr as shortened

from fastapi import HTTPException
from immich_ml.config import clean_name, settings
from pydantic import ValidationError

from ..contract import TASK
from ..manifest import MANIFEST
from ..model_package import available_packages
from ..settings import setting_error

# Only packages that the plugin copied hold this file: the sha256 of the manifest that they came with.
ORIGIN = ".from-plugin"
SCRATCH = ".dogs-"
ABANDONED = 3600  # seconds; no copy takes that long


def bundled_package(name: str) -> Path | None:
    """The package of this name that came with the plugin, or lies in ``IMMICH_DOGS_MODELS``.

    Args:
        name: as the service's cache spells it (``clean_name``), which leaves out the dots.

    Raises:
        HTTPException: 500, a setting is wrong.
    """
    return {clean_name(known): path for known, path in _available().items()}.get(name)


def require_package(model_name: str) -> None:
    """Make sure that a package can be loaded by the name that a request gave.

    The name must be the package's own. The service would also strip paths and hub prefixes ("x/NAME") from it, and
    keep one more copy of the models in memory for every such spelling.

    Raises:
        AttributeError: the name is not a string; the service answers 422, as for its own models.
        HTTPException: 422, names the packages there are; 500, a setting is wrong.
    """
    name = clean_name(model_name)
    task_folder = settings.cache_folder / TASK
    if name == model_name != "" and holds_package(task_folder / name):
        return
    available = _available()
    if model_name in available or model_name in map(clean_name, available):
        return
    known = sorted({*available, *(file.parent.name for file in _matching(task_folder, f"[!.]*/{MANIFEST}"))})
    raise HTTPException(
        422,
        f"There is no dog model package {shortened(model_name)}, but: {', '.join(known) or 'none at all'}. "
        f"Name one of those as modelName, or put the package into {task_folder}",
    )


def holds_package(folder: Path) -> bool:
    """Whether a package can be seen in a folder. ``Path.is_file`` would raise at a folder that may not be entered, and
    at a name that is too long for one."""
    return os.path.isfile(folder / MANIFEST)  # noqa: PTH113


def is_outdated(folder: Path, bundled: Path) -> bool:
    """Whether the package in the cache is an untouched copy of another one than the plugin brings now."""
    try:
        return (folder / ORIGIN).read_bytes() == _identity(folder) != _identity(bundled)
    except OSError:  # no copy of ours, or one that cannot be read: loading it says so
        return False


def copy_package(bundled: Path, folder: Path) -> None:
    """Put a package into the cache: all of it or nothing, and what was there goes.

    Raises:
        OSError: it cannot be written, or another worker of the service put it there first.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder.parent) as scratch:
        copy = Path(scratch, "new")
        shutil.copytree(bundled, copy)
        (copy / ORIGIN).write_bytes(_identity(bundled))
        if folder.exists():
            folder.rename(Path(scratch, "old"))
        copy.rename(folder)


def remove_abandoned(task_folder: Path) -> None:
    """Remove what a worker left that was killed while it copied, a whole package at the most."""
    for scratch in _matching(task_folder, f"{SCRATCH}*"):
        with suppress(OSError):  # another worker was faster
            if time.time() - scratch.stat().st_mtime > ABANDONED:
                shutil.rmtree(scratch, ignore_errors=True)


def _matching(folder: Path, pattern: str) -> list[Path]:
    """What matches in a folder: nothing where it, or one above it, may not be entered. ``Path.glob`` would raise."""
    return [Path(name) for name in glob(str(Path(escape(str(folder)), pattern)))]  # noqa: PTH207


def _available() -> dict[str, Path]:
    try:
        return available_packages()
    except ValidationError as error:  # the service would take it for a fault of the request
        raise HTTPException(500, setting_error(error)) from error


def _identity(package: Path) -> bytes:
    return hashlib.sha256((package / MANIFEST).read_bytes()).hexdigest().encode()
