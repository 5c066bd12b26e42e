"""Stand-ins for a tree of Immich's ML service: the lines that a patch looks for, between others of our own."""

from __future__ import annotations

from pathlib import Path

from immich_dog_plugin import patching
from immich_dog_plugin.patching import Family
from immich_dog_plugin.unified_diff import FileDiff, parse


def patch_files(family: Family) -> tuple[FileDiff, ...]:
    return parse(patching.patch_text(family))


def write_tree(folder: Path, family: Family) -> Path:
    """A stand-in for ``machine-learning``: the lines that a patch looks for, between others."""
    for diff in patch_files(family):
        lines: list[str] = []
        for hunk in diff.hunks:
            lines += [f"# line {len(lines)}", *hunk.old, "# something else"]
        file = folder / diff.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
    seam, text = family.seam
    probed = folder / "immich_ml" / seam
    if not probed.is_file():
        probed.write_text(f"{text}:\n")
    (folder / "immich_ml" / "models").mkdir(exist_ok=True)
    return folder
