"""``python -m harness.groupings``: ways of grouping on dogs that are known, and which of them validation dogs choose.

The rule, by homes, as the mean of the sets: of those that merge at most 5 % of the dogs and take at most 5 % of the
strangers into a group, the one that gives most dogs a group of their own; of those within two points of it the one that
merges least. A way that needs to know the days must give two points more than the best without, and merge no more, on
the dogs whose days are known. For each kind its best thresholds by the same rule are shown. ``--test`` shows them on
the test dogs, by which nothing is chosen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.evaluation.bootstrap import Interval
from immich_dog_plugin.evaluation.embedded import EmbeddedPhotos
from immich_dog_plugin.identify.grouping import UNGROUPED
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage

from .candidates import Candidate, candidates
from .choose import MAX_MERGED, MAX_SWALLOWED, best, best_of_each
from .homes import Library, all_dogs, homes
from .measures import Outcome, figures, outcome
from .photos import embedded

SETS = ("identity", "identity_days")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.groupings", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="default: %(default)s")
    parser.add_argument("--model", default=DEFAULT_PACKAGE, metavar="NAME_OR_PATH", help="model package")
    parser.add_argument("--test", action="store_true", help="show the chosen ones on test dogs too")
    args = parser.parse_args(argv)
    try:
        package = ModelPackage.open(args.model)
        every = candidates(package.manifest.thresholds.same_dog)
        photos = {name: embedded(args.data / name, "val", package) for name in SETS}
        outcomes = {name: measure(every, photos[name], name) for name in SETS}
        chosen, kinds = best(every, outcomes), best_of_each(every, outcomes)
        shown = sorted({0, chosen, *kinds})
        print(f"{package}, validation dogs; at most {MAX_MERGED:.0%} merged, {MAX_SWALLOWED:.0%} of strangers taken in")
        for name in SETS:
            print(table(name, every, shown, outcomes[name]))
        print(f"Chosen: {in_words(every[chosen])}")
        if args.test:
            few = [every[index] for index in shown]
            for name in SETS:
                measured = measure(few, embedded(args.data / name, "test", package), name)
                print(table(f"{name}, test", few, range(len(few)), measured))
    except DogPluginError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def measure(every: Sequence[Candidate], photos: EmbeddedPhotos, name: str) -> list[list[Outcome]]:
    """For each candidate the outcomes: first of all dogs together, then of each home."""
    libraries = [all_dogs(photos), *homes(photos)]
    return [
        [grouped(candidate, photos, library) for library in libraries] for candidate in track(every, description=name)
    ]


def grouped(candidate: Candidate, photos: EmbeddedPhotos, library: Library) -> Outcome:
    """A library grouped one way; a photo in which no dog was found is in no group."""
    seen = photos.found[library.rows]
    found = np.full(len(library.rows), UNGROUPED, dtype=np.int64)
    if seen.sum() > 1:
        found[seen] = candidate.method(photos.embeddings[library.rows[seen]], library.days[seen])
    return outcome(found, photos.labels[library.rows], library.stranger, library.first)


def table(title: str, every: Sequence[Candidate], shown: Sequence[int], outcomes: Sequence[Sequence[Outcome]]) -> str:
    """Markdown: homes, then all dogs; intervals draw dogs. The gain is over the first candidate, dog by dog."""
    lines = [
        f"\n{title}\n",
        "| | own group | gain | merged | photos in no group | strangers taken in | ARI | V | all dogs: own | merged |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for index in shown:
        together, *of_homes = outcomes[index]
        home, everyone = figures(of_homes, outcomes[0][1:]), figures([together])
        values = (home.own, home.gain, home.merged, home.ungrouped, home.swallowed, home.adjusted_rand, home.v_measure)
        cells = [*map(short, values), short(everyone.own), short(everyone.merged)]
        lines.append(f"| {in_words(every[index])} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def in_words(candidate: Candidate) -> str:
    """Its name and thresholds."""
    return ", ".join([candidate.name, *(f"{cosine:.2f}" for cosine in candidate.cosines)])


def short(interval: Interval | None) -> str:
    """Two decimals, for a table of many columns."""
    if interval is None:
        return "n/a"
    if interval.low is None or interval.high is None:
        return f"{interval.value:.2f}"
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


if __name__ == "__main__":
    raise SystemExit(main())
