"""Choose crop and thresholds on validation dogs and write them into the manifest: ``python -m trainers.choose``.

The crop is chosen by the equal error rate over the dogs photographed on many days, because a crop that holds much
background looks good on dogs of one session for the wrong reason. Crops that are as good by it as ten dogs can tell are
told apart by the share of photos whose nearest other photo shows the same dog.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from immich_dog_plugin.evaluation.metrics import far_threshold
from immich_dog_plugin.evaluation.pairs import verification_pairs
from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.model_package import CropSpec, FaceChipSpec, Manifest, ModelPackage, Thresholds
from immich_dog_plugin.pipeline import DogPipeline

from .data.identity import IdentityPhoto, read_identities
from .data.landmarks import read_landmarks
from .dogs_found import FoundDog, embed, figures_by_set, find_dogs, table
from .export import PACKAGE, write_manifest
from .keypoints.measure import best_face_threshold, estimate

MANY_DAYS = "stdove"
SAME_EER = 0.005  # a smaller difference means nothing on so few dogs
PADDINGS = (0.0, 0.05, 0.1, 0.2)
# Groups of validation dogs by threshold: at a false accept rate of 1 % a fifth of the dogs share a group with another
# dog, at 0.5 % one in fourteen, at 0.3 % as many but more dogs are split. A merge costs a user more than a split.
SAME_DOG_FAR = 0.005
FACES = (
    FaceChipSpec(eye_distance=0.34, eye_height=0.42),
    FaceChipSpec(eye_distance=0.26, eye_height=0.42),
    FaceChipSpec(eye_distance=0.18, eye_height=0.42),
)


def main() -> None:
    """Measure every candidate on validation dogs, print the table, write the best into the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--package", type=Path, default=PACKAGE)
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
    measured = measure(pipeline, found, photos)
    for group in ("all", MANY_DAYS):
        print(f"\n{group}\n" + table({name: figures[group] for name, (_, _, figures) in measured.items()}))
    name = best_crop({name: figures for name, (crop, _, figures) in measured.items() if crop is not None})
    crop, embeddings, _ = measured[name]
    print("\nchosen:", name)
    write_manifest(args.package, chosen(package.manifest, name, measured, crop, thresholds(embeddings, photos)))


def candidates() -> dict[str, CropSpec | None]:
    """Crops by name; ``None`` is the whole photo, for comparison only."""
    face = FACES[1]
    crops: dict[str, CropSpec | None] = {"whole photo": None}
    for padding in PADDINGS:
        crops[f"body, padding {padding}"] = CropSpec(
            preference=("body",), body_padding=padding, face=face, reason="candidate"
        )
    for face in FACES:
        crops[f"face (eye distance {face.eye_distance}), else body"] = CropSpec(
            preference=("face", "body"), body_padding=0.05, face=face, reason="candidate"
        )
    return crops


Measured = dict[str, tuple[CropSpec | None, FloatArray, Mapping[str, dict[str, Any]]]]


def measure(pipeline: DogPipeline, found: list[FoundDog], photos: list[IdentityPhoto]) -> Measured:
    """For every candidate its rule, its embeddings and its figures."""
    measured: Measured = {}
    for name, crop in candidates().items():
        embeddings = embed(pipeline, found, crop)
        measured[name] = (crop, embeddings, figures_by_set(embeddings, photos))
    return measured


def best_crop(figures: Mapping[str, Mapping[str, dict[str, Any]]]) -> str:
    """The name with the best top-1 among those within ``SAME_EER`` of the least equal error rate over many days."""
    least = min(groups[MANY_DAYS]["eer"] for groups in figures.values())
    equals = [name for name, groups in figures.items() if groups[MANY_DAYS]["eer"] <= least + SAME_EER]
    return max(equals, key=lambda name: (figures[name]["all"]["top_1"], -figures[name][MANY_DAYS]["eer"]))


def thresholds(embeddings: FloatArray, photos: list[IdentityPhoto]) -> Thresholds:
    """Cosines at fixed false accept rates over all validation pairs."""
    pairs = verification_pairs(
        embeddings, np.array([photo.dog for photo in photos]), np.array([photo.group for photo in photos])
    )
    return Thresholds(
        same_dog=round(far_threshold(pairs, SAME_DOG_FAR), 4),
        far_1_percent=round(far_threshold(pairs, 0.01), 4),
        far_01_percent=round(far_threshold(pairs, 0.001), 4),
        source=f"{len(pairs.impostor)} impostor pairs of {len({p.dog for p in photos})} validation dogs; "
        f"'same dog' accepts {SAME_DOG_FAR:.1%} of them",
    )


def chosen(manifest: Manifest, name: str, measured: Measured, crop: CropSpec | None, limits: Thresholds) -> Manifest:
    """The manifest with the chosen crop, why it was chosen, and the thresholds that follow."""
    if crop is None:
        raise ValueError("the whole photo is no crop that the pipeline can cut")
    eer = {other: figures[MANY_DAYS]["eer"] for other, (_, _, figures) in measured.items()}
    reason = (
        f"within {SAME_EER} of the least equal error rate on validation dogs photographed on many days, through this "
        "package's own detector and keypoints, and of these the best top-1 over all: "
        + "; ".join(f"{other} {value:.3f}" for other, value in eer.items())
    )
    table_of = {other: dict(figures) for other, (_, _, figures) in measured.items()}
    return manifest.model_copy(
        update={
            "crop": crop.model_copy(update={"reason": reason}),
            "thresholds": limits,
            "calibration": None,  # of the crop before
            "metrics": {**manifest.metrics, "crop_choice_on_val": table_of},
        }
    )


if __name__ == "__main__":
    main()
