"""Dogs found, and other animals taken for dogs, by kind: ``python -m trainers.animals``.

Measures packages (``--package``, by default the one in ``artifacts/``) through the whole pipeline, on photos that no
stage was trained on: see ``kinds``. A photo counts as found, or as a false alarm, if any dog is answered for it.
Each photo of a dog is also pasted into one of another animal that is two and three times its size; it is found if the
middle of an answered dog lies on it.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from immich_dog_plugin.dog_classifier import DogClassifier
from immich_dog_plugin.geometry import FloatArray, ImageArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage, find_package
from immich_dog_plugin.pipeline import DogPipeline

from .data.identity import read_identities
from .detector.measure import TIMES, pasted
from .export import PACKAGE
from .kinds import DOG, OTHER, Folders, animal_of, held_out_photos

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
LEAST = 0.1
CROPS = "dogs, crops of val"
Z = 1.96  # within so many deviations of a normal distribution's mean lie 95 %


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What the detector finds in one photo, before anything is left out.

    Attributes:
        boxes: ``(n, 4)``.
        scores: ``(n,)``, largest first.
        with_face: ``(n,)``, whether the embedding holds a face.
        embeddings: ``(n, dimension)``.
    """

    boxes: FloatArray
    scores: FloatArray
    with_face: np.ndarray
    embeddings: FloatArray

    def __len__(self) -> int:
        return len(self.boxes)

    def best(self, classifier: DogClassifier | None) -> float:
        """The best score of a dog, 0 where there is none."""
        if classifier is None or not len(self):
            return float(self.scores.max(initial=0))
        is_dog = classifier.probability(self.embeddings, self.with_face) >= classifier.min_probability
        return float(self.scores[is_dog].max(initial=0))

    def inside(self, place: tuple[int, int, int, int]) -> Candidates:
        """Those whose middle lies in ``x1 y1 x2 y2``."""
        x, y = (self.boxes[:, :2] + self.boxes[:, 2:]).T / 2
        x1, y1, x2, y2 = place
        chosen = (x1 <= x) & (x < x2) & (y1 <= y) & (y < y2)
        return Candidates(*(of[chosen] for of in (self.boxes, self.scores, self.with_face, self.embeddings)))


class Finder:
    """A package's pipeline without its classifier."""

    def __init__(self, package: ModelPackage) -> None:
        manifest = package.manifest.model_copy(update={"dog_classifier": None})
        self._pipeline = DogPipeline.open(ModelPackage(package.path, manifest))
        self._dimension = manifest.recognition.dimension

    def __call__(self, photo: ImageArray) -> Candidates:
        dogs = self._pipeline(photo, LEAST)
        return Candidates(
            np.array([dog.box for dog in dogs], dtype=np.float32).reshape(-1, 4),
            np.array([dog.score for dog in dogs], dtype=np.float32),
            np.array([dog.crop != "body" for dog in dogs], dtype=bool),
            np.array([dog.embedding for dog in dogs], dtype=np.float32).reshape(-1, self._dimension),
        )

    def all(self, files: Iterable[Path], name: str) -> list[Candidates]:
        """Those of each photo."""
        return [self(read_photo(file)) for file in track(list(files), description=name)]


Found = Mapping[str, Sequence[Candidates]]


def held_out(finder: Finder, data: Path, folders: Folders) -> Found:
    """What is found in the photos held out by kind, in dogs pasted small, and in the crops of validation dogs."""
    photos = held_out_photos(folders)
    found = {kind: finder.all(files, kind) for kind, files in photos.items()}
    for times in TIMES:
        random = np.random.default_rng(times)
        found[f"dogs, 1/{times} of the photo"] = [
            in_host(finder, file, photos[OTHER], times, random) for file in track(photos[DOG], description=f"1/{times}")
        ]
    found[CROPS] = finder.all((photo.file for photo in read_identities(data, "val")), CROPS)
    return found


def in_host(finder: Finder, file: Path, hosts: Sequence[Path], times: int, random: np.random.Generator) -> Candidates:
    """What is found of a photo pasted into one of ``hosts``; host and place are the same for every package."""
    scene, place = pasted(read_photo(file), read_photo(hosts[int(random.integers(len(hosts)))]), times, random)
    return finder(scene).inside(place)


def best_scores(found: Sequence[Candidates], classifier: DogClassifier | None) -> FloatArray:
    """The best score of a dog in each photo, 0 where there is none."""
    return np.array([candidates.best(classifier) for candidates in found], dtype=np.float32)


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927, "Probable Inference, the Law of Succession", JASA 22).

    >>> tuple(round(end, 3) for end in wilson(2, 100))
    (0.006, 0.07)
    """
    share, spread = count / of, Z * Z / of
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def interval(count: int, of: int) -> str:
    """A share in per cent, and its interval.

    >>> interval(2, 100)
    '2.0 % (0.6 to 7.0)'
    """
    low, high = (100 * end for end in wilson(count, of))
    return f"{100 * count / of:.1f} % ({low:.1f} to {high:.1f})"


def lines(found: Found, classifier: DogClassifier | None, min_score: float, folders: Folders) -> Iterator[str]:
    """A Markdown table of the photos with a dog, and which animals these are where none should be."""
    yield f"| photos | n | {' | '.join(f'{t:.2f}' for t in THRESHOLDS)} | at {min_score:.2f} (95 % interval) |"
    yield "|---" * (len(THRESHOLDS) + 3) + "|"
    scores = {kind: best_scores(candidates, classifier) for kind, candidates in found.items() if candidates}
    for kind, of in scores.items():
        cells = " | ".join(str((of >= t).sum()) for t in THRESHOLDS)
        yield f"| {kind} | {len(of)} | {cells} | {interval(int((of >= min_score).sum()), len(of))} |"
    for kind, files in held_out_photos(folders).items():
        if files and kind != DOG:
            taken = Counter(animal_of(file) for file, of in zip(files, scores[kind], strict=True) if of >= min_score)
            yield f"{kind}, taken for dogs: " + (", ".join(f"{n} {name}" for name, n in taken.most_common()) or "none")


def main() -> None:
    """Print a table for each package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="its validation dogs are the crops")
    parser.add_argument("--package", action="append", help="name or folder; give several")
    args = parser.parse_args()
    for name in args.package or [PACKAGE]:
        package = ModelPackage.open(find_package(name))
        found = held_out(Finder(package), args.data, Folders())
        print(f"\n{package}, photos with a dog by least score\n")
        manifest = package.manifest
        print("\n".join(lines(found, manifest.dog_classifier, manifest.detection.min_score, Folders())), flush=True)


if __name__ == "__main__":
    main()
