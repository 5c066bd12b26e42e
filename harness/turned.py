"""What a turned look finds and what it takes for dogs: ``python -m harness.turned``.

Photos with a dog are laid on their side as a scanner would; counted is in how many of those that show no dog then a
turned look finds one. Photos without a dog lie upright, and every dog of a turned look is one more false alarm.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from immich_dog_plugin.geometry import LEFT_EYE, NOSE, RIGHT_EYE
from immich_dog_plugin.identify.turned import MIN_FACE_SCORE, MIN_SCORE, SIDE
from immich_dog_plugin.imaging import open_photo
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage
from immich_dog_plugin.pipeline import Dog, DogPipeline
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.scan import scan

SCORES, FACES = (0.35, 0.5, 0.65, 0.8), (0.0, 0.5, 0.8)
QUARTERS = {"90 and 270": (1, 3), "90, 180 and 270": (1, 2, 3)}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a photo that shows no dog as it lies shows turned: ``(score, face score)`` of each dog by quarter turn."""

    turned: dict[int, list[tuple[float, float]]]

    def found(self, quarters: Sequence[int], score: float, face: float) -> bool:
        """Whether one of these looks shows a dog as sure as that.

        >>> Seen({1: [(0.6, 0.4)], 3: []}).found((1, 3), score=0.6, face=0.4)
        True
        """
        return any(one >= score and other >= face for turn in quarters for one, other in self.turned[turn])


def face_score(dog: Dog) -> float:
    """The least score of eyes and nose; 0 where no face is visible."""
    return 0.0 if dog.keypoints is None else float(dog.keypoints[[LEFT_EYE, RIGHT_EYE, NOSE], 2].min())


def looked_at(pipeline: DogPipeline, files: Iterable[Path], lie: int) -> Iterator[Seen | None]:
    """Each photo after ``lie`` quarter turns: what turned looks see, ``None`` where a dog is seen as it lies."""
    for file in files:
        photo = np.ascontiguousarray(np.rot90(Pyramid(open_photo(file)).overview(SIDE), lie))
        if pipeline(photo):
            yield None
            continue
        looks = {turn: pipeline(np.ascontiguousarray(np.rot90(photo, turn))) for turn in (1, 2, 3)}
        yield Seen({turn: [(dog.score, face_score(dog)) for dog in dogs] for turn, dogs in looks.items()})


def rows(dogs: Sequence[Seen], others: Sequence[Seen]) -> Iterator[tuple[str, float, float, int, int]]:
    """Each rule: the turns, least score, least face score, photos with a dog that it finds, and false alarms."""
    for (name, quarters), score, face in product(QUARTERS.items(), SCORES, FACES):
        found, alarms = (sum(one.found(quarters, score, face) for one in some) for some in (dogs, others))
        yield name, score, face, found, alarms


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dogs", type=Path, default=Path("../shared/data/photos"), help="a dog in every photo")
    parser.add_argument("--others", type=Path, default=Path("../shared/data/negatives"), help="no dog in any photo")
    parser.add_argument("--model", default=DEFAULT_PACKAGE, metavar="NAME_OR_PATH", help="model package")
    args = parser.parse_args()
    pipeline = DogPipeline.open(ModelPackage.open(args.model))
    seen = {}
    for kind, folder, lie in (("dogs", args.dogs, 1), ("others", args.others, 0)):
        files = [photo.path for photo in scan(folder).photos]
        found = list(looked_at(pipeline, track(files, description=kind), lie))
        seen[kind] = [one for one in found if one is not None]
        print(f"{kind}: {len(files)} photos, {len(seen[kind])} show no dog as they lie")
    table = Table(title=f"Shipped: 90 and 270, score {MIN_SCORE}, face {MIN_FACE_SCORE}")
    counts = (f"of {len(seen['dogs'])} found", f"of {len(seen['others'])} wrong")
    for heading in ("turned by", "score from", "face from", *counts):
        table.add_column(heading)
    for row in rows(seen["dogs"], seen["others"]):
        table.add_row(*map(str, row))
    Console().print(table)


if __name__ == "__main__":
    main()
