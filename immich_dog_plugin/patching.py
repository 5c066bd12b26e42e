"""Checks, applies and reverts the plugin's patch on a tree of Immich's ML service.

The patch adds the task and the type to the service's enums, lets it ask installed plugins for a model class, and runs
models that depend on each other level by level. It names no class of this plugin: with the plugin uninstalled, a
patched service answers as an unpatched one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .errors import PatchError
from .unified_diff import FileDiff, Misfit, apply_to, parse

PACKAGE = "immich_ml"


@dataclass(frozen=True, slots=True)
class Family:
    """Releases of Immich with the same seams, for which one patch does."""

    releases: str
    patch: str


TWO_WAVES = Family("v1.131 to v3.2", "immich-ml-v1.131-v3.2.patch")


class State(StrEnum):
    """How the patch and a tree stand to each other."""

    APPLIES = "the patch applies"
    APPLIED = "the patch is applied"
    MISFIT = "the patch does not fit"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What there is to know about a tree.

    Attributes:
        root: the folder that holds ``immich_ml``.
        family: the releases that the tree's seams belong to.
        state: whether the patch can be applied or is applied.
        misfits: why it does not fit; empty unless ``state`` is MISFIT.
        switched: the files that the patch touches with what they would hold in the other state: patched if the patch
            applies, as released if it is applied.
    """

    root: Path
    family: Family
    state: State
    misfits: tuple[Misfit, ...]
    switched: Mapping[Path, bytes]


def inspect(tree: Path) -> Inspection:
    """Finds out which releases a tree belongs to and whether the patch fits; changes nothing.

    Args:
        tree: the folder ``immich_ml``, the folder that holds it, or a checkout of Immich.

    Raises:
        PatchError: not a tree of Immich's ML service, or one of a release that no patch is made for.
    """
    root = _find_root(tree)
    family = _family(root)
    diffs = parse(_patch_text(family))
    contents = {diff.path: _read(root / diff.path) for diff in diffs}
    # the reverse is tried first: a hunk that only adds lines would find its context in a patched file too
    switched, misfits = _transform(contents, [diff.reversed() for diff in diffs])
    state = State.APPLIED
    if misfits:
        switched, misfits = _transform(contents, diffs)
        state = State.MISFIT if misfits else State.APPLIES
    files = {(root / path).resolve(): content for path, content in switched.items()}
    return Inspection(root, family, state, misfits, files)


def apply(tree: Path) -> bool:
    """Applies the patch; all files or none.

    Returns:
        False if it was applied already.

    Raises:
        PatchError: it does not fit, or the tree cannot be written.
    """
    return _switch(tree, State.APPLIES)


def revert(tree: Path) -> bool:
    """Takes the patch out; every byte is as before.

    Returns:
        False if it was not applied.

    Raises:
        PatchError: neither applied nor applicable, or the tree cannot be written.
    """
    return _switch(tree, State.APPLIED)


def _switch(tree: Path, wanted: State) -> bool:
    inspection = inspect(tree)
    if inspection.state is State.MISFIT:
        raise misfit_error(inspection)
    if inspection.state is not wanted:
        return False
    _replace_all(inspection.switched)
    return True


def misfit_error(inspection: Inspection) -> PatchError:
    details = "\n".join(str(misfit) for misfit in inspection.misfits)
    return PatchError(
        f"The patch for {inspection.family.releases} does not fit {inspection.root}; nothing was changed:\n{details}",
        "Take a fresh tree of the release, or rebase the patch as patches/README.md shows",
    )


def _transform(contents: Mapping[str, bytes], diffs: Iterable[FileDiff]) -> tuple[dict[str, bytes], tuple[Misfit, ...]]:
    """The contents with all diffs put in, or none and every reason why not."""
    results: dict[str, bytes] = {}
    misfits: list[Misfit] = []
    for diff in diffs:
        result = apply_to(contents[diff.path], diff)
        if isinstance(result, bytes):
            results[diff.path] = result
        else:
            misfits.extend(result)
    return ({}, tuple(misfits)) if misfits else (results, ())


def _find_root(tree: Path) -> Path:
    tree = tree.resolve()
    if not tree.is_dir():
        raise PatchError(
            f"{tree} is not a folder", f"Name the folder that holds {PACKAGE}, such as /usr/src in the image"
        )
    if root := _folder_with(PACKAGE, tree):
        return root
    if _folder_with("app", tree):
        raise PatchError(f"{tree} is a release before v1.131, where the package was called 'app'", "Update Immich")
    raise PatchError(
        f"{tree} is no tree of Immich's ML service: there is no {PACKAGE}/main.py",
        f"Name the folder that holds {PACKAGE}: /usr/src in the image, machine-learning in a checkout",
    )


def _folder_with(package: str, tree: Path) -> Path | None:
    for folder in (tree, tree / package, tree / "machine-learning" / package):
        if folder.name == package and (folder / "main.py").is_file() and (folder / "models").is_dir():
            return folder.parent
    return None


def _family(root: Path) -> Family:
    """Which seams a tree has. They are probed, since the image has no pyproject.toml, and some named older releases."""
    if (root / PACKAGE / "pipeline.py").is_file():
        raise PatchError(
            f"{root / PACKAGE} is v3.3 or newer (it has a pipeline.py), which this plugin does not support yet",
            f"Use an image of {TWO_WAVES.releases}, or a newer version of the plugin",
        )
    models = root / PACKAGE / "models" / "__init__.py"
    if models.is_file() and b"def get_model_class(" in models.read_bytes():
        return TWO_WAVES
    raise PatchError(
        f"{root / PACKAGE} belongs to no release that is known: models/__init__.py defines no get_model_class",
        f"Use a tree of {TWO_WAVES.releases}",
    )


def _patch_text(family: Family) -> str:
    # in the wheel the patches lie in the package; in a checkout beside it
    for folder in (Path(__file__).parent / "patches", Path(__file__).parents[1] / "patches"):
        if (folder / family.patch).is_file():
            return (folder / family.patch).read_text("utf-8")
    raise PatchError(f"The plugin's own file patches/{family.patch} is missing", "Install the plugin again")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PatchError(f"{path} cannot be read: {error.strerror}", "Take a complete tree of the release") from error


def _replace_all(contents: Mapping[Path, bytes]) -> None:
    """Writes all files or none.

    The new files and copies of the old ones are written first, so that what is left is renaming: to put a file in
    place, or back, needs no space on the disk.
    """
    new: dict[Path, Path] = {}
    old: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            new[path] = _write_beside(path, content)
            old[path] = _write_beside(path, _read(path))
        for path, temporary in new.items():
            os.replace(temporary, path)
    except BaseException as error:
        for path, copy in old.items():
            os.replace(copy, path)
        if not isinstance(error, OSError):
            raise
        raise PatchError(
            f"{error.filename or path} cannot be written: {error.strerror}; the tree is as it was",
            "Make room, or run as a user who may write there",
        ) from error
    finally:
        for temporary in (*new.values(), *old.values()):
            temporary.unlink(missing_ok=True)


def _write_beside(path: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        shutil.copymode(path, temporary)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
