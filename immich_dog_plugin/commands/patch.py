"""``immich-dogs patch``: whether Immich's ML service takes the plugin's patch, and putting it in or out."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import patching


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("patch", help="check, apply or revert the patch on a tree of Immich's ML service")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    for name, run, help_text in (
        ("check", run_check, "say which releases a tree belongs to and whether the patch fits; change nothing"),
        ("apply", run_apply, "apply the patch; nothing happens if it is applied already"),
        ("revert", run_revert, "take the patch out again; every byte is as before"),
    ):
        action = actions.add_parser(
            name, help=help_text, description=f"{help_text.capitalize()}. Exit code 1 if the patch does not fit."
        )
        action.add_argument(
            "tree", type=Path, metavar="TREE", help="the folder that holds immich_ml: /usr/src in the image"
        )
        action.set_defaults(run=run)


def run_check(args: argparse.Namespace) -> int:
    inspection = patching.inspect(args.tree)
    print(f"{inspection.root / patching.PACKAGE}: Immich {inspection.family.releases}, {inspection.state}")
    for misfit in inspection.misfits:
        print(misfit)
    return 1 if inspection.state is patching.State.MISFIT else 0


def run_apply(args: argparse.Namespace) -> int:
    print(f"{args.tree}: {'patched' if patching.apply(args.tree) else 'was patched already, nothing changed'}")
    return 0


def run_revert(args: argparse.Namespace) -> int:
    print(f"{args.tree}: {'reverted' if patching.revert(args.tree) else 'was not patched, nothing changed'}")
    return 0
