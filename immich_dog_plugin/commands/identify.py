"""``immich-dogs identify``: which dog is on which photo of a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..dog_names import CHOICES, anyway, refusal
from ..files import CONTINUES
from ..identify.export import EMBEDDING_FORMATS
from ..identify.grouping import UNGROUPED
from ..identify.identify import Options, Result, identify, require_packages
from ..identify.out_folder import REPORT, check_out_folder
from ..identify.queries import MATCHES, Match, one_per_dog, queries
from ..identify.verdicts import Verdict
from ..model_package import DEFAULT_PACKAGE, ModelPackage
from ..pipeline import DogPipeline
from ..scan import scan
from . import arguments
from .progress import interrupted_by_signals, photo_progress
from .scanned import print_failures, print_left_out

_EVERY_DOG_UP_TO = 30  # queries on the console; beyond it one a dog, and at most as many rows
_STYLES: dict[Verdict, str] = {"same": "green", "unsure": "yellow", "different": "red"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "identify",
        help="find, embed and group the dogs of a folder of photos",
        description=(
            "Find, embed and group the dogs of a folder of photos, and write a report. Subfolders are taken as the "
            "dogs' names where they can be. Interrupted and started again, it continues where it was."
        ),
    )
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of photos, or of one subfolder per dog")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument(
        "--format",
        action="append",
        choices=list(EMBEDDING_FORMATS),
        help="of the embeddings; may be given several times (default: npz)",
    )
    parser.add_argument("--model", default=DEFAULT_PACKAGE, metavar="NAME_OR_PATH", help="model package")
    parser.add_argument(
        "--min-score",
        type=arguments.score,
        metavar="SCORE",
        help="least detection score, 0 to 1 (default: the model package's)",
    )
    arguments.add_workers(parser)
    parser.add_argument(
        "--retry", action="store_true", help="read also the photos over which an earlier run died, one at a time"
    )
    arguments.add_names(parser, CHOICES)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 where at least one photo could be read, else 1."""
    require_packages()
    check_out_folder(args.out, args.photos)
    found = scan(args.photos, exclude=args.out)
    package = ModelPackage.open(args.model)
    pipeline = DogPipeline.open(package)
    options = Options(args.format or ["npz"], args.min_score, args.workers, args.retry, args.names)
    try:
        with interrupted_by_signals(), photo_progress(len(found.photos)) as track:
            result = identify(found, args.photos, args.out, pipeline, package, options, track)
    except KeyboardInterrupt:
        print(CONTINUES, file=sys.stderr)
        raise
    # Rich takes a pipe for 80 columns, too few for the six of the table.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    _print_result(console, result, args.out)
    return 0 if result.collection.photos else 1


def _print_result(console: Console, result: Result, out: Path) -> None:
    collection = result.collection
    ungrouped = int((result.groups == UNGROUPED).sum())
    if len(set(collection.photo_ids.tolist())) > 1:  # else no dog has another to be similar to
        console.print(_similar_table(result))
    if result.accuracy:
        console.print(
            f"Right name: {result.accuracy.top_1:.1%} top 1, {result.accuracy.top_5:.1%} top 5 "
            f"(of {_count(result.accuracy.queries, 'dog')} with a name)"
        )
    known = collection.contents - collection.computed
    console.print(
        f"{_count(collection.files, 'photo')} read: {collection.computed} analysed now, {known} known from before, "
        f"{collection.files - collection.contents} identical to another, "
        f"{collection.contents - len(collection.photos)} a smaller or edited copy of another; "
        f"{len(collection.without_dog)} without a dog"
    )
    groups = len(set(result.groups.tolist()) - {UNGROUPED})
    dogs = _count(len(collection.detections), "dog")
    console.print(f"{dogs}: {_count(groups, 'group')}, {_count(ungrouped, 'dog')} in no group")
    turned = sum(photo.turned != 0 for photo in collection.photos)
    if turned:
        console.print(f"{_count(turned, 'photo')} showed a dog only after a quarter turn: see dogs.csv and the report")
    print_left_out(console, collection.left_out)
    if result.refused_names:
        console.print(Text(f"{refusal(result.refused_names)}; {anyway(result.refused_names)}"))
    print_failures(console, collection.failures, ", all in the report")
    if result.neighbours_listed:
        console.print(f"similarity.csv holds each dog's {result.neighbours_listed} most similar dogs, not every pair")
    console.print(Text(f"Report: {out / REPORT}"), soft_wrap=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _similar_table(result: Result) -> Table:
    """The five most similar dogs: for every dog of a small folder, for one photo of each dog of a large one."""
    collection = result.collection
    rows = list(range(len(collection.detections)))
    if len(rows) > _EVERY_DOG_UP_TO:
        rows = one_per_dog(collection, result.groups)
    caption = None
    if len(rows) > _EVERY_DOG_UP_TO:
        caption = f"{_EVERY_DOG_UP_TO} of {len(rows)} dogs; the report shows more"
    table = Table(title="Most similar dogs of other photos", caption=caption)
    for heading in ("Dog", *map(str, range(1, MATCHES + 1))):
        table.add_column(heading, overflow="fold")

    def cell(match: Match) -> Text:
        mark = {None: "", True: " ✓", False: " ✗"}[match.right]
        percent = result.verdicts.percent(match.cosine)
        known = f" ({percent})" if percent else ""
        score = Text(f"{match.cosine:.3f}{known}{mark}\n", style=_STYLES[result.verdicts(match.cosine)])
        return score.append(match.detection.key, style="default")

    for query in queries(collection, rows[:_EVERY_DOG_UP_TO]):
        table.add_row(Text(query.detection.key), *(cell(match) for match in query.matches))
    return table
