"""Dogs found and false alarms: ``python -m trainers.detector.measure``.

Compares the starting network, the tuned one and what ships between them at several input sides, on photos that none
of them saw. A photo counts as
found, or as a false alarm, if any dog is detected in it at the threshold.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.imaging import PHOTO_SUFFIXES, read_photo
from immich_dog_plugin.stages.detector import Detector

from ..specs import DETECTION
from ..starting_weights import yolov8n_state
from ..torch_session import TorchSession
from .network import ExportedDetector, one_class_network
from .train import load_trained

SIDES = (320, 416, 640)
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)


def best_scores(detector: Detector, folder: Path) -> FloatArray:
    """The score of the best detection in each photo under ``folder``, 0 where there is none."""
    files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in PHOTO_SUFFIXES]
    found = (detector(read_photo(file), min_score=0.01) for file in track(files, description=folder.name))
    return np.array([max(detections.scores, default=0) for detections in found], dtype=np.float32)


def counts(with_dog: FloatArray, without_dog: FloatArray, thresholds: Iterable[float]) -> list[dict[str, float]]:
    """Photos found and false alarms at each threshold (>=).

    >>> counts(np.float32([0.9, 0.2]), np.float32([0.3]), [0.25, 0.5])
    [{'threshold': 0.25, 'found': 1, 'false_alarms': 1}, {'threshold': 0.5, 'found': 1, 'false_alarms': 0}]
    """
    return [
        {"threshold": t, "found": int((with_dog >= t).sum()), "false_alarms": int((without_dog >= t).sum())}
        for t in thresholds
    ]


def main() -> None:
    """Print found / false alarms for every network, side and threshold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    networks = {
        "start": one_class_network(yolov8n_state()),
        "tuned": load_trained(part="tuned"),
        "shipped": load_trained(),
    }
    for name, network in networks.items():
        for side in SIDES:
            spec = DETECTION.model_copy(update={"input": DETECTION.input.model_copy(update={"side": side})})
            detector = Detector(TorchSession(ExportedDetector(network)), spec)
            with_dog = best_scores(detector, args.data / "photos")
            without_dog = best_scores(detector, args.data / "negatives")
            cells = [f"{c['found']}/{c['false_alarms']}" for c in counts(with_dog, without_dog, THRESHOLDS)]
            print(f"{name} {side} px: " + "  ".join(f"{t}: {c}" for t, c in zip(THRESHOLDS, cells, strict=True)))


if __name__ == "__main__":
    main()
