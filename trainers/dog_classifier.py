"""Fit "is it a dog at all?" into the manifest: ``python -m trainers.dog_classifier``.

A logistic regression on the embeddings of what the package's detector finds in photos of dogs, cats and other animals
that train. The least detection score and the least probability are chosen together on photos held out: as many dogs
as possible, whole photos and crops of validation dogs alike, with few enough cats and other animals. Embeddings hang
on the crop, so this comes after ``trainers.choose``, and what comes after measures with it.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from immich_dog_plugin.dog_classifier import DogClassifier
from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.model_package import ModelPackage

from .animals import CROPS, Candidates, Finder, Found, best_scores, held_out, lines
from .data.sources import SOURCES
from .export import PACKAGE, write_manifest
from .kinds import CAT, DOG, KINDS, OTHER, Folders, training_photos
from .runs import TrainingError

STRENGTH = 10.0  # scikit-learn's C
MIN_SCORES = (0.2, 0.25, 0.3, 0.35, 0.4)
MIN_PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
MAX_CATS, MAX_OTHERS = 0.01, 0.02  # of the held-out photos of the sources that train
PROTOCOL = (
    "Photos that no stage was trained on; counted is in how many the pipeline answers a dog, in brackets 95 % "
    "intervals (Wilson). Least score and least probability were chosen on the dogs, the crops, and cats and other "
    "animals of the sources that train; the second source of cats and the unseen source chose nothing."
)


def main() -> None:
    """Fit, choose, print, and write into the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--package", type=Path, default=PACKAGE)
    parser.add_argument("--dogs", type=int, default=2500, help="photos at most; known dogs that train come on top")
    parser.add_argument("--cats", type=int, default=3000, help="photos at most")
    parser.add_argument("--others", type=int, default=2000, help="photos at most")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        package = ModelPackage.open(args.package)
        counts = dict(zip(KINDS, (args.dogs, args.cats, args.others), strict=True))
        photos = training_photos(Folders(), counts, args.data, args.seed)
        finder = Finder(package)
        fitted = fit({kind: finder.all(files, f"{kind} that train") for kind, files in photos.items()})
    except DogPluginError as error:
        raise SystemExit(str(error)) from error
    found = held_out(finder, args.data, Folders())
    min_score, classifier = choose(fitted, found)
    print("\n".join(lines(found, classifier, min_score, Folders())))
    manifest = package.manifest
    figures = {"protocol": PROTOCOL, "min_score": min_score, "by_kind": figures_at(found, classifier, min_score)}
    write_manifest(
        args.package,
        manifest.model_copy(
            update={
                "detection": manifest.detection.model_copy(update={"min_score": min_score}),
                "dog_classifier": classifier,
                "training_data": SOURCES,
                "metrics": {**manifest.metrics, "animals": figures},
            }
        ),
    )


def fit(found: Found) -> DogClassifier:
    """Fit on the surest candidate of each photo, every kind of answer weighing alike; nothing is dropped by it yet.

    Args:
        found: candidates of each photo, by ``KINDS``.

    Raises:
        TrainingError: the detector takes no dog, or no other animal, for one.
    """
    first = [(kind == DOG, candidates) for kind, of in found.items() for candidates in of if len(candidates)]
    is_dog = np.array([dog for dog, _ in first], dtype=bool)
    if len(np.unique(is_dog)) < 2:
        raise TrainingError("There is nothing to tell apart", "Give photos of dogs and of other animals")
    rows = np.array([row_of(candidates) for _, candidates in first])
    regression = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=3000).fit(rows, is_dog)
    *weights, face_weight = (round(float(weight), 5) for weight in regression.coef_[0])
    sources = ", ".join(f"{sum(map(bool, map(len, of)))} of {len(of)} photos of {kind}" for kind, of in found.items())
    return DogClassifier(
        weights=tuple(weights),
        face_weight=face_weight,
        intercept=round(float(regression.intercept_[0]), 5),
        min_probability=0.0,
        source=f"the surest detection in {sources}; logistic regression, C {STRENGTH:g}",
    )


def row_of(candidates: Candidates) -> FloatArray:
    """The surest candidate as the regression takes it: its embedding, and whether it holds a face."""
    return np.append(candidates.embeddings[0], np.float32(candidates.with_face[0]))


def choose(fitted: DogClassifier, found: Found) -> tuple[float, DogClassifier]:
    """The least score and the classifier with the least probability that find most dogs with few enough false alarms.

    Raises:
        TrainingError: no pair lets few enough other animals pass.
    """
    allowed = []
    for least, probability in product(MIN_SCORES, MIN_PROBABILITIES):
        classifier = with_least(fitted, probability)
        shares = {kind: share_of(found[kind], classifier, least) for kind in (DOG, CROPS, CAT, OTHER)}
        kept = shares[CAT] <= MAX_CATS and shares[OTHER] <= MAX_OTHERS
        print(f"score {least:.2f}, probability {probability:.1f}: {in_words(shares)}{'' if kept else ' (too many)'}")
        if kept:
            allowed.append((shares[DOG] + shares[CROPS], least, classifier))
    if not allowed:
        raise TrainingError("Too many other animals are taken for dogs at every score", "Train on more of them")
    _, least, classifier = max(allowed, key=lambda entry: entry[:2])
    return least, classifier


def with_least(fitted: DogClassifier, probability: float) -> DogClassifier:
    """The same classifier that drops what is less probably a dog."""
    return DogClassifier(
        fitted.weights, fitted.face_weight, fitted.intercept, min_probability=probability, source=fitted.source
    )


def share_of(found: Iterable[Candidates], classifier: DogClassifier, min_score: float) -> float:
    """The share of photos with a dog."""
    is_found: NDArray[np.bool_] = best_scores(list(found), classifier) >= min_score
    return float(is_found.mean())


def in_words(shares: Mapping[str, float]) -> str:
    """Shares in per cent."""
    return ", ".join(f"{kind} {share:.1%}" for kind, share in shares.items())


def figures_at(found: Found, classifier: DogClassifier, min_score: float) -> dict[str, dict[str, Any]]:
    """Of each kind how many photos there are, and in how many a dog is found."""
    return {
        kind: {"photos": len(of), "with_dog": int((best_scores(of, classifier) >= min_score).sum())}
        for kind, of in found.items()
        if of
    }


if __name__ == "__main__":
    main()
