"""``immich-dogs bench``: what a photo costs, stage by stage, and how much of it is not the models."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from ..bench import Measurement, measure
from ..model_package import DEFAULT_PACKAGE, ModelPackage
from ..scan import scan
from . import arguments
from .scanned import print_failures, print_left_out


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("bench", help="time the pipeline and its models on your photos")
    parser.add_argument("photos", type=Path, help="a folder of photos, or one photo")
    parser.add_argument("--model", default=DEFAULT_PACKAGE, metavar="NAME_OR_PATH", help="model package")
    parser.add_argument(
        "--rounds", type=arguments.count, default=5, help="times each photo is run (default: %(default)s)"
    )
    parser.add_argument(
        "--limit", type=arguments.count, default=50, help="at most this many photos (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    found = None if args.photos.is_file() else scan(args.photos)
    files = [photo.path for photo in found.photos] if found else [args.photos]
    print(_table(measure(files[: args.limit], ModelPackage.open(args.model), args.rounds)))
    if found:
        console = Console(highlight=False)
        print_left_out(console, found.left_out)
        print_failures(console, found.failures)
    return 0


def _table(result: Measurement) -> str:
    rows = {"decode": result.decode_ms}
    rows |= {f"{stage} graph": ms for stage, ms in result.graph_ms.items()}
    rows["everything else"] = result.pipeline_ms - result.graphs_ms
    lines = [
        f"{result.photos} photos of {result.megapixels:.1f} megapixels on average, {result.dogs} dogs, "
        f"{result.package}, {result.threads} threads; per photo:"
    ]
    lines += [f"  {name:<20}{ms:8.2f} ms" for name, ms in rows.items()]
    photos_a_second = 1000 / (result.pipeline_ms + result.decode_ms)
    lines.append(
        f"  {'pipeline':<20}{result.pipeline_ms:8.2f} ms, {result.ratio:.3f} x its graphs alone; "
        f"{photos_a_second:.1f} photos/s with decoding"
    )
    if result.by_dogs_ms:
        by_dogs = ", ".join(f"{count}: {ms:.1f} ms" for count, ms in result.by_dogs_ms.items())
        lines.append(f"dogs in one photo   {by_dogs}")
    lines.append(f"peak memory {result.peak_mb:.0f} MB")
    return "\n".join(lines)
