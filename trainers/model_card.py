"""``MODEL_CARD.md``, written from the manifest and nothing else, so that it cannot disagree with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from immich_dog_plugin.model_package import Manifest

from .dogs_found import table

CARD = "MODEL_CARD.md"

RECIPE = """\
- **Detector**: YOLOv8n. Of COCO's 80 classes only the row "dog" of the classification branches remains; then
  fine-tuned through ultralytics with batch normalisation frozen on annotated dogs, on photos known to show a dog with
  the boxes that the starting network is sure of, and on photos of cats as photos without a dog. What ships lies a
  quarter of the way from the starting to the tuned weights: all the way, it took cows and camels for dogs.
- **Keypoints**: EfficientNet-Lite0 with a small feature pyramid; a heat map per point, whose mean is the point; a
  visibility per point. Trained with detector-like, face-like and whole-photo boxes, turned up to 40 degrees, mirrored
  (left and right points swap), with changed light, blur and JPEG quality.
- **Embedder**: ImageNet EfficientNet-Lite2, its last layers tuned so that two random views of one breed photo are close
  and views of other photos far (NT-Xent), with a classifier of breeds beside it. What ships lies a quarter of the way
  from the starting to the tuned weights: all the way, it was worse than at the start. Its 1,280 features are projected
  onto 512 principal directions of dog photos (not centred, not whitened), unit length. It was never told that two
  photos show one dog.
- All weights are stored as float16 and computed with as float32.
"""

LIMITS = """\
- Not for deciding about a living being: no veterinary, legal, insurance or ownership question, and no search for
  stolen or dangerous dogs. A cosine over the threshold is a hint for a person who knows the dogs.
- Not for people, nor for other animals: wolves, foxes and plush dogs may be taken for dogs.
- Look-alikes of one breed, puppies that grow up, clipped coats, and dogs seen from behind are confused most.
- Dogs photographed within one session look more alike to the model than they are: figures on such photos flatter.
"""


def write_model_card(package: Path, manifest: Manifest) -> None:
    """Write the card beside the manifest."""
    (package / CARD).write_text(model_card(manifest))


def model_card(manifest: Manifest) -> str:
    """The card as Markdown."""
    metrics = manifest.metrics
    sections = {
        f"{manifest.name} {manifest.version}": "Finds dogs in photos and their face points, and gives each dog a "
        f"vector of {manifest.recognition.dimension} numbers that is close for the same dog.\nMade from revision "
        f"`{manifest.git_revision}`; this file is written by `python -m trainers.evaluate --record`.\n"
        "Licence: AGPL-3.0.",
        "Recipe": RECIPE,
        "Trained on": _sources(manifest),
        "Same dog or not": _verification(metrics["verification"]),
        "Detection": _detection(metrics["detection"], manifest.detection.min_score),
        "Face points": _keypoints(metrics["keypoints"]),
        "Crop": f"Preference: {', '.join(manifest.crop.preference)}; body padding {manifest.crop.body_padding}.\n"
        f"{manifest.crop.reason}.",
        "Thresholds": f"Same dog {manifest.thresholds.same_dog}, FAR 1 % {manifest.thresholds.far_1_percent}, "
        f"FAR 0.1 % {manifest.thresholds.far_01_percent} (cosine): {manifest.thresholds.source}.",
        "Graphs": _graphs(metrics["export"]),
        "What it must not be used for": LIMITS,
    }
    first, *rest = sections.items()
    return f"# {first[0]}\n\n{first[1]}\n" + "".join(f"\n## {title}\n\n{text.strip()}\n" for title, text in rest)


def _sources(manifest: Manifest) -> str:
    rows = [f"| {data.name} | {data.used_for} | {data.licence} |" for data in manifest.training_data]
    return "\n".join(["| data | used for | licence |", "|---|---|---|", *rows])


def _verification(record: dict[str, Any]) -> str:
    parts = [record["protocol"]]
    for split, meaning in (("test", "only measured on"), ("val", "recipe, crop and thresholds were chosen on these")):
        photos = record[f"{split}_photos"]
        for name in ("whole_photo", "pipeline"):
            parts.append(f"**{split}** ({meaning}), {name.replace('_', ' ')}:\n\n{table(record[f'{split}_{name}'])}")
        parts.append(
            f"{photos['without_detection']} of {photos['all']} {split} photos had no detection, "
            f"{photos['with_visible_face']} a visible face."
        )
    return "\n\n".join(parts)


def _detection(record: dict[str, Any], default: float) -> str:
    rows = [
        f"| {row['threshold']:.2f}{' (default)' if row['threshold'] == default else ''} "
        f"| {row['found']} of {record['photos_with_dog']} | {row['false_alarms']} of {record['photos_without_dog']} |"
        for row in record["at_thresholds"]
    ]
    return "\n".join([record["protocol"], "", "| threshold | found | false alarms |", "|---|---|---|", *rows])


def _keypoints(record: dict[str, Any]) -> str:
    lines = [record["protocol"], ""]
    for source in ("faye", "beagle_faces"):
        figures = record[source]
        per_point = ", ".join(f"{name} {value:.3f}" for name, value in figures["per_point_of_eye_distance"].items())
        line = (
            f"- {source}, {figures['dogs']} dogs: median error {figures['median_error_of_eye_distance']:.3f} of the "
            f"eye distance ({per_point}), {figures['median_error_of_eyes_to_nose']:.3f} of the distance from the eyes "
            f"to the nose; a face is reported for {figures['face_found_of_those_with_a_face']:.0%} of the dogs that "
            "show one"
        )
        if "face_auc" in figures:
            line += (
                f" and for {figures['face_found_of_those_without']:.0%} of the others (AUC {figures['face_auc']:.3f})"
            )
        lines.append(line)
    return "\n".join(lines)


def _graphs(record: dict[str, Any]) -> str:
    rows = [
        "| stage | opset | MB | network against graph, batch 8 | float32 against float16 weights |",
        "|---|---|---|---|---|",
    ]
    for stage, entry in record.items():
        parity, halved = entry["network_against_graph"]["batch_8"], entry["float32_against_fp16_weights"]
        rows.append(
            f"| {stage} | {entry['opset']} | {entry['megabytes']} | {parity['absolute']:.1e} (1 - cosine "
            f"{parity['cosine']:.1e}) | {halved['absolute']:.1e} (1 - cosine {halved['cosine']:.1e}) |"
        )
    return "\n".join(rows) + "\n\nLargest differences over training photos, in the unit of each output."
