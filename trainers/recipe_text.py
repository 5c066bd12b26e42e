"""The card's section on how the networks were trained: every number comes from the records of the runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from immich_dog_plugin.manifest import STAGE_NAMES, StageName

from .dogs_found import table
from .embedder.seeds import spread_table
from .records import Record

TITLES: dict[StageName, str] = {"detection": "Detector", "keypoint": "Face points", "recognition": "Embedder"}
# What the trainers do whatever their options; options and figures are read from the record.
METHODS: dict[StageName, str] = {
    "detection": 'YOLOv8n. Of COCO\'s 80 classes only the row "dog" of the classification branches remains; then '
    "fine-tuned through ultralytics with batch normalisation frozen, and kept a `share` of the way from the starting "
    "to the tuned weights. Then lighter classification branches learned to give the scores of that network.",
    "keypoint": "EfficientNet-Lite0 with a small feature pyramid; a heat map per point, whose mean is the point; a "
    "visibility per point. Random boxes (of the dog, its face, the whole photo), turned and mirrored, with changed "
    "light, blur and JPEG quality. The averaged weights ship.",
    "recognition": "A backbone whose features are projected onto 512 numbers of unit length; the projection starts at "
    "the principal directions of photos that train. What ships lies a `share` of the way from the starting to the "
    "averaged weights of the best epoch.",
}
LOSSES = {
    "arcface": "ArcFace over known dogs",
    "subcenter": "sub-centre ArcFace over known dogs",
    "triplet": "triplets of known dogs",
    "views": "views of one photo against other photos; no loss is told that two photos show one dog",
}
SEEDS = "The same recipe with several seeds, {pictures} of validation dogs at the best epoch of each:"
ONE_SEED = "One seed: how far the figures spread from seed to seed was not measured."
UNRECORDED = (
    "Not recorded: this network was trained before runs left a record. What is known of it stands in "
    "`docs/experiments`."
)
STARTS_FROM = "Starts from the run before it, which was made as follows."


def recipe_section(training: Mapping[str, Any]) -> str:
    """Markdown for ``metrics["training"]`` of a manifest: a record by stage, None or nothing where there is none."""
    parts = []
    for stage in STAGE_NAMES:
        record = training.get(stage)
        text = UNRECORDED if record is None else stage_text(stage, Record.model_validate(record))
        parts.append(f"### {TITLES[stage]}\n\n{text}")
    return "\n\n".join([*parts, "All weights are stored as float16 and computed with as float32."])


def stage_text(stage: StageName, record: Record) -> str:
    """How one network was trained, and the runs it started from."""
    parts = [METHODS[stage]]
    if stage == "recognition":
        parts.append(f"Loss: {losses(record.recipe)}.")
    parts.append(run_text(stage, record))
    seeds = SEEDS.format(pictures="bodies" if record.recipe.get("views_of") == "dog" else "whole photos")
    parts.append(f"{seeds}\n\n{spread_table(record.seeds)}" if record.seeds else ONE_SEED)
    start = record.recipe.get("start")
    if record.earlier is None and start is not None:
        parts.append(f"Starts from `{start}`, of which there is no record.")
    earlier = record.earlier
    while earlier is not None:
        parts += [STARTS_FROM, run_text(stage, earlier)]
        earlier = earlier.earlier
    return "\n\n".join(parts)


def losses(recipe: Mapping[str, Any]) -> str:
    """The losses that an embedder's recipe names.

    >>> losses({"loss": "triplet", "views": 8, "breed_weight": 0, "teacher": None})
    'triplets of known dogs, views of breed photos'
    """
    named = [LOSSES[recipe["loss"]]]
    if recipe["views"] and recipe["loss"] != "views":
        named.append("views of breed photos")
    if recipe["breed_weight"]:
        named.append("breeds as classes")
    if recipe["teacher"]:
        named.append("the cosines of a larger network")
    return ", ".join(named)


def run_text(stage: StageName, record: Record) -> str:
    """Command, options, data and figures of one run."""
    minutes = "time not recorded" if record.minutes is None else f"{record.minutes:.1f} minutes"
    epochs = ""
    if record.kept_epoch is not None:
        epochs = f"{record.epochs} epochs, of which epoch {record.kept_epoch} is kept (0: the start); "
    before = record.earlier.recipe if record.earlier else {}
    options = ", ".join(
        f"{name} {value}" for name, value in record.recipe.items() if value not in (None, before.get(name))
    )
    libraries = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    parts = [
        f"- `{record.command}`: {epochs}{minutes}; revision `{record.git_revision}`",
        f"- options{', those that differ from the run before it' if before else ''}: {options}",
        f"- {libraries}",
    ]
    text = "\n".join(parts)
    if record.data:
        text += "\n\n" + data_table(record)
    if record.validation:
        text += "\n\nOn validation data:\n\n" + figures(stage, record.validation)
    return text


def data_table(record: Record) -> str:
    """What was used, by use and source."""
    lines = ["| data | source | photos | dogs | breeds |", "|---|---|---|---|---|"]
    for use, sources in record.data.items():
        for source, counts in sources.items():
            cells = ("n/a" if count is None else f"{count:,}" for count in (counts.photos, counts.dogs, counts.breeds))
            lines.append(f"| {use} | {source} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figures(stage: StageName, validation: Mapping[str, Mapping[str, Any]]) -> str:
    """Figures of an embedder as its table, of another stage as lines."""
    if stage == "recognition":
        return table(validation)
    return "\n".join(f"- {name}: {plain(measured)}" for name, measured in validation.items())


def plain(measured: Mapping[str, Any]) -> str:
    """Named numbers on one line; figures that are groups of others are left out.

    >>> plain({"dogs": 3, "median_error": 0.12345, "per_point": {"nose": 0.1}})
    'dogs 3, median error 0.123'
    """
    shown = {name: value for name, value in measured.items() if isinstance(value, int | float)}
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.3f}" if isinstance(value, float) else f"{name.replace('_', ' ')} {value}"
        for name, value in shown.items()
    )
