"""``python -m harness.rebase TAG``: what the patch could be for a new release of Immich. Needs git."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.immich_source import clone
from immich_dog_plugin import patching
from immich_dog_plugin.errors import DogPluginError, OutputError, PatchError

from . import merging
from .merging import Block, MovedSeam, Proposal


def main(argv: Sequence[str] | None = None) -> int:
    """Propose the patch for a release. Exit code 1 if something is left to decide or cannot be had."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.rebase",
        description="Says which seams moved, merges the patch into the new release and writes the result as a new "
        "patch. Where a person has to decide, it writes the files with git's conflict markers instead: edit them and "
        "call it again with --merged. No file is ever written over. Exit code 1 if something is left to decide.",
    )
    parser.add_argument("release", metavar="TAG", help="a tag of Immich, such as v3.4.0, or a folder with its tree")
    parser.add_argument("--base", metavar="TAG", help="a release or tree that the patch fits (default: the newest)")
    parser.add_argument("--merged", type=Path, metavar="FOLDER", help="the files in which the conflicts are decided")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the new patch (default: immich-ml-TAG.patch)")
    try:
        return run(parser.parse_args(argv))
    except DogPluginError as error:
        print(f"harness.rebase: {error}", file=sys.stderr)
        return 1


def run(args: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        new = stack.enter_context(tree_of(args.release))
        base = stack.enter_context(tree_of(args.base)) if args.base else None
        family = family_of(new, base)
        patch = patching.patch_text(family)
        if merging.fits(patch, new):
            print(f"{family.patch} fits {args.release}: nothing to rebase")
            return 0
        base = base or stack.enter_context(tree_of(family.base))
        if args.merged:
            proposal = merging.finish(patch, new, read_merged(args.merged, patch, new, base))
        else:
            proposal = merging.propose(patch, base, new)
    name = re.sub(r"[^\w.-]+", "-", Path(args.release).resolve().name)
    return report(proposal, family, args.release, args.out or Path(f"immich-ml-{name}.patch"))


@contextlib.contextmanager
def tree_of(release: str) -> Iterator[Path]:
    """The folder that holds ``immich_ml``: of a tree that is there, or of a release that is cloned for as long."""
    if Path(release).is_dir():
        yield patching.find_root(Path(release))
        return
    with tempfile.TemporaryDirectory(prefix="immich-") as folder:
        clone(release, Path(folder, "source"))
        yield patching.find_root(Path(folder, "source"))


def family_of(new: Path, base: Path | None) -> patching.Family:
    """The family of the new release, or that of the base if its seams moved beyond recognition."""
    try:
        return patching.find_family(new)
    except PatchError:
        if base is None:
            raise
        return patching.find_family(base)


def read_merged(folder: Path, patch: str, new: Path, base: Path) -> dict[str, str]:
    """The files that hold the patch: those of the folder, and those that need no decision."""
    files = dict(merging.propose(patch, base, new).files)
    files |= {path: (folder / path).read_text("utf-8") for path in files if (folder / path).is_file()}
    for path, text in files.items():
        if merging.has_conflicts(text):
            raise PatchError(f"{folder / path} still holds conflicts, or is missing", "Decide them, then call it again")
    return files


def report(proposal: Proposal, family: patching.Family, release: str, out: Path) -> int:
    for seam in proposal.seams:
        print(describe(seam, family))
    for path, count in proposal.touching.items():
        if count:
            print(f"{path}: {count} place(s) where both changes touch were put together: look at them")
    for fault in proposal.faults:
        print(fault)
    if proposal.patch is None:
        folder = out.with_suffix(".conflicts")
        write_new({folder / path: text for path, text in proposal.files.items()})
        left = ", ".join(f"{count} in {path}" for path, count in proposal.conflicts.items() if count)
        print(
            f"Left to decide: {left or 'see above'}. Edit the files in {folder}, then: "
            f"python -m harness.rebase {release} --merged {folder}"
        )
        return 1
    write_new({out: proposal.patch})
    print(
        f"{out} is written: it applies, reverts to every byte, and what it makes is Python. Whether that answers as it"
    )
    print("should is for a check of the release to say: patches/README.md says how")
    return 0


def describe(seam: MovedSeam, family: patching.Family) -> str:
    return "\n".join(
        [
            f"{seam.path}, hunk {seam.hunk} of {family.patch}: {seam.reason}",
            "  it was made for:",
            *_numbered(seam.before),
            "  and now there is:",
            *(_numbered(seam.now) or ["         (nothing)"]),
        ]
    )


def write_new(files: dict[Path, str]) -> None:
    """Write files none of which may be there.

    Raises:
        OutputError: one is.
    """
    for file in files:
        if file.exists():
            raise OutputError(f"{file} is there already", "Move it away, or name another file with --out")
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def _numbered(block: Block) -> list[str]:
    return [f"    {number:4d} | {line}" for number, line in block]


if __name__ == "__main__":
    raise SystemExit(main())
