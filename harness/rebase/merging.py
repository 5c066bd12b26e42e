"""Takes the patch to a release that it does not fit: what moved, and what the patch could be there.

Each file is merged three ways with git: from the release that the patch was made for to the new one, and to itself
with the patch. Git calls it a conflict where the two changes touch. Where they do so without changing the same line,
both are taken, to be looked at; everything else is for a person to decide.
"""

from __future__ import annotations

import ast
import difflib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.immich_source import require_git
from immich_dog_plugin.errors import PatchError
from immich_dog_plugin.unified_diff import FileDiff, Misfit, apply_to, find_all, parse

_THEIRS, _BASE, _OURS, _END = ("<<<<<<< ", "||||||| ", "=======", ">>>>>>> ")
_MOST_CONTEXT = 12  # lines around a change; a place that needs more to be found is not worth a patch

Block = tuple[tuple[int, str], ...]
"""Lines with their numbers in a file, counted from 1."""


@dataclass(frozen=True, slots=True)
class MovedSeam:
    """A hunk that does not fit any more.

    Attributes:
        path, hunk: the file, and the hunk's number in it, counted from 1.
        reason: why it does not fit.
        before, now: what the hunk looks for in the old release, and what became of it in the new one.
    """

    path: str
    hunk: int
    reason: str
    before: Block
    now: Block


@dataclass(frozen=True, slots=True)
class Proposal:
    """The patch for a new release.

    Attributes:
        seams: the hunks that moved.
        files: each file that the patch touches as it could be with the patch, among them those with conflicts.
        touching: how many places of a file both changes touch, and were put together.
        conflicts: how many places of a file are left to decide; marked in it as git does.
        faults: what is wrong with the whole, such as a file that is gone.
        patch: a unified diff, unless there are conflicts or faults.
    """

    seams: tuple[MovedSeam, ...]
    files: Mapping[str, str]
    touching: Mapping[str, int]
    conflicts: Mapping[str, int]
    faults: tuple[str, ...]
    patch: str | None


def fits(patch: str, tree: Path) -> bool:
    """Whether a tree takes the patch as it is."""
    files = [(tree / diff.path, diff) for diff in parse(patch)]
    return all(file.is_file() and isinstance(apply_to(file.read_bytes(), diff), bytes) for file, diff in files)


def propose(patch: str, base: Path, new: Path) -> Proposal:
    """Find out what the patch could be for the tree ``new``; changes no tree.

    Args:
        patch: a unified diff that fits ``base``.
        base, new: folders that hold ``immich_ml``.

    Raises:
        PatchError: the patch does not fit ``base``, or is in ``new`` already.
        UpstreamError: git is not installed.
    """
    seams: list[MovedSeam] = []
    files: dict[str, str] = {}
    touching: dict[str, int] = {}
    conflicts: dict[str, int] = {}
    faults: list[str] = []
    for diff in parse(patch):
        old = _text(base / diff.path)
        patched = _require_fit(apply_to(old.encode(), diff), base, diff.path)
        if not (new / diff.path).is_file():
            faults.append(f"{diff.path} is gone: look for what took its place")
            continue
        theirs = _text(new / diff.path)
        result = apply_to(theirs.encode(), diff)
        if isinstance(result, bytes):
            files[diff.path] = result.decode()
            continue
        if isinstance(apply_to(theirs.encode(), diff.reversed()), bytes):
            raise PatchError(f"{new / diff.path} is patched already", "Take a fresh tree of the release")
        seams += _moved(diff, result, old, theirs)
        merged = merge(theirs, old, patched)
        files[diff.path], touching[diff.path], conflicts[diff.path] = settle(merged)
    if faults or any(conflicts.values()):
        return Proposal(tuple(seams), files, touching, conflicts, tuple(faults), None)
    return finish(patch, new, files, tuple(seams), touching)


def finish(
    patch: str,
    new: Path,
    files: Mapping[str, str],
    seams: tuple[MovedSeam, ...] = (),
    touching: Mapping[str, int] | None = None,
) -> Proposal:
    """Make the patch from files that hold it, and try it: it must apply, revert and leave Python behind."""
    sections = dict(zip((diff.path for diff in parse(patch)), _sections(patch), strict=True))
    faults: list[str] = []
    parts: list[str] = []
    for path, patched in files.items():
        try:
            ast.parse(patched, filename=path)
        except SyntaxError as error:
            faults.append(f"{path} would not be Python: line {error.lineno}: {error.msg}")
        theirs = _text(new / path)
        (diff,) = parse(sections[path])
        unchanged = apply_to(theirs.encode(), diff) == patched.encode()
        part = sections[path] if unchanged else diff_that_applies(path, theirs, patched)
        if part is None:
            faults.append(f"{path}: no diff from it is found only once, or reverts to every byte")
        else:
            parts.append(part)
    proposed = None if faults else "".join(parts)
    return Proposal(seams, files, touching or {}, {}, tuple(faults), proposed)


def diff_that_applies(path: str, old: str, new: str) -> str | None:
    """The unified diff with the least context that applies and reverts to every byte; each line of context is one
    that a release may change. ``None`` if there is none."""
    for context in range(1, _MOST_CONTEXT):
        lines = difflib.unified_diff(
            old.splitlines(), new.splitlines(), f"a/{path}", f"b/{path}", lineterm="", n=context
        )
        text = "".join(f"{line}\n" for line in lines)
        if not text:
            return None
        (diff,) = parse(text)
        there, back = apply_to(old.encode(), diff), apply_to(new.encode(), diff.reversed())
        if there == new.encode() and back == old.encode():
            return text
    return None


