"""Checkpoints to a verified model package: ``python -m trainers.export``.

Writes the three graphs and a manifest. ``trainers.choose`` then sets what is measured on validation dogs (crop,
thresholds), ``trainers.evaluate`` adds the figures and the model card.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from immich_dog_plugin.geometry import FloatArray, letterbox, to_tensor
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import (
    MANIFEST,
    CropSpec,
    FaceChipSpec,
    Manifest,
    ModelPackage,
    StageName,
    StageSpec,
    Thresholds,
)

from .data.identity import read_identities
from .data.sources import SOURCES
from .detector.network import ExportedDetector
from .detector.train import load_trained as load_detector
from .embedder.fit import load_trained as load_embedder
from .graph import OPSET, export_graph, store_as_fp16
from .keypoints.network import ExportedKeypoints
from .keypoints.train import load_trained as load_keypoints
from .parity import Parity, answer, compare, difference
from .specs import DETECTION, KEYPOINT, RECOGNITION

log = logging.getLogger(__name__)

PACKAGE = Path("artifacts/dog-identification-v1")
MAX_BYTES = 30e6
# Tolerances of the graph against the network it was exported from, both in float32.
MAX_COSINE = 1e-4
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


def main() -> None:
    """Export, compare, write the package and verify it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="its photos feed the comparison")
    parser.add_argument("--out", type=Path, default=PACKAGE)
    parser.add_argument("--version", default="1.0.0")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    embedder = load_embedder()
    networks: dict[StageName, tuple[nn.Module, StageSpec]] = {
        "detection": (ExportedDetector(load_detector()), DETECTION),
        "keypoint": (ExportedKeypoints(load_keypoints()), KEYPOINT),
        "recognition": (embedder, RECOGNITION.model_copy(update={"input": embedder.input})),
    }
    identities = read_identities(args.data, "train")
    photos = [read_photo(photo.file) for photo in identities[:: max(1, len(identities) // max(BATCHES))]]
    specs, records = {}, {}
    for stage, (network, spec) in networks.items():
        file = args.out / stage / "model.onnx"
        canvases = [letterbox(photo, spec.input.side)[0] for photo in photos[: max(BATCHES)]]
        records[stage] = export_stage(network, spec, file, to_tensor(canvases, spec.input.mean, spec.input.std))
        specs[stage] = spec.model_copy(update={"sha256": hashlib.sha256(file.read_bytes()).hexdigest()})
    manifest = Manifest(
        name=args.out.name,
        version=args.version,
        git_revision=git_revision(),
        **specs,
        crop=UNCHOSEN_CROP,
        thresholds=UNCHOSEN_THRESHOLDS,
        training_data=SOURCES,
        metrics={"export": records},
    )
    write_manifest(args.out, manifest)
    ModelPackage.open(args.out)
    size = sum(file.stat().st_size for file in args.out.rglob("*.onnx"))
    log.info("%s: %.1f MB", args.out, size / 1e6)
    if size > MAX_BYTES:
        raise SystemExit(f"the package is larger than {MAX_BYTES / 1e6:.0f} MB")


def export_stage(network: nn.Module, spec: StageSpec, file: Path, images: FloatArray) -> dict[str, Any]:
    """Write one graph to ``file`` and return what was compared.

    Raises:
        SystemExit: the graph answers something else than the network.
    """
    full = Path("runs/export") / file.parent.name / "float32.onnx"
    export_graph(network, spec.input.side, spec.output, full)
    store_as_fp16(full, file)
    parities: dict[int, Parity] = {n: compare(network, full, images[:n]) for n in BATCHES}
    halved = difference(answer(full, images), answer(file, images))
    log.info("%s: %s; stored as fp16: %s", file.parent.name, parities, halved)
    if max(parity.cosine for parity in parities.values()) > MAX_COSINE or halved.cosine > MAX_COSINE:
        raise SystemExit(f"the graph {file} does not answer as the network does")
    return {
        "opset": OPSET,
        "megabytes": round(file.stat().st_size / 1e6, 2),
        "network_against_graph": {f"batch_{n}": asdict(parity) for n, parity in parities.items()},
        "float32_against_fp16_weights": asdict(halved),
    }


def write_manifest(package: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``."""
    (package / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")


def git_revision() -> str:
    """The commit that the working tree stands on, ``-dirty`` where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
