"""Applies the hunks of a unified diff exactly, or says what stands in the way.

The images of Immich hold neither ``git`` nor ``patch`` nor a library that applies a diff, and the base install needs
only what they hold, so the plugin brings the little it needs: a hunk may stand at another line than the diff says, but
its lines must be there exactly, and only once. There is no fuzz: a hunk that fits nearly does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .errors import PatchError

_HUNK_HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class Hunk:
    """A block of lines and what takes its place.

    Attributes:
        line: where ``old`` begins in the file the diff was made from, counted from 1.
        old: context and removed lines, without line ends.
        new: context and added lines, without line ends.
    """

    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]

    def reversed(self) -> Hunk:
        return Hunk(self.line, self.new, self.old)


@dataclass(frozen=True, slots=True)
class FileDiff:
    """What a diff changes in one file; ``path`` is relative to the tree, with forward slashes."""

    path: str
    hunks: tuple[Hunk, ...]

    def reversed(self) -> FileDiff:
        return FileDiff(self.path, tuple(hunk.reversed() for hunk in self.hunks))


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a hunk cannot be applied.

    Attributes:
        path: the file.
        hunk: the hunk's number in this file, counted from 1; 0 for the file as a whole.
        reason: one line.
        expected: the lines the hunk looks for.
        found: the lines that resemble them most, each with its number in the file; empty if nothing does.
    """

    path: str
    hunk: int
    reason: str
    expected: tuple[str, ...] = ()
    found: tuple[tuple[int, str], ...] = ()

    def __str__(self) -> str:
        where = f"{self.path}, hunk {self.hunk}" if self.hunk else self.path
        report = [f"{where}: {self.reason}"]
        report += ["  expected:", *(f"         | {line}" for line in self.expected)] if self.expected else []
        report += (
            ["  stands there:", *(f"    {number:4d} | {line}" for number, line in self.found)] if self.found else []
        )
        return "\n".join(report)


def parse(text: str) -> tuple[FileDiff, ...]:
    """Reads a unified diff of text files that exist on both sides.

    Raises:
        PatchError: the text is not such a diff.
    """
    files: list[FileDiff] = []
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if line.startswith("+++ "):
            path = line[4:].split("\t")[0].partition("/")[2]  # "b/immich_ml/main.py" -> "immich_ml/main.py"
            files.append(FileDiff(path, ()))
        elif match := _HUNK_HEADER.match(line):
            if not files:
                raise _not_a_diff(number, "a hunk before any file name")
            hunk = _parse_hunk(match, lines)
            files[-1] = FileDiff(files[-1].path, (*files[-1].hunks, hunk))
        elif not line.startswith(("--- ", "diff ", "index ")):
            raise _not_a_diff(number, f"unexpected line {line!r}")
    if not files or not all(file.hunks for file in files):
        raise _not_a_diff(1, "a file without a hunk, or no file at all")
    return tuple(files)


def _parse_hunk(header: re.Match[str], lines: Iterator[tuple[int, str]]) -> Hunk:
    start, old_count, new_count = (int(group or 1) for group in header.groups())
    old: list[str] = []
    new: list[str] = []
    while len(old) < old_count or len(new) < new_count:
        number, line = next(lines, (0, "\\"))
        if line[:1] not in (" ", "-", "+"):
            raise _not_a_diff(number, "a hunk that is shorter than its header says")
        if line[0] != "+":
            old.append(line[1:])
        if line[0] != "-":
            new.append(line[1:])
    return Hunk(start, tuple(old), tuple(new))


def _not_a_diff(number: int, why: str) -> PatchError:
    return PatchError(
        f"The patch file is damaged: line {number}: {why}",
        "Install the plugin again, or restore the file under patches/",
    )


def apply_to(content: bytes, diff: FileDiff) -> bytes | tuple[Misfit, ...]:
    """Puts all hunks of one file into its content.

    Line ends stay as they are (LF or CRLF), and so does a missing one at the end of the file, so that applying the
    reversed diff to the result gives every byte of ``content`` back.

    Returns:
        The new content, or every reason why it cannot be made.
    """
    newline = "\r\n" if b"\r\n" in content else "\n"
    # surrogateescape: bytes that are not UTF-8 pass through unharmed
    text = content.decode("utf-8", "surrogateescape")
    if newline == "\r\n" and text.count("\n") != text.count("\r\n"):
        return (Misfit(diff.path, 0, "has mixed line ends (LF and CRLF), so that reverting could not restore it"),)
    lines = text.split(newline)
    misfits: list[Misfit] = []
    begin = 0  # hunks come in the order of the file
    for number, hunk in enumerate(diff.hunks, 1):
        places = find_all(lines, hunk.old, begin)
        if len(places) == 1:
            (place,) = places
            lines[place : place + len(hunk.old)] = hunk.new
            begin = place + len(hunk.new)
        elif places:
            found = tuple((place + 1, lines[place]) for place in places)
            misfits.append(Misfit(diff.path, number, "its lines are there more than once", hunk.old, found))
        elif find_all(lines, hunk.new, begin):
            misfits.append(Misfit(diff.path, number, "is in place already, while others are not"))
        else:
            misfits.append(Misfit(diff.path, number, "its lines are not there", hunk.old, _nearest(lines, hunk)))
    return tuple(misfits) or newline.join(lines).encode("utf-8", "surrogateescape")


def find_all(lines: Sequence[str], block: Sequence[str], begin: int = 0) -> list[int]:
    """Every index from `begin` on at which ``block`` stands in ``lines``."""
    size = len(block)
    return [at for at in range(begin, len(lines) - size + 1) if tuple(lines[at : at + size]) == tuple(block)]


def _nearest(lines: Sequence[str], hunk: Hunk) -> tuple[tuple[int, str], ...]:
    """The window with most lines equal to the hunk's; the nearest to its line number among equals."""
    size = len(hunk.old)

    def likeness(at: int) -> tuple[int, int]:
        window = [line.strip() for line in lines[at : at + size]]
        return sum(bool(line.strip()) and line.strip() in window for line in hunk.old), -abs(at + 1 - hunk.line)

    best = max(range(max(len(lines) - size, 0) + 1), key=likeness)
    if likeness(best)[0] == 0:
        return ()
    return tuple((at + 1, lines[at]) for at in range(best, min(best + size, len(lines))))
