"""The figures of a package, through its own ONNX files and serving's code: ``python -m trainers.evaluate``.

Nothing is chosen here. ``--record`` writes the figures into the manifest and the model card beside it.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.progress import track

from immich_dog_plugin.evaluation.embedded import embed_photos
from immich_dog_plugin.evaluation.evaluate import evaluate
from immich_dog_plugin.evaluation.photos import INDEX, read_labelled_photos
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

from .animals import Finder, best_scores
from .data.identity import read_identities
from .data.landmarks import read_landmarks
from .detector.measure import THRESHOLDS, counts
from .detector.prepare import photos_under
from .dogs_found import embed, figures_by_set, find_dogs, table
from .export import PACKAGE, write_manifest
from .keypoints.measure import estimate, figures
from .model_card import write_model_card
from .weaknesses import breeds_of, confusions, weaknesses_section

VERIFICATION_PROTOCOL = (
    "All unordered pairs of a split, pairs of one source photo left out; accepted at and above the (1 - FAR) quantile "
    "of the impostor pairs; no weight is fitted on val or test dogs, val chooses; what was known of test when the "
    "release was settled stands in docs/experiments/test_dogs.md. 'Whole photo' "
    "embeds the photo as it is; 'pipeline' embeds the manifest's crop of the largest dog (the whole photo where no "
    "dog is detected)."
)
EVALUATION_PROTOCOL = (
    "As `immich-dogs evaluate` measures the test dogs, through detector, keypoints and crop. In brackets 95 % "
    "intervals: dogs drawn 1,000 times with replacement. What was known of them "
    "when the release was settled stands in docs/experiments/test_dogs.md."
)
DETECTION_PROTOCOL = (
    "A photo counts as found, or as a false alarm, if the pipeline answers any dog. None of these photos, nor a copy "
    "of one, was trained on. An earlier release's input side was chosen on them and kept."
)
KEYPOINT_PROTOCOL = (
    "Annotated boxes of held-out photos; errors as a fraction of the distance between the annotated eyes, over "
    "annotated points of dogs with both eyes annotated."
)


def main() -> None:
    """Measure everything, print it, and record it on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--package", type=Path, default=PACKAGE)
    parser.add_argument("--record", action="store_true", help="write the figures into manifest and model card")
    args = parser.parse_args()

    package = ModelPackage.open(args.package)
    pipeline = DogPipeline.open(package)
    metrics = {
        "verification": verification(pipeline, package, args.data),
        "evaluation": evaluation(pipeline, package, args.data),
        "detection": detection(package, args.data),
        "keypoints": keypoints(pipeline, package, args.data),
    }
    if args.record:
        recorded = package.manifest.model_copy(update={"metrics": {**package.manifest.metrics, **metrics}})
        write_manifest(args.package, recorded)
        write_model_card(args.package, recorded)


def verification(pipeline: DogPipeline, package: ModelPackage, data: Path) -> dict[str, Any]:
    """Figures of val and test dogs, whole photo and pipeline, over all and per set."""
    record: dict[str, Any] = {"protocol": VERIFICATION_PROTOCOL}
    for split in ("val", "test"):
        photos = read_identities(data, split)
        found = find_dogs(pipeline, photos)
        for name, crop in (("whole_photo", None), ("pipeline", package.manifest.crop)):
            rows = figures_by_set(embed(pipeline, found, crop), photos)
            record[f"{split}_{name}"] = dict(rows)
            print(f"\n{split}, {name.replace('_', ' ')}\n{table(rows)}")
        missed = sum(dog.named.dogs == 0 for dog in found)
        faces = sum(dog.named.keypoints is not None for dog in found)
        record[f"{split}_photos"] = {"all": len(found), "without_detection": missed, "with_visible_face": faces}
        print(f"{split}: {missed} of {len(found)} photos without a detection, {faces} with a visible face")
    return record


def evaluation(pipeline: DogPipeline, package: ModelPackage, data: Path) -> dict[str, Any]:
    """What ``immich-dogs evaluate`` says of val and test dogs, with intervals, and which dogs are taken for one."""
    record: dict[str, Any] = {"protocol": EVALUATION_PROTOCOL}
    identities, manifest = data / "identity", package.manifest
    breeds = breeds_of(identities / INDEX)
    for split in ("val", "test"):
        labelled = read_labelled_photos(identities, split).photos
        photos = embed_photos(track(labelled, description=f"{split}, once more without the dog"), pipeline, package)
        figures_of = evaluate(photos, manifest.thresholds, manifest.calibration)
        record[split] = {
            "figures": asdict(figures_of),
            "confusions": confusions(photos, manifest.thresholds.same_dog, breeds),
        }
        print(f"\n{split}\n{weaknesses_section(figures_of, record[split]['confusions'])}")
    return record


def detection(package: ModelPackage, data: Path) -> dict[str, Any]:
    """Dogs found and false alarms, after the package's classifier has left out what is no dog."""
    finder = Finder(package)
    with_dog, without_dog = (
        best_scores(finder.all(photos_under(data / folder), folder), package.manifest.dog_classifier)
        for folder in ("photos", "negatives")
    )
    limit = package.manifest.detection.min_score
    rows = counts(with_dog, without_dog, sorted({limit, *THRESHOLDS}))
    print(f"\nDogs found in {len(with_dog)} photos, false alarms in {len(without_dog)} photos without a dog")
    for row in rows:
        default = "  <- default" if row["threshold"] == limit else ""
        print(f"  threshold {row['threshold']:.2f}: {row['found']} found, {row['false_alarms']} false alarms{default}")
    return {
        "protocol": DETECTION_PROTOCOL,
        "photos_with_dog": len(with_dog),
        "photos_without_dog": len(without_dog),
        "at_thresholds": rows,
    }


def keypoints(pipeline: DogPipeline, package: ModelPackage, data: Path) -> dict[str, Any]:
    """Errors on held-out dogs, whole dogs and faces apart."""
    record: dict[str, Any] = {"protocol": KEYPOINT_PROTOCOL}
    dogs = [dog for dog in read_landmarks(data) if dog.split == "test"]
    print()
    for source in ("faye", "beagle_faces"):
        answers = estimate(pipeline.keypoints, [dog for dog in dogs if dog.source == source])
        record[source] = figures(answers, package.manifest.keypoint.min_face_score)
        print(f"Keypoints, held-out {source}: {record[source]}")
    return record


if __name__ == "__main__":
    main()
