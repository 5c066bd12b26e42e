"""Checkpoints to a verified model package: ``python -m trainers.export``.

Writes the three graphs and a manifest that carries the records of the runs they come from. ``--keep STAGE`` takes a
stage out of an earlier package instead, byte for byte. ``trainers.choose`` then sets what is measured on validation
dogs (crop, thresholds), ``trainers.evaluate`` adds the figures and the model card.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.files import whole_file
from immich_dog_plugin.geometry import FloatArray, ImageArray, letterbox, to_tensor
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.manifest import (
    MANIFEST,
    STAGE_NAMES,
    CropSpec,
    FaceChipSpec,
    Manifest,
    StageName,
    StageSpec,
    Thresholds,
)
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage, find_package

from .data.identity import read_identities
from .data.sources import SOURCES
from .detector.lighten import RUN as DETECTOR
from .detector.lighten import load_light
from .detector.network import ExportedDetector
from .embedder.fit import RUN as EMBEDDER
from .embedder.fit import load_trained as load_embedder
from .graph import OPSET, export_graph, store_as_fp16
from .keypoints.network import ExportedKeypoints
from .keypoints.trained import RUN as KEYPOINTS
from .keypoints.trained import load_trained as load_keypoints
from .parity import Parity, answer, compare, difference
from .records import Record, git_revision, read_record
from .runs import TrainingError
from .specs import DETECTION, KEYPOINT, RECOGNITION

log = logging.getLogger(__name__)

PACKAGE = Path("artifacts/dog-identification-v1")
MAX_BYTES = 30e6
# Tolerances of the graph against the network it was exported from, both in float32.
MAX_COSINE = 1e-4
MAX_ABSOLUTE = 0.02  # pixels or scores; a score is lost in a cosine beside pixels
BATCHES = (1, 8)

UNCHOSEN_CROP = CropSpec(
    preference=("body",),
    body_padding=0.0,
    face=FaceChipSpec(eye_distance=0.28, eye_height=0.4),
    reason="not measured yet: run python -m trainers.choose",
)
UNCHOSEN_THRESHOLDS = Thresholds(
    same_dog=0.75, far_1_percent=0.75, source="not measured yet: run python -m trainers.choose"
)


# The folder in which the command of each stage leaves its network and its record.
RUNS: dict[StageName, Path] = {"detection": DETECTOR, "keypoint": KEYPOINTS, "recognition": EMBEDDER}
WORK = Path("runs/export")


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage on its way into a package.

    Attributes:
        graph: file.
        spec: for the manifest, with the checksum of the graph.
        export: what was compared when it was exported.
        training: the record of its run; None where the run was made before runs left one.
    """

    graph: Path
    spec: StageSpec
    export: dict[str, Any]
    training: dict[str, Any] | None


