"""``MODEL_CARD.md``, written from the manifest and nothing else, so that it cannot disagree with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from immich_dog_plugin.dog_classifier import DogClassifier
from immich_dog_plugin.evaluation.evaluate import Evaluation
from immich_dog_plugin.evaluation.tables import Cell, cell_text, tables
from immich_dog_plugin.manifest import Manifest

from .animals import interval
from .calibrate import calibration_section
from .dogs_found import table
from .people_map import people_section
from .recipe_text import recipe_section
from .weaknesses import breeds_section, weaknesses_section

CARD = "MODEL_CARD.md"
EVALUATION = TypeAdapter(Evaluation)
NOT_RECORDED = "Not recorded: `python -m trainers.evaluate --record` did not measure it yet when this package was made."
BREEDS_NOT_RECORDED = (
    "Not recorded: `python -m trainers.breeds --record` did not measure them when this package was made."
)
LIMITS = """\
- Not for deciding about a living being: no veterinary, legal, insurance or ownership question, and no search for
  stolen or dangerous dogs. A cosine over the threshold is a hint for a person who knows the dogs.
- Not for people, nor for other animals: wolves, foxes and plush dogs may be taken for dogs.
- Expect look-alikes of one breed, puppies that grow up, clipped coats, and dogs seen from behind to be confused.
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
        "Recipe": recipe_section(metrics.get("training", {})),
        "Trained on": _sources(manifest),
        "Same dog or not": _verification(metrics["verification"]),
        "With intervals": _intervals(metrics.get("evaluation")),
        "Weaknesses": _weaknesses(metrics.get("evaluation")),
        "Breeds": breeds_section(metrics["breeds"]) if "breeds" in metrics else BREEDS_NOT_RECORDED,
        "Detection": _detection(metrics["detection"], manifest.detection.min_score),
        "Other animals": _animals(metrics.get("animals"), manifest.dog_classifier),
        "Face points": _keypoints(metrics["keypoints"]),
        "Crop": f"Preference: {', '.join(manifest.crop.preference)}; body padding {manifest.crop.body_padding}.\n"
        f"{manifest.crop.reason}.",
        "Other ways to embed": _variants(metrics.get("variants_on_val")),
        "Thresholds": f"Same dog {manifest.thresholds.same_dog}, FAR 1 % {manifest.thresholds.far_1_percent}, "
        f"FAR 0.1 % {manifest.thresholds.far_01_percent} (cosine): {manifest.thresholds.source}.",
        "Probability": calibration_section(manifest),
        **({"Dogs on the People page": people_section(manifest.people)} if manifest.people else {}),
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
    for split, meaning in (("test", "never trained on"), ("val", "recipe, crop and thresholds were chosen on these")):
        photos = record[f"{split}_photos"]
        for name in ("whole_photo", "pipeline"):
            parts.append(f"**{split}** ({meaning}), {name.replace('_', ' ')}:\n\n{table(record[f'{split}_{name}'])}")
        parts.append(
            f"{photos['without_detection']} of {photos['all']} {split} photos had no detection, "
            f"{photos['with_visible_face']} a visible face."
        )
    return "\n\n".join(parts)


def _intervals(record: dict[str, Any] | None) -> str:
    """The tables of ``immich-dogs evaluate`` for the test dogs; those of the validation dogs stay in the manifest."""
    if record is None:
        return NOT_RECORDED
    parts = [record["protocol"]]
    for part in tables(EVALUATION.validate_python(record["test"]["figures"])):
        head = "| " + " | ".join(part.headings) + " |"
        rows = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in part.rows]
        body = "\n".join([head, "|---" * len(part.headings) + "|", *rows])
        parts.append(f"**{part.title}**. {part.note}\n\n{body}")
    return "\n\n".join(parts)


def _cell(cell: Cell) -> str:
    """A figure and its interval.

    >>> _cell(None), _cell("all")
    ('n/a', 'all')
    """
    value, interval = cell_text(cell)
    return f"{value} ({interval})" if interval else value


def _weaknesses(record: dict[str, Any] | None) -> str:
    if record is None:
        return NOT_RECORDED
    test = record["test"]
    return weaknesses_section(EVALUATION.validate_python(test["figures"]), test["confusions"])


def _detection(record: dict[str, Any], default: float) -> str:
    rows = [
        f"| {row['threshold']:.2f}{' (default)' if row['threshold'] == default else ''} "
        f"| {row['found']} of {record['photos_with_dog']} | {row['false_alarms']} of {record['photos_without_dog']} |"
        for row in record["at_thresholds"]
    ]
    return "\n".join([record["protocol"], "", "| threshold | found | false alarms |", "|---|---|---|", *rows])


def _animals(record: dict[str, Any] | None, classifier: DogClassifier | None) -> str:
    """How often which kind of animal is answered as a dog."""
    if record is None or classifier is None:
        return "This package has no classifier: whatever its detector finds is answered as a dog."
    rows = [
        f"| {kind} | {interval(of['with_dog'], of['photos'])} | {of['with_dog']} of {of['photos']} |"
        for kind, of in record["by_kind"].items()
    ]
    return "\n".join(
        [
            f"A detection is a dog from a probability of {classifier.min_probability} on: {classifier.source}.",
            "",
            record["protocol"],
            "",
            f"| photos | a dog is answered, at score {record['min_score']:.2f} | of |",
            "|---|---|---|",
            *rows,
        ]
    )


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


def _variants(record: list[dict[str, Any]] | None) -> str:
    """What ``python -m trainers.variants`` measured.

    >>> figures = {"eer": 0.04, "tar_at_1_percent": None, "top_1": 0.98}
    >>> print(_variants([{"variant": "as it ships", "milliseconds": 8.0, "all": figures}]).splitlines()[-1])
    | as it ships | 8.0 | 0.040 | n/a | 0.980 | n/a | n/a | n/a |
    """
    if record is None:
        return "Not recorded: `python -m trainers.variants --record` did not measure them when this package was made."
    keys = ("eer", "tar_at_1_percent", "top_1")
    lines = [
        "Validation dogs; milliseconds of a dog that shows its face, on the machine that measured. A dog and its "
        "mirror image cost the graph twice.",
        "",
        "| embedder | ms | EER | TAR@1% | top-1 | many days: EER | TAR@1% | top-1 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in record:
        values = [row.get(group, {}).get(key) for group in ("all", "many_days") for key in keys]
        cells = ["n/a" if value is None else f"{value:.3f}" for value in values]
        lines.append(f"| {row['variant']} | {row['milliseconds']:.1f} | {' | '.join(cells)} |")
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