def merge(theirs: str, base: str, ours: str) -> str:
    """Both changes of ``base`` in one, with git's conflict markers where they touch (style diff3)."""
    git = require_git()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("new release", "old release", "patch")]
        for path, text in zip(paths, (theirs, base, ours), strict=True):
            path.write_bytes(text.encode())
        labels = [argument for path in paths for argument in ("-L", path.name)]
        command = [git, "merge-file", "-p", "--diff3", *labels, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode > 127:  # up to it, the number of conflicts
        raise PatchError(f"git could not merge: {done.stderr.decode(errors='replace').strip()}", "Update git")
    return done.stdout.decode()


def settle(merged: str) -> tuple[str, int, int]:
    """Decide the conflicts in which the two changes touch, but change no line that the other changes.

    Returns:
        The text, how many conflicts were decided, and how many are left in it.
    """
    result: list[str] = []
    decided = left = 0
    lines = iter(merged.splitlines(keepends=True))
    for line in lines:
        if not line.startswith(_THEIRS):
            result.append(line)
            continue
        conflict = _read_conflict(line, lines)
        both = combine(conflict.base, conflict.ours, conflict.theirs)
        result += conflict.text if both is None else both
        decided, left = decided + (both is not None), left + (both is None)
    return "".join(result), decided, left


def combine(base: Sequence[str], one: Sequence[str], other: Sequence[str]) -> list[str] | None:
    """Both changes of ``base``; ``None`` if they change the same line.

    Where both insert at the same place, ``one`` stands first.

    >>> combine(["a", "b"], ["before", "a", "b", "after"], ["A", "b"])
    ['before', 'A', 'b', 'after']
    >>> combine(["a", "b"], ["A", "b"], ["a, too", "b"]) is None
    True
    """
    changes = sorted([*_changes(base, one), *_changes(base, other)], key=lambda change: change[:2])
    result: list[str] = []
    at = 0
    for begin, end, lines in changes:
        if begin < at:
            return None
        result += [*base[at:begin], *lines]
        at = end
    return [*result, *base[at:]]


def _changes(base: Sequence[str], text: Sequence[str]) -> Iterator[tuple[int, int, Sequence[str]]]:
    """Which lines of ``base``, from and up to, are replaced by what."""
    opcodes = difflib.SequenceMatcher(None, base, text, autojunk=False).get_opcodes()
    return ((i1, i2, text[j1:j2]) for what, i1, i2, j1, j2 in opcodes if what != "equal")


def has_conflicts(text: str) -> bool:
    return any(line.startswith((_THEIRS, _BASE, _END)) for line in text.splitlines())


@dataclass(frozen=True, slots=True)
class _Conflict:
    """The lines of a conflict: as they came, and of each side."""

    text: list[str]
    theirs: list[str]
    base: list[str]
    ours: list[str]


def _read_conflict(first: str, lines: Iterator[str]) -> _Conflict:
    conflict = _Conflict([first], [], [], [])
    side = conflict.theirs
    for line in lines:
        conflict.text.append(line)
        if line.startswith(_BASE):
            side = conflict.base
        elif line.rstrip("\r\n") == _OURS:
            side = conflict.ours
        elif line.startswith(_END):
            break
        else:
            side.append(line)
    return conflict


def _moved(diff: FileDiff, misfits: Sequence[Misfit], old: str, theirs: str) -> Iterator[MovedSeam]:
    """What each misfit's lines were in the old release, and what became of them."""
    before, now = old.splitlines(), theirs.splitlines()
    opcodes = difflib.SequenceMatcher(None, before, now, autojunk=False).get_opcodes()
    for misfit in misfits:
        lines = diff.hunks[misfit.hunk - 1].old
        begin = find_all(before, lines)[0]
        end = begin + len(lines)
        # from where the first line went to, to where the last one went
        spans = [(i1, i2, j1, j2) for _, i1, i2, j1, j2 in opcodes if i1 < end and begin < max(i2, i1 + 1)]
        i1, i2, j1, j2 = spans[0]
        first = j1 + (begin - i1) if i2 - i1 == j2 - j1 else j1
        i1, i2, j1, j2 = spans[-1]
        last = j1 + (end - i1) if i2 - i1 == j2 - j1 else j2
        yield MovedSeam(diff.path, misfit.hunk, misfit.reason, _block(before, begin, end), _block(now, first, last))


def _block(lines: Sequence[str], begin: int, end: int) -> Block:
    return tuple(enumerate(lines[begin:end], begin + 1))


def _require_fit(result: bytes | tuple[Misfit, ...], base: Path, path: str) -> str:
    if isinstance(result, bytes):
        return result.decode()
    raise PatchError(
        f"The patch does not fit {base / path} either, which it is to be rebased from:\n"
        + "\n".join(str(misfit) for misfit in result),
        "Name with --base a release that it fits, as patches/COMPATIBILITY.md lists them",
    )


def _sections(patch: str) -> list[str]:
    """The patch, cut into one diff a file."""
    sections: list[str] = []
    for line in patch.splitlines(keepends=True):
        if line.startswith("--- "):
            sections.append("")
        sections[-1] += line
    return sections


def _text(path: Path) -> str:
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise PatchError(f"{path} cannot be read: {error.strerror}", "Take a complete tree of the release") from error
    except UnicodeDecodeError as error:
        raise PatchError(f"{path} is not UTF-8", "Take a fresh tree of the release") from error
    if "\r" in text:
        raise PatchError(f"{path} has line ends that no release has (CR)", "Take a tree that git did not convert")
    return text
