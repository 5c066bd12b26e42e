"""Fit the probability of the same dog on validation dogs, into the manifest: ``python -m trainers.calibrate``.

The table of the people mode comes with it. Both belong to one crop and its ``same_dog``, so ``trainers.choose`` drops
them and this comes after.
"""

from __future__ import annotations

import argparse
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from immich_dog_plugin.calibration import Calibration, logistic, reliability_curve
from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.evaluation.pairs import Counts, DogPairs, Floats, Mask
from immich_dog_plugin.evaluation.reliability import balanced, each_dog_alike
from immich_dog_plugin.manifest import Manifest
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

from .data.identity import read_identities
from .dogs_found import embed, find_dogs
from .export import PACKAGE, write_manifest
from .people_map import measure_people_map, people_section
from .runs import TrainingError

FOLDS = 10
MIN_DOGS = 4  # with two left out, two are left to make a pair of different dogs
# By the five most similar others of each validation photo, where a person reads the verdict (the first release's
# embedder). Among all 29 dogs 95 % of the "same" are right, in made-up homes of two to six of them 99 %; from 0.8 on it
# would be 92 % and 98 %, because the most similar of many different dogs come close. Of the "different" none is wrong
# among all, 3 % in the homes.
UNSURE = (0.2, 0.95)


def main() -> None:
    """Embed the validation dogs by the package's own crop, fit, print, and write into the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--package", type=Path, default=PACKAGE)
    args = parser.parse_args()

    try:
        package = ModelPackage.open(args.package)
        pipeline = DogPipeline.open(package)
        photos = read_identities(args.data, "val")
        embeddings = embed(pipeline, find_dogs(pipeline, photos), package.manifest.crop)
        labels, groups = [photo.dog for photo in photos], [photo.group for photo in photos]
        calibration = calibrate(embeddings, labels, groups)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error
    try:
        people = measure_people_map(embeddings, labels, groups, package.manifest.thresholds.same_dog)
        section = people_section(people)
    except TrainingError as error:  # of few photos a package can still be made, but none for the People page
        people, section = None, f"Not for the People page: {error}"
    manifest = package.manifest.model_copy(update={"calibration": calibration, "people": people})
    write_manifest(args.package, manifest)
    print(calibration_section(manifest), section, sep="\n\n")


def calibrate(embeddings: Floats, labels: ArrayLike, groups: ArrayLike) -> Calibration:
    """Fit on all dogs; the reliability curve is that of fits on other dogs.

    Args:
        embeddings: ``(n, d)`` unit rows.
        labels: ``(n,)``, which dog.
        groups: ``(n,)``, which original photo; two cuts of one are no pair.

    Raises:
        EvaluationError: there is no pair of one dog, or none of two dogs.
        TrainingError: too few dogs, or embeddings that are no closer for the same dog.
    """
    pairs = DogPairs.of(embeddings, labels, groups)
    same_dogs = len(np.unique(pairs.genuine_dogs))
    if same_dogs < MIN_DOGS:
        raise TrainingError(
            f"Only {same_dogs} validation dogs have two photos", f"Calibration needs {MIN_DOGS}, and better many more"
        )
    cosines = np.concatenate([pairs.genuine, pairs.impostor])
    same = np.arange(len(cosines)) < len(pairs.genuine)
    weights = np.concatenate([each_dog_alike(pairs.genuine_dogs), np.ones(len(pairs.impostor))])
    slope, intercept = fit(cosines, same, weights)
    if slope <= 0:
        raise TrainingError(
            "Photos of the same validation dog are no closer than others", "Train the embedder before it is calibrated"
        )
    folds = folds_of_dogs(labels)
    pair_folds = folds[np.concatenate([np.tile(pairs.genuine_dogs, (2, 1)), pairs.impostor_dogs], axis=1)]
    held_out = held_out_probabilities(cosines, same, weights, pair_folds)
    return Calibration(
        slope=round(slope, 4),
        intercept=round(intercept, 4),
        unsure=UNSURE,
        curve=reliability_curve(held_out, same, balanced(weights[same], weights[~same])),
        source=f"{len(pairs.genuine)} pairs of the same dog and {len(pairs.impostor)} of different dogs, of "
        f"{pairs.dogs} validation dogs; both kinds weigh the same, and so do the dogs within the first",
    )


def fit(cosines: Floats, same: Mask, weights: Floats) -> tuple[float, float]:
    """Slope and intercept of the logistic function of the cosine, by maximum likelihood at even odds.

    Each pair counts as the same dog to nearly 1, or nearly 0, and as different dogs to the rest (Platt, 1999, section
    2.2), which keeps the slope finite where no cosine of different dogs reaches one of the same dog.

    Args:
        cosines: of pairs, those of the same dog first, ``(n,)``.
        same: which pairs show the same dog, ``(n,)``.
        weights: how much each counts among its kind, ``(n,)``.
    """
    shares = balanced(weights[same], weights[~same])
    target = np.where(same, (same.sum() + 1) / (same.sum() + 2), 1 / ((~same).sum() + 2))
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8, max_iter=1000)
    model.fit(
        np.tile(cosines, 2)[:, None],
        np.repeat([1, 0], len(cosines)),
        sample_weight=np.concatenate([shares * target, shares * (1 - target)]),
    )
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def folds_of_dogs(labels: ArrayLike) -> Counts:
    """A fold for each dog ``(dogs,)``, in the order of ``numpy.unique``; folds have about as many photos."""
    names, dog = np.unique(np.asarray(labels), return_inverse=True)
    folds = np.zeros(len(names), dtype=np.int64)
    splitter = GroupKFold(min(FOLDS, len(names)))
    for number, (_, photos) in enumerate(splitter.split(dog, groups=dog)):
        folds[dog[photos]] = number
    return folds


def held_out_probabilities(cosines: Floats, same: Mask, weights: Floats, pair_folds: Counts) -> Floats:
    """Each pair predicted by a fit on pairs that show neither of its dogs, nor another dog of their folds.

    Args:
        cosines, same, weights: as for ``fit``.
        pair_folds: the folds of both dogs of each pair, ``(2, n)``.
    """
    probabilities = np.full(len(cosines), np.nan)
    ordered = np.sort(pair_folds, axis=0)
    for left_out in combinations_with_replacement(np.unique(pair_folds).tolist(), 2):
        shown = np.all(ordered == np.array(left_out)[:, None], axis=0)
        others = ~np.isin(pair_folds, left_out).any(axis=0)
        slope, intercept = fit(cosines[others], same[others], weights[others])
        probabilities[shown] = logistic(slope * cosines[shown] + intercept)
    return probabilities


def calibration_section(manifest: Manifest) -> str:
    """The calibration as Markdown, for the model card."""
    calibration = manifest.calibration
    if calibration is None:
        return "None: run `python -m trainers.calibrate`."
    low, high = calibration.unsure
    rows = [
        f"| {part.predicted:.3f} | {part.observed:.3f} | {part.weight:.3f} | {part.pairs} |"
        for part in calibration.curve
    ]
    return "\n".join(
        [
            f"Probability of the same dog = 1 / (1 + exp(-({calibration.slope} * cosine {calibration.intercept:+}))): "
            f'0.5 at a cosine of {calibration.cosine(0.5):.3f}. "Same" from {high} on (cosine '
            f'{calibration.cosine(high):.3f}), "different" below {low} ({calibration.cosine(low):.3f}), "unsure" '
            "between.",
            "",
            "It holds at even odds: as many pairs of the same dog as of different dogs. Where different dogs are the "
            "rule, or a photo is the most similar of many, fewer show the same dog than it says.",
            "",
            f"Fitted on {calibration.source}. Each pair below is predicted by a fit on dogs that it does not show; "
            f"expected calibration error {calibration.error:.3f}. The same dogs chose the crop and more, so this "
            "flatters.",
            "",
            "| predicted | observed | share of the weight | pairs |",
            "|---|---|---|---|",
            *rows,
        ]
    )


if __name__ == "__main__":
    main()
