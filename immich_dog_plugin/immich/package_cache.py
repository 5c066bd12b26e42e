"""Model packages in Immich's model cache, ``<cache>/dog-identification/<name>/``.

A package that the user put there counts before the one that came with the plugin. The latter is copied there when it is
first needed, and again when a newer plugin brings another one under the same name.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from fastapi import HTTPException
from immich_ml.config import clean_name, settings

from ..contract import TASK
from ..model_package import MANIFEST, available_packages

# Only packages that the plugin copied hold this file: the sha256 of the manifest that they came with.
ORIGIN = ".from-plugin"


def bundled_package(name: str) -> Path | None:
    """The package of this name that came with the plugin, or lies in ``IMMICH_DOGS_MODELS``.

    Args:
        name: as the service's cache spells it (``clean_name``), which leaves out the dots.
    """
    return {clean_name(known): path for known, path in available_packages().items()}.get(name)


def require_package(model_name: str) -> None:
    """Make sure that a package can be loaded by the name that a request gave.

    Raises:
        HTTPException: 422, names the packages there are.
    """
    name = clean_name(model_name)
    task_folder = settings.cache_folder / TASK
    if (task_folder / name / MANIFEST).is_file() or bundled_package(name) is not None:
        return
    known = sorted({*available_packages(), *(file.parent.name for file in task_folder.glob(f"[!.]*/{MANIFEST}"))})
    raise HTTPException(
        422,
        f"There is no dog model package '{name}', but: {', '.join(known) or 'none at all'}. "
        f"Name one of those as modelName, or put the package into {task_folder / name}",
    )


def is_outdated(folder: Path, bundled: Path) -> bool:
    """Whether the package in the cache is an untouched copy of another one than the plugin brings now."""
    if not (folder / ORIGIN).is_file() or not (folder / MANIFEST).is_file():
        return False
    return (folder / ORIGIN).read_text("ascii") == _identity(folder) != _identity(bundled)


def copy_package(bundled: Path, folder: Path) -> None:
    """Put a package into the cache: all of it or nothing, and what was there goes.

    Raises:
        OSError: it cannot be written, or another worker of the service put it there first. The service answers by
            loading again.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".dogs-", dir=folder.parent) as scratch:
        copy = Path(scratch, "new")
        shutil.copytree(bundled, copy)
        (copy / ORIGIN).write_text(_identity(bundled), "ascii")
        if folder.exists():
            folder.rename(Path(scratch, "old"))
        copy.rename(folder)


def _identity(package: Path) -> str:
    return hashlib.sha256((package / MANIFEST).read_bytes()).hexdigest()