def main() -> None:
    """Export, compare, write the package and verify it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="its photos feed the comparison")
    parser.add_argument("--out", type=Path, default=PACKAGE)
    parser.add_argument("--version", required=True, help="of the package, for example 1.2.0")
    parser.add_argument(
        "--keep",
        action="append",
        choices=STAGE_NAMES,
        default=[],
        help="take this stage from --keep-from, graph, spec and record unchanged; give several",
    )
    parser.add_argument("--keep-from", default=DEFAULT_PACKAGE, help="name or folder of the package that stays")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        stages = made_stages(args.data, args.keep, args.keep_from)
        write_package(args.out, args.version, stages)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error


def made_stages(data: Path, keep: Collection[StageName], keep_from: str | Path) -> dict[StageName, Stage]:
    """Every stage, kept or exported from its run; the package is not touched yet.

    Raises:
        ModelPackageError: the package that stays is missing, or a graph of it is not what its manifest says.
        TrainingError: a run has no record, or a graph answers something else than its network.
    """
    earlier = ModelPackage.read(find_package(keep_from)) if keep else None
    records = {name: read_run(name) for name in STAGE_NAMES if name not in keep}
    identities = read_identities(data, "train")
    count = max(BATCHES)
    photos = [read_photo(photo.file) for photo in identities[:: max(1, len(identities) // count)][:count]]
    return {
        name: kept_stage(earlier, name)
        if earlier is not None and name in keep
        else exported_stage(name, records[name], photos)
        for name in STAGE_NAMES
    }


def read_run(name: StageName) -> Record:
    """The record of the run that a stage is exported from.

    Raises:
        TrainingError: it has none.
    """
    try:
        return read_record(RUNS[name])
    except TrainingError as error:
        cure = f"{error.cure}, or keep the stage of an earlier package: --keep {name}"
        raise TrainingError(error.cause, cure) from error


def kept_stage(package: ModelPackage, name: StageName) -> Stage:
    """A stage as an earlier package has it.

    Raises:
        ModelPackageError: its graph is missing or has another checksum.
    """
    package.verify_stage(name)
    metrics = package.manifest.metrics
    training = metrics.get("training", {}).get(name)
    log.info("%s: as in %s, %s", name, package, "with its record" if training else "which has no record of it")
    return Stage(package.model_path(name), package.manifest.stage(name), metrics["export"][name], training)


def exported_stage(name: StageName, record: Record, photos: Sequence[ImageArray]) -> Stage:
    """Export the network that the run of a stage left, and compare the graph with it.

    Args:
        name: of the stage.
        record: of the run.
        photos: to compare on, as many as the largest of ``BATCHES``.

    Raises:
        TrainingError: the graph answers something else than the network.
    """
    network, spec = trained(name)
    canvases = [letterbox(photo, spec.input.side)[0] for photo in photos]
    graph = WORK / name / "model.onnx"
    compared = export_stage(network, spec, graph, to_tensor(canvases, spec.input.mean, spec.input.std))
    spec = spec.model_copy(update={"sha256": hashlib.sha256(graph.read_bytes()).hexdigest()})
    return Stage(graph, spec, compared, record.without_history().model_dump(mode="json"))


def trained(name: StageName) -> tuple[nn.Module, StageSpec]:
    """The network that the run of a stage left, and how its graph is read."""
    if name == "detection":
        return ExportedDetector(load_light()), DETECTION
    if name == "keypoint":
        return ExportedKeypoints(load_keypoints()), KEYPOINT
    embedder = load_embedder()
    return embedder, RECOGNITION.model_copy(update={"input": embedder.input})


def export_stage(network: nn.Module, spec: StageSpec, file: Path, images: FloatArray) -> dict[str, Any]:
    """Write one graph to ``file``, its float32 form beside it, and return what was compared.

    Raises:
        TrainingError: the graph answers something else than the network.
    """
    full = file.with_name("float32.onnx")
    export_graph(network, spec.input.side, spec.output, full)
    store_as_fp16(full, file)
    parities: dict[int, Parity] = {n: compare(network, full, images[:n]) for n in BATCHES}
    halved = difference(answer(full, images), answer(file, images))
    log.info("%s: %s; stored as fp16: %s", file.parent.name, parities, halved)
    exact = all(parity.cosine <= MAX_COSINE and parity.absolute <= MAX_ABSOLUTE for parity in parities.values())
    if not exact or halved.cosine > MAX_COSINE:
        raise TrainingError(
            f"The graph {file} does not answer as its network does: {parities}; stored as fp16: {halved}",
            "Look at the largest differences above; the package was left as it was",
        )
    return {
        "opset": OPSET,
        "megabytes": round(file.stat().st_size / 1e6, 2),
        "network_against_graph": {f"batch_{n}": asdict(parity) for n, parity in parities.items()},
        "float32_against_fp16_weights": asdict(halved),
    }


def write_package(out: Path, version: str, stages: Mapping[StageName, Stage]) -> None:
    """Write graphs and manifest, and verify them.

    Raises:
        TrainingError: the graphs are too large together; nothing is written.
        OutputError: the folder cannot be written.
    """
    revision = git_revision()  # before a graph of the repository's own package changes
    graphs = {name: stage.graph.read_bytes() for name, stage in stages.items()}
    size = sum(len(graph) for graph in graphs.values())
    if size > MAX_BYTES:
        raise TrainingError(
            f"The graphs take {size / 1e6:.1f} MB, and a package may take {MAX_BYTES / 1e6:.0f} MB",
            "Train a smaller backbone",
        )
    for name, graph in graphs.items():
        with whole_file(out / name / "model.onnx") as partial:
            partial.write_bytes(graph)
    manifest = Manifest(
        name=out.name,
        version=version,
        git_revision=revision,
        **{name: stage.spec for name, stage in stages.items()},
        crop=UNCHOSEN_CROP,
        thresholds=UNCHOSEN_THRESHOLDS,
        training_data=SOURCES,
        metrics={
            "export": {name: stage.export for name, stage in stages.items()},
            "training": {name: stage.training for name, stage in stages.items()},
        },
    )
    write_manifest(out, manifest)
    ModelPackage.open(out)
    log.info("%s: %.1f MB", out, size / 1e6)


def write_manifest(package: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``."""
    (package / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
