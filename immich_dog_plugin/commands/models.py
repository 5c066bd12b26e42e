"""``immich-dogs models``: which model packages there are, verified, and how good they are."""

from __future__ import annotations

import argparse

from ..calibration import Calibration, percent
from ..errors import ModelPackageError
from ..model_package import ModelPackage, available_packages, find_package


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("models", help="list the model packages and verify their checksums")
    parser.add_argument("names", nargs="*", metavar="NAME_OR_PATH", help="only these (default: all that are found)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 1 where a package is damaged or none is found."""
    names = args.names or list(available_packages())
    if not names:
        find_package("any")  # raises the error that says where was searched
    damaged = 0
    for name in names:
        try:
            package = ModelPackage.open(name)
        except ModelPackageError as error:
            print(f"{name}: {error}")
            damaged += 1
        else:
            manifest = package.manifest
            print(f"{package}: verified, in {package.path}")
            print(f"  crop: {' else '.join(manifest.crop.preference)} ({manifest.crop.reason})")
            print(f"  same dog from a cosine of {manifest.thresholds.same_dog:.3f} ({manifest.thresholds.source})")
            print(f"  {_calibration(manifest.calibration)}")
    return 1 if damaged else 0


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return "no probability of the same dog: the package is not calibrated"
    low, high = calibration.unsure
    cosines = ", ".join(f"{percent(at)} at {calibration.cosine(at):.3f}" for at in (low, 0.5, high))
    return (
        f"probability of the same dog: {cosines}; expected calibration error {calibration.error:.3f} "
        f"({calibration.source})"
    )
