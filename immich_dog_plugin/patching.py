"""Checks, applies and reverts the plugin's patch on a tree of Immich's ML service.

The patch adds the task and the type to the service's enums and lets it ask installed plugins; up to v3.2 it also runs
models that depend on each other level by level, which v3.3 does by itself. It names no class of this plugin: with the
plugin uninstalled, a patched service answers as an unpatched one.
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
    """Releases of Immich with the same seams, for which one patch does.

    Attributes:
        releases: which, in words.
        patch: the name of the patch's file.
        seam: a file of ``immich_ml`` and text in it that no other family has there. Seams are probed, since the image
            has no ``pyproject.toml``, and that of some releases names an older one.
        base: the newest release that the patch was made for, by its tag.
    """

    releases: str
    patch: str
    seam: tuple[str, str]
    base: str

    def has(self, root: Path) -> bool:
        """Whether the tree has this family's seam."""
        file, text = self.seam
        try:
            return text.encode() in (root / PACKAGE / file).read_bytes()
        except OSError:
            return False


TWO_WAVES = Family(
    "v1.131 to v3.2", "immich-ml-v1.131-v3.2.patch", ("models/__init__.py", "def get_model_class("), "v3.0.3"
)
PIPELINE = Family("v3.3 and newer", "immich-ml-v3.3.patch", ("pipeline.py", "class PipelineRequest"), "v3.3.1")
FAMILIES = (TWO_WAVES, PIPELINE)


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
    root = find_root(tree)
    family = find_family(root)
    diffs = parse(patch_text(family))
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


def find_root(tree: Path) -> Path:
    """The folder that holds ``immich_ml``.

    Raises:
        PatchError: not a tree of Immich's ML service.
    """
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


def find_family(root: Path) -> Family:
    """The releases that a tree's seams belong to.

    Raises:
        PatchError: to none that a patch is made for.
    """
    for family in FAMILIES:
        if family.has(root):
            return family
    known = ", ".join(f"'{family.seam[1]}' in {family.seam[0]} ({family.releases})" for family in FAMILIES)
    raise PatchError(
        f"{root / PACKAGE} belongs to no release that is known: there is none of {known}",
        "Use an image of a release that patches/COMPATIBILITY.md names, or a newer version of the plugin",
    )


def patch_text(family: Family) -> str:
    """The family's patch, a unified diff."""
    return shipped_text(family.patch)


def shipped_text(name: str) -> str:
    """A file of ``patches/``.

    Raises:
        PatchError: it is missing.
    """
    # in the wheel the patches lie in the package; in a checkout beside it
    for folder in (Path(__file__).parent / "patches", Path(__file__).parents[1] / "patches"):
        if (folder / name).is_file():
            return (folder / name).read_text("utf-8")
    raise PatchError(f"The plugin's own file patches/{name} is missing", "Install the plugin again")


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
