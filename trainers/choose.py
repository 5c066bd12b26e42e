"""Choose crop and thresholds on validation dogs and write them into the manifest: ``python -m trainers.choose``.

The crop is chosen by the equal error rate over the dogs photographed on many days, because a crop that holds much
background looks good on dogs of one session for the wrong reason. Crops that are as good by it as ten dogs can tell are
told apart by the TAR at FAR 1 % over the same dogs.

The cosine from which two photos show the same dog is chosen by what Immich would make of homes of these dogs: as many
dogs as possible in one person of their own, and no more than one in twenty in a person that another dog is in too.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.progress import track

from immich_dog_plugin.evaluation.embedded import EmbeddedPhotos
from immich_dog_plugin.evaluation.household import ARRIVALS, Household, household
from immich_dog_plugin.evaluation.metrics import far_threshold
from immich_dog_plugin.evaluation.pairs import verification_pairs
from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.manifest import CropSpec, Manifest, Thresholds
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

from .crops import crop_candidates
from .data.identity import IdentityPhoto, read_identities
from .data.landmarks import read_landmarks
from .dogs_found import FoundDog, embed, find_dogs, table
from .embedder.validate import ALL, CROSS_SESSION, SAME_EER, best_over_days, figures_of
from .export import PACKAGE, write_manifest
from .keypoints.measure import best_face_threshold, estimate

# A merge costs a user more than a split: two persons are united with a click, one is taken apart photo by photo.
MAX_MERGED = 0.05
FARS = tuple(np.geomspace(0.0002, 0.02, 21).tolist())  # false accept rates whose thresholds are compared


def main() -> None:
    """Measure every candidate on validation dogs, print the table, write the best into the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--package", type=Path, default=PACKAGE)
    parser.add_argument(
        "--keep-crop",
        action="store_true",
        help="thresholds alone: after trainers.dog_classifier, whose regression hangs on the crop",
    )
    args = parser.parse_args()

    manifest = ModelPackage.open(args.package).manifest
    dogs = [dog for dog in read_landmarks(args.data) if dog.split == "val"]
    answers = estimate(DogPipeline.open(ModelPackage.open(args.package)).keypoints, dogs)
    keypoint = manifest.keypoint.model_copy(update={"min_face_score": best_face_threshold(answers)})
    write_manifest(args.package, manifest.model_copy(update={"keypoint": keypoint}))

    package = ModelPackage.open(args.package)
    pipeline = DogPipeline.open(package)
    photos = read_identities(args.data, "val")
    found = find_dogs(pipeline, photos)
    if args.keep_crop:
        limits = thresholds(embed(pipeline, found, package.manifest.crop), found)
        write_manifest(args.package, with_thresholds(package.manifest, limits))
        return
    measured = measure(pipeline, found, photos)
    for group in (ALL, CROSS_SESSION):
        print(f"\n{group}\n" + table({name: figures[group] for name, (_, _, figures) in measured.items()}))
    name = best_over_days({name: figures for name, (crop, _, figures) in measured.items() if crop is not None})
    crop, embeddings, _ = measured[name]
    print("\nchosen:", name)
    write_manifest(args.package, chosen(package.manifest, name, measured, crop, thresholds(embeddings, found)))


Measured = dict[str, tuple[CropSpec | None, FloatArray, Mapping[str, dict[str, Any]]]]


def measure(pipeline: DogPipeline, found: list[FoundDog], photos: list[IdentityPhoto]) -> Measured:
    """For every candidate its rule, its embeddings and its figures."""
    measured: Measured = {}
    for name, crop in crop_candidates().items():
        embeddings = embed(pipeline, found, crop)
        measured[name] = (crop, embeddings, figures_of(embeddings, photos))
    return measured


