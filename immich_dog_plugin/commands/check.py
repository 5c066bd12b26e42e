"""``immich-dogs check``: whether an installation is whole."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..self_check import Verdict, check_installation, check_start


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "check",
        help="check an installation: dependencies, models and, inside Immich, the patched service",
        description="Check the plugin's dependencies and run each of its models once. With TREE also check that "
        "Immich's ML service there is patched and finds the plugin, whether its release is a tested one, and what "
        "hardware it is for. Exit code 1 if something does not fit; a warning does not count.",
    )
    parser.add_argument(
        "tree", nargs="?", type=Path, metavar="TREE", help="the folder that holds immich_ml: /usr/src in the image"
    )
    parser.add_argument(
        "--people",
        action="store_true",
        help="only what dogs on the People page need, nothing where they are off: the image does so before it starts",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 1 where a part does not fit; the others are still checked."""
    whole = True
    for finding in check_start() if args.people else check_installation(args.tree):
        # at once: where memory is short the system may end this without a word, and the last line says at what
        print(f"{finding.verdict}: {finding.part}: {finding.detail}", flush=True)
        whole = whole and finding.verdict is not Verdict.FAILED
    return 0 if whole else 1
