"""``immich-dogs evaluate``: how well a model package tells the dogs of your photos apart."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..dog_names import anyway, contradicted, refusal
from ..errors import EvaluationError
from ..evaluation import tables
from ..evaluation.embedded import EmbeddedPhotos, embed_photos
from ..evaluation.embeddings_file import read_embeddings
from ..evaluation.evaluate import Evaluation, evaluate
from ..evaluation.photos import no_names, read_labelled_photos
from ..evaluation.report import (
    FIGURES,
    REPORT,
    Facts,
    check_out_folder,
    require_packages,
    write_figures,
    write_report,
)
from ..identify.verdicts import Verdicts
from ..manifest import Manifest
from ..model_package import DEFAULT_PACKAGE, ModelPackage
from ..pipeline import DogPipeline
from . import arguments
from .progress import photo_progress
from .scanned import print_failures, print_left_out

_CHOSE = ("val", "valid", "validation", "dev")
_TRAINED = ("train", "training")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="measure how well dogs are told apart, with intervals",
        description=(
            "Measure how well a model package tells dogs apart: same dog or not, search, unknown dogs, what Immich "
            "would make of households, and what the background gives away. Every figure comes with a 95 % interval."
        ),
        epilog=(
            "PHOTOS holds a folder per dog. An index.csv in it is used instead, with the columns dog and file, and "
            "perhaps split, set (reported by itself too), source_group (cuts of one original) and session (taken on "
            "one occasion). FILE is an embeddings.npz of immich-dogs identify; or .npz with the arrays embeddings "
            "and labels, and perhaps groups, sets, sessions and keys; or .csv with the columns dog, 0, 1, 2, ..., and "
            "perhaps file, source_group, set and session."
        ),
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("photos", type=Path, nargs="?", metavar="PHOTOS", help="folder of one subfolder per dog")
    what.add_argument("--embeddings", type=Path, metavar="FILE", help="evaluate these embeddings instead of photos")
    parser.add_argument("--split", metavar="NAME", help="only the photos of this split of PHOTOS/index.csv")
    parser.add_argument(
        "--model",
        metavar="NAME_OR_PATH",
        help=f"model package (default: {DEFAULT_PACKAGE}); with --embeddings the one whose thresholds apply",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"write {REPORT} and {FIGURES} there")
    arguments.add_workers(parser)
    arguments.add_names(parser, ("auto", "folder"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 where there are figures."""
    if args.out is not None:
        require_packages()
        check_out_folder(args.out)
    if args.embeddings is not None:
        photos, facts, manifest = _from_file(args)
    else:
        photos, facts, manifest = _from_photos(args)
    evaluation = evaluate(photos, manifest.thresholds, manifest.calibration) if manifest else evaluate(photos, None)
    # Rich takes a pipe for 80 columns, too few for the ten of the first table.
    _print(Console(highlight=False, width=None if sys.stdout.isatty() else 160), evaluation, photos, facts)
    if args.out is not None:
        write_figures(args.out / FIGURES, evaluation, photos, facts)
        write_report(args.out / REPORT, evaluation, photos, facts)
        print(f"Report: {args.out / REPORT}")
    return 0


def _from_photos(args: argparse.Namespace) -> tuple[EmbeddedPhotos, Facts, Manifest]:
    labelled = read_labelled_photos(args.photos, args.split, args.out, args.names)
    package = ModelPackage.open(args.model or DEFAULT_PACKAGE)
    pipeline = DogPipeline.open(package)
    with photo_progress(len(labelled.photos)) as track:
        photos = embed_photos(labelled.photos, pipeline, package, track, args.workers)
    if args.names == "auto" and labelled.by_folder:
        _refuse_contradicted(photos, package)
    photos = replace(photos, failures=[*labelled.failures, *photos.failures], left_out=list(labelled.left_out))
    notes = [_thresholds_note(package)]
    if labelled.without_dog_name:
        notes.append(f"Photos in no subfolder: {labelled.without_dog_name}, left out, for nothing names their dog.")
    if labelled.refused_names:
        notes.append(
            f"{refusal(labelled.refused_names)}, so these photos are left out; {anyway(labelled.refused_names)}."
        )
    source = f"{args.photos}, split {args.split}" if args.split else str(args.photos)
    return photos, Facts(source, str(package), _how_far_to_believe(args.split), notes), package.manifest


def _refuse_contradicted(photos: EmbeddedPhotos, package: ModelPackage) -> None:
    found = photos.found
    _, originals = np.unique(photos.groups[found], return_inverse=True)
    names = photos.labels[found].tolist()
    if contradicted(photos.embeddings[found], originals, names, Verdicts.of(package.manifest).same_from):
        raise no_names(tuple(dict.fromkeys(names)))


def _from_file(args: argparse.Namespace) -> tuple[EmbeddedPhotos, Facts, Manifest | None]:
    if args.split is not None:
        raise EvaluationError("--split chooses among the photos of an index, and embeddings have none", "Leave it out")
    photos = read_embeddings(args.embeddings)
    source, warning = str(args.embeddings), _how_far_to_believe(None)
    if args.model is None:
        note = "No --model says whose thresholds apply: none is judged, and no household simulated."
        return photos, Facts(source, "", warning, [note]), None
    package = ModelPackage.open(args.model)
    return photos, Facts(source, str(package), warning, [_thresholds_note(package)]), package.manifest


def _thresholds_note(package: ModelPackage) -> str:
    return f"Thresholds of the model package: {package.manifest.thresholds.source}."


def _how_far_to_believe(split: str | None) -> str:
    """Figures on dogs that had a part in making the package flatter it, and a reader must know."""
    kind = (split or "").casefold()
    if kind in _TRAINED:
        return "Training dogs: a package that was fitted on them tells them apart better than any other dogs."
    if kind in _CHOSE:
        return "Validation dogs choose crop, thresholds and weights: these figures flatter what they chose."
    return (
        "These figures hold for dogs like these only if nothing of the model package was fitted or chosen on them. "
        "Choose nothing by them, or they flatter from then on."
    )


def _print(console: Console, evaluation: Evaluation, photos: EmbeddedPhotos, facts: Facts) -> None:
    console.print(Text(f"{facts.source}{' · ' if facts.model else ''}{facts.model}", style="bold"))
    for note in (facts.warning, *facts.notes):
        console.print(Text(note))
    if evaluation.found is not None:
        value, interval = tables.cell_text(evaluation.found)
        console.print(
            f"A dog was found in {photos.found.sum()} of {len(photos.found)} photos: {value} ({interval}); in "
            f"{(photos.dogs > 1).sum()} it was one of several, and the largest counts"
        )
    for table in tables.tables(evaluation):
        console.print()
        console.print(_rich(table))
        console.print(Text(table.note, style="dim"))
    console.print("\nIn the second lines: 95 % intervals, dogs drawn 1,000 times with replacement; none under 5 dogs")
    print_left_out(console, photos.left_out)
    print_failures(console, photos.failures)


def _rich(table: tables.Table) -> Table:
    made = Table(title=table.title, title_justify="left", title_style="bold")
    for heading in table.headings:
        made.add_column(heading)
    for row in table.rows:
        cells = (tables.cell_text(cell) for cell in row)
        made.add_row(*(Text(f"{value}\n{interval}" if interval else value) for value, interval in cells))
    return made
