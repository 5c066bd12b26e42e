"""Checks releases of Immich one by one: does the patch fit, and does everything answer as it should?

Without TAG it checks every pinned release and writes the table to patches/COMPATIBILITY.md and .json; with TAGs it
prints theirs. What was found is kept under runs/compat, so that an interrupted run goes on where it ended; it counts
until a patch, what applies it, or the plugin's classes inside Immich change. Weights do not count: a service is held
against the pipeline with the same ones. A release that fails does not stop the others; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from drawn_dogs.photos import draw_group
from harness.asking import png
from harness.compat.check import Question, check
from harness.compat.outcome import Outcome, age, commit_of
from harness.compat.table import as_json, as_markdown
from harness.upstream import COMMITS, ROOT, Upstream, checkout, install_plugin
from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

KEPT = ROOT / "runs" / "compat"
TABLE = ROOT / "patches" / "COMPATIBILITY"


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if (args.tree is None) != (args.python is None):
        print("--tree and --python belong together", file=sys.stderr)
        return 2
    tags = args.tags or ([] if args.tree else sorted(COMMITS, key=age))
    state = plugin_state()
    try:
        outcomes = [*check_tags(tags, state, fresh=args.fresh)]
        if args.tree is not None:
            outcomes.append(check_tree(args.tree, args.python, args.name, args.note, state))
    except DogPluginError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; what is done is kept in {KEPT}", file=sys.stderr)
        return 130
    today = datetime.now(UTC).date().isoformat()
    if args.tags or args.tree:
        print(as_markdown(outcomes, today))
    else:
        outcomes = sorted([*outcomes, *kept_trees(state)], key=lambda outcome: age(outcome.name))
        TABLE.with_suffix(".md").write_text(as_markdown(outcomes, today), "utf-8")
        TABLE.with_suffix(".json").write_text(as_json(outcomes, today), "utf-8")
        print(f"{TABLE.with_suffix('.md')} is written")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m harness.compat", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tags", nargs="*", metavar="TAG", help="a release (default: all that harness/upstream.py pins)")
    parser.add_argument("--fresh", action="store_true", help="check again what is kept")
    parser.add_argument(
        "--tree", type=Path, help="a folder that holds immich_ml, checked beside or instead of releases"
    )
    parser.add_argument("--python", type=Path, help="the interpreter of an environment that the tree runs in")
    parser.add_argument("--name", default="tree", help="what the tree is called in the table")
    parser.add_argument("--note", default="", help="what the table says about the tree's limits")
    return parser


def check_tags(tags: Sequence[str], state: str, *, fresh: bool) -> Iterator[Outcome]:
    """The outcome of each release, kept or new."""
    for tag in tags:
        commit = commit_of(tag)
        outcome = None if fresh else kept(tag, state)
        if outcome is None:
            print(f"{tag} ...", flush=True)
            try:
                outcome = run_check(checkout(tag))
            except DogPluginError as error:
                outcome = Outcome(name=tag, faults=[str(error)])
            outcome = outcome.model_copy(update={"commit": commit, "state": state})
            keep(outcome)
        print(f"{tag}: {'passed' if outcome.passed else 'FAILED'} ({outcome.seconds:.0f} s)", flush=True)
        yield outcome


def check_tree(tree: Path, python: Path, name: str, note: str, state: str) -> Outcome:
    outcome = run_check(Upstream(name, tree, python.absolute())).model_copy(update={"note": note, "state": state})
    keep(outcome)
    return outcome


def run_check(upstream: Upstream) -> Outcome:
    photo = draw_group([0, 1], 0).image
    question = Question(png(photo), DogPipeline.open(ModelPackage.open())(photo))
    with tempfile.TemporaryDirectory(prefix="compat-") as scratch:
        plugin = install_plugin(Path(scratch, "plugin"), upstream.python)
        folder = Path(scratch, "check")
        folder.mkdir()
        return check(upstream, plugin, question, folder)


def kept(name: str, state: str) -> Outcome | None:
    """What an earlier run found out about a release, if it still counts."""
    file = KEPT / f"{name}.json"
    if not file.is_file():
        return None
    outcome = Outcome.model_validate_json(file.read_bytes())
    return outcome if outcome.state == state and not outcome.faults else None


def kept_trees(state: str) -> list[Outcome]:
    names = [file.stem for file in KEPT.glob("*.json") if file.stem not in COMMITS]
    return [outcome for name in names if (outcome := kept(name, state)) is not None]


def keep(outcome: Outcome) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    file = KEPT / f"{outcome.name}.json"
    temporary = file.with_suffix(".new")
    temporary.write_text(outcome.model_dump_json(indent=2), "utf-8")
    temporary.replace(file)


def plugin_state() -> str:
    """A digest of what an outcome depends on: the patches, what applies them, and the models inside Immich."""
    package = ROOT / "immich_dog_plugin"
    files = [*(ROOT / "patches").glob("*.patch"), *(package / "immich").glob("*.py")]
    files += [package / "patching.py", package / "unified_diff.py", package / "pipeline.py"]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    raise SystemExit(main())
