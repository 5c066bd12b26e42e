"""``python -m harness.gate --service URL``: does this service tell dogs apart?

Exit codes: 0 every limit is kept; 1 a limit is missed; 2 wrong usage; 3 too few photos to tell; 4 it could not be
measured, with the reason.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from harness.gate.judge import Outcome
from harness.gate.photo_set import drawn_photo_set, read_photo_set
from harness.gate.results import PAGE, RESULTS, Run
from harness.gate.run import run_gate
from immich_dog_plugin.client import http_session
from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.html import require_jinja2
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage, find_package

NOT_MEASURED = 4


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    args = _parser().parse_args(argv)
    try:
        _require_packages()
        package = ModelPackage.read(find_package(args.package))
        photos = read_photo_set(args.test_sets, args.split) if args.test_sets else drawn_photo_set()
        out = args.out / photos.name
        progress = Console(stderr=True)
        run = run_gate(
            args.service, photos, package, out, lambda rows: track(rows, "Asking", len(photos.photos), console=progress)
        )
    except DogPluginError as error:
        print(f"gate: {error}", file=sys.stderr)
        return NOT_MEASURED
    print(summary(run))
    print(f"Results: {out / RESULTS}" + ("" if run.outcome is Outcome.PASSED else f"\nPairs:   {out / PAGE}"))
    return run.outcome.exit_code


def summary(run: Run) -> str:
    """The verdicts as lines of text."""
    lines = [f"{run.photo_set.name}: {len(run.answered)} photos of {run.dogs} dogs, {run.package}, {run.url}"]
    if run.photo_set.left_out:
        lines.append(f"{run.photo_set.left_out} photos show no dog, or say not which, and were left out")
    lines += [f"  {verdict}" for verdict in run.judgement.verdicts.values()]
    return "\n".join([*lines, str(run.outcome).upper()])


def _require_packages() -> None:
    """Fail before the photos are drawn, not after it.

    Raises:
        MissingPackageError: jinja2 or requests is not installed.
    """
    require_jinja2(f"Writing {PAGE}")
    http_session().close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m harness.gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--service", required=True, metavar="URL", help="such as http://localhost:3003")
    parser.add_argument(
        "--test-sets", type=Path, metavar="DIR", help="photos of known dogs, a subfolder for each (default: drawn dogs)"
    )
    parser.add_argument("--split", help="of the index.csv of DIR")
    parser.add_argument("--package", default=DEFAULT_PACKAGE, help="models to ask for (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/gate"), metavar="DIR", help="default: %(default)s")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