def thresholds(embeddings: FloatArray, found: Sequence[FoundDog]) -> Thresholds:
    """Cosines at fixed false accept rates over all validation pairs, and the one that homes of these dogs choose."""
    photos = embedded(embeddings, found)
    pairs = verification_pairs(photos.embeddings, photos.labels, photos.groups)
    homes = {far: homes_at(photos, far_threshold(pairs, far)) for far in track(FARS, description="Homes")}
    for far, of_arrivals in homes.items():
        told = "; ".join(f"{name}: {in_words(home)}" for name, home in zip(ARRIVALS, of_arrivals, strict=True))
        print(f"FAR {far:.2%}, cosine {far_threshold(pairs, far):.3f}: {told}")
    far = best_far(homes)
    told = "; ".join(f"photos {name}: {in_words(home)}" for name, home in zip(ARRIVALS, homes[far], strict=True))
    return Thresholds(
        same_dog=round(far_threshold(pairs, far), 4),
        far_1_percent=round(far_threshold(pairs, 0.01), 4),
        far_01_percent=round(far_threshold(pairs, 0.001), 4),
        source=f"{len(pairs.impostor)} impostor pairs of {len(np.unique(photos.labels))} validation dogs; 'same dog' "
        f"accepts {far:.2%} of them, chosen in homes of these dogs ({told})",
    )


def embedded(embeddings: FloatArray, found: Sequence[FoundDog]) -> EmbeddedPhotos:
    """Validation photos as the simulation takes them; when they were taken is not known."""
    photos = [dog.photo for dog in found]
    return EmbeddedPhotos(
        embeddings=embeddings,
        labels=np.array([photo.dog for photo in photos]),
        groups=np.array([photo.group for photo in photos]),
        sets=np.array([photo.set for photo in photos]),
        sessions=np.array([""] * len(photos)),
        dogs=np.array([dog.named.dogs for dog in found]),
        times=np.full(len(photos), np.nan),
        keys=[str(photo.file) for photo in photos],
    )


def homes_at(photos: EmbeddedPhotos, threshold: float) -> list[Household]:
    """What becomes of the dogs at a threshold, for both ways in which photos arrive."""
    return [household(photos, 1 - threshold, arrival=arrival) for arrival in ARRIVALS]


def best_far(homes: Mapping[float, Sequence[Household]]) -> float:
    """The false accept rate with the most dogs in one person of their own among those that merge few enough.

    Both are means over the ways in which photos arrive. Where every rate merges more, the one that merges least.
    """

    def mean(far: float, share: Literal["merged", "one_person"]) -> float:
        return float(np.mean([getattr(home, share).value for home in homes[far]]))

    few = [far for far in homes if mean(far, "merged") <= MAX_MERGED]
    return max(few, key=lambda far: mean(far, "one_person")) if few else min(homes, key=lambda far: mean(far, "merged"))


def in_words(home: Household) -> str:
    """The two shares that decide."""
    return f"{home.one_person.value:.1%} in one person of their own, {home.merged.value:.1%} merged"


def chosen(manifest: Manifest, name: str, measured: Measured, crop: CropSpec | None, limits: Thresholds) -> Manifest:
    """The manifest with the chosen crop, why it was chosen, and the thresholds that follow."""
    if crop is None:
        raise ValueError("the whole photo is no crop that the pipeline can cut")
    eer = {other: figures[CROSS_SESSION]["eer"] for other, (_, _, figures) in measured.items()}
    reason = (
        f"within {SAME_EER} of the least equal error rate on validation dogs photographed on many days, through this "
        "package's own detector and keypoints, and of these the largest TAR at FAR 1 % over the same dogs: "
        + "; ".join(f"{other} {value:.3f}" for other, value in eer.items())
    )
    table_of = {other: dict(figures) for other, (_, _, figures) in measured.items()}
    return with_thresholds(manifest, limits).model_copy(
        update={
            "crop": crop.model_copy(update={"reason": reason}),
            "metrics": {**manifest.metrics, "crop_choice_on_val": table_of},
        }
    )


def with_thresholds(manifest: Manifest, limits: Thresholds) -> Manifest:
    """The manifest with new thresholds, without what was fitted to those before."""
    return manifest.model_copy(update={"thresholds": limits, "calibration": None, "people": None})


if __name__ == "__main__":
    main()
