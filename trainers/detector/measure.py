"""Dogs found and false alarms: ``python -m trainers.detector.measure``.

Compares networks at several shares of the way from the starting to the tuned weights, 0 being the starting network,
on photos that none of them saw. A photo counts as found, or as a false alarm, if any dog is detected in it at the
threshold. Dogs are small in ordinary photos, so each photo is also pasted into one without a dog that is two and three
times its size; it is found if a detection's centre lies on it.

``--dogs datasets/detector/choose/dogs --others datasets/detector/choose/others`` takes the photos that training held
out: the share is chosen there, and the photos that measure are looked at once, after the choice.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from immich_dog_plugin.geometry import FloatArray, ImageArray, resize
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.detector import Detections, Detector

from ..data.identity import read_identities
from ..interpolate import interpolate
from ..specs import DETECTION
from ..starting_weights import yolov8n_state
from ..torch_session import TorchSession
from .network import ExportedDetector, one_class_network
from .prepare import photos_under
from .train import RUN, load_trained

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)
LEAST = 0.01
TIMES = (2, 3)


def best_scores(detector: Detector, folder: Path) -> FloatArray:
    """The score of the best detection in each photo under ``folder``, 0 where there is none."""
    return scores_of(detector, photos_under(folder), folder.name)


def scores_of(detector: Detector, files: Iterable[Path], name: str) -> FloatArray:
    """The score of the best detection in each photo, 0 where there is none."""
    found = (detector(Pyramid(read_photo(file)), min_score=LEAST) for file in track(list(files), description=name))
    return np.array([max(detections.scores, default=0) for detections in found], dtype=np.float32)


def pasted_scores(detector: Detector, with_dog: Path, without_dog: Path, times: int) -> FloatArray:
    """The best score on each photo of ``with_dog``, pasted into one of ``without_dog`` ``times`` its size.

    Photos, hosts and places are the same for every network.
    """
    random = np.random.default_rng(times)
    hosts = photos_under(without_dog)
    scores = []
    for file in track(photos_under(with_dog), description=f"{with_dog.name} in photos {times} times their size"):
        host = read_photo(hosts[random.integers(len(hosts))])
        scene, place = pasted(read_photo(file), host, times, random)
        scores.append(best_inside(detector(Pyramid(scene), min_score=LEAST), place))
    return np.array(scores, dtype=np.float32)


def pasted(
    photo: ImageArray, host: ImageArray, times: int, random: np.random.Generator
) -> tuple[ImageArray, tuple[int, int, int, int]]:
    """``host`` squashed to ``times`` the size of ``photo``, and the place ``x1 y1 x2 y2`` where that lies in it."""
    height, width = photo.shape[:2]
    scene = resize(host, times * width, times * height).copy()
    x, y = (int(random.integers((times - 1) * side + 1)) for side in (width, height))
    scene[y : y + height, x : x + width] = photo
    return scene, (x, y, x + width, y + height)


def best_inside(detections: Detections, place: tuple[int, int, int, int]) -> float:
    """The best score of the detections whose centre lies in ``place``, 0 where there is none."""
    x, y = (detections.boxes[:, :2] + detections.boxes[:, 2:]).T / 2
    x1, y1, x2, y2 = place
    inside = (x1 <= x) & (x < x2) & (y1 <= y) & (y < y2)
    return float(detections.scores[inside].max(initial=0))


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
    """Print found / false alarms for every share, side and threshold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="its validation dogs are the crops")
    parser.add_argument("--dogs", type=Path, default=Path("../shared/data/photos"), help="a dog in every photo")
    parser.add_argument("--others", type=Path, default=Path("../shared/data/negatives"), help="no dog in any photo")
    parser.add_argument("--run", type=Path, default=RUN)
    parser.add_argument("--shares", type=float, nargs="+", default=(0.0, 0.25, 0.5, 1.0))
    parser.add_argument("--sides", type=int, nargs="+", default=(416,))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    start, tuned = one_class_network(yolov8n_state()), load_trained(args.run, part="tuned")
    crops = [photo.file for photo in read_identities(args.data, "val")]
    for share in args.shares:
        for side in args.sides:
            spec = DETECTION.model_copy(update={"input": DETECTION.input.model_copy(update={"side": side})})
            detector = Detector(TorchSession(ExportedDetector(interpolate(start, tuned, share))), spec)
            with_dog = best_scores(detector, args.dogs)
            without_dog = best_scores(detector, args.others)
            small = {times: pasted_scores(detector, args.dogs, args.others, times) for times in TIMES}
            print(f"share {share}, {side} px, {len(with_dog)} photos with and {len(without_dog)} without a dog")
            _print_row(
                "found/false alarms",
                [f"{c['found']}/{c['false_alarms']}" for c in counts(with_dog, without_dog, THRESHOLDS)],
            )
            for times, scores in small.items():
                _print_row(f"in photos {times} times their size", [str((scores >= t).sum()) for t in THRESHOLDS])
            of_crops = scores_of(detector, crops, "crops of validation dogs")
            _print_row(f"{len(crops)} crops", [str((of_crops >= t).sum()) for t in THRESHOLDS])


def _print_row(name: str, cells: list[str]) -> None:
    print(f"  {name}: " + "  ".join(f"{t}: {cell}" for t, cell in zip(THRESHOLDS, cells, strict=True)), flush=True)


if __name__ == "__main__":
    main()
