"""A lighter classification head for the trained detector: ``python -m trainers.detector.lighten``.

The branches that COCO's network classifies 80 kinds with take a sixth of the detector's time. Lighter ones start from
the channels that count most for a dog, and learn to give the scores of the trained ones, as a small network learns from
a large one (Hinton et al., 2015, "Distilling the Knowledge in a Neural Network", https://arxiv.org/abs/1503.02531). The
rest of the network stays as it is, so boxes are the same.

What the branches see of each photo is computed once and kept in memory (0.7 MB a picture at 416 pixels).
"""

from __future__ import annotations

import argparse
import copy
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from ultralytics.nn.tasks import DetectionModel

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.geometry import ImageArray, letterbox, to_tensor
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.stages.detector import Detector

from ..records import Counts, Recorder, options_of, read_record
from ..runs import Checkpoint, one_cycle, start_run
from ..specs import DETECTION
from ..torch_session import TorchSession
from .measure import THRESHOLDS, best_scores, counts
from .network import ExportedDetector, light_network, pruned
from .prepare import DATASET, draw, photos_under
from .train import RUN as TRAINED
from .train import load_trained

log = logging.getLogger(__name__)
RUN = Path("runs/detector_light")
BATCH = 8
MOSAICS = 0.5  # of the pictures are four photos in one: the smaller dogs


@dataclass(frozen=True, slots=True)
class Seen:
    """What the classification branches see, and what the trained ones answer; float16.

    Attributes:
        features: a tensor ``(n, channels, height, width)`` for each branch.
        logits: a tensor ``(n, 1, height, width)`` for each branch.
    """

    features: list[Tensor]
    logits: list[Tensor]

    def __len__(self) -> int:
        return len(self.logits[0])


def main() -> None:
    """Train the lighter branches, and count found dogs and false alarms of both on the photos that were held out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, default=DATASET, help="made by python -m trainers.detector.prepare")
    parser.add_argument("--trained", type=Path, default=TRAINED, help="run of python -m trainers.detector.train")
    parser.add_argument("--run", type=Path, default=RUN)
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    start_run(args.run, args.seed, args.threads)
    try:
        recorder = Recorder(args.run, "trainers.detector.lighten", options_of(args), earlier=read_record(args.trained))
    except DogPluginError as error:
        raise SystemExit(str(error)) from error
    files = draw(photos_under(args.dataset / "images" / "train"), args.pictures, np.random.default_rng(args.seed))
    recorder.data = {"train": {"photos of the detector's run": Counts(photos=len(files))}}
    teacher = load_trained(args.trained)
    seen = look(teacher, pictures(files, args.seed), len(files))
    student = lightened(teacher, seen)
    learn(student, seen, args.epochs, args.lr)
    Checkpoint(args.run / "last.pt", network=student).save(args.epochs)
    recorder.write(epochs=args.epochs, kept_epoch=args.epochs, validation=compared(teacher, student, args.dataset))


def lightened(trained: DetectionModel, seen: Seen) -> DetectionModel:
    """A copy of the trained network with lighter classification branches."""
    network = copy.deepcopy(trained)
    head = network.model[-1]
    some = [level[: 8 * BATCH].float() for level in seen.features]
    head.cv3 = nn.ModuleList(pruned(branch, level) for branch, level in zip(head.cv3, some, strict=True))
    return network


def pictures(files: Sequence[Path], seed: int) -> Iterator[ImageArray]:
    """A canvas ``(side, side, 3)`` for each file: the photo, mirrored or not, or four of the photos in one."""
    random = np.random.default_rng(seed)
    side = DETECTION.input.side
    for file in files:
        if random.random() >= MOSAICS:
            yield view(file, side, random)
            continue
        quarters = [view(one, side // 2, random) for one in (file, *random.choice(np.array(files), 3))]
        yield np.vstack([np.hstack(quarters[:2]), np.hstack(quarters[2:])])


def view(file: Path, side: int, random: np.random.Generator) -> ImageArray:
    """A photo on a square canvas, mirrored half of the time."""
    canvas = letterbox(read_photo(file), side)[0]
    return np.asarray(cv2.flip(canvas, 1), dtype=np.uint8) if random.random() < 0.5 else canvas


def look(teacher: DetectionModel, canvases: Iterator[ImageArray], count: int) -> Seen:
    """Run the trained network on ``count`` canvases and keep what its classification branches see and answer."""
    branches = teacher.model[-1].cv3
    rows: list[tuple[list[Tensor], list[Tensor]]] = []
    inputs: list[Tensor] = []
    hook = teacher.model[-1].register_forward_pre_hook(lambda _, arguments: inputs.extend(arguments[0]))
    for _ in track(range(0, count, BATCH), description="What the branches see"):
        batch = list(islice(canvases, BATCH))
        inputs.clear()
        with torch.inference_mode():
            teacher(torch.from_numpy(to_tensor(batch, DETECTION.input.mean, DETECTION.input.std)))
            logits = [branch(features) for branch, features in zip(branches, inputs, strict=True)]
        rows.append(([features.half() for features in inputs], [of.half() for of in logits]))
    hook.remove()
    features, logits = ([torch.cat(level) for level in zip(*kind, strict=True)] for kind in zip(*rows, strict=True))
    return Seen(features, logits)


def learn(student: DetectionModel, seen: Seen, epochs: int, lr: float) -> None:
    """Let the classification branches of ``student`` give the scores of the trained ones; nothing else changes.

    The loss is ultralytics' own for classes, with the trained network's scores for targets: cross entropy summed over
    all places, divided by the sum of the targets.
    """
    branches: nn.ModuleList = student.model[-1].cv3.train().requires_grad_(True)
    optimiser = torch.optim.AdamW(branches.parameters(), lr=lr, weight_decay=1e-4)
    steps = len(seen) // (2 * BATCH)
    schedule = one_cycle(optimiser, epochs * steps)
    for epoch in range(1, epochs + 1):
        losses = []
        for chosen in torch.randperm(len(seen))[: steps * 2 * BATCH].split(2 * BATCH):
            loss = distillation_loss(
                [branch(level[chosen].float()) for branch, level in zip(branches, seen.features, strict=True)],
                [level[chosen].float() for level in seen.logits],
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        log.info("epoch %d: loss %.3f", epoch, np.mean(losses))
    student.eval()


def distillation_loss(logits: Sequence[Tensor], taught: Sequence[Tensor]) -> Tensor:
    """How far the scores are from the taught ones; the least possible value is the entropy of the taught scores.

    >>> sure = [torch.tensor([[20.0, -20.0]])]
    >>> round(float(distillation_loss(sure, sure)), 4), round(float(distillation_loss([-sure[0]], sure)), 1)
    (0.0, 40.0)
    """
    answers, targets = (
        torch.cat([level.flatten() for level in logits]),
        torch.cat([level.flatten() for level in taught]),
    )
    scores = targets.sigmoid()
    return binary_cross_entropy_with_logits(answers, scores, reduction="sum") / scores.sum().clamp(min=1)


def compared(teacher: DetectionModel, student: DetectionModel, dataset: Path) -> dict[str, dict[str, float]]:
    """Dogs found and false alarms of both among the photos that were held out."""
    figures = {}
    for name, network in (("trained", teacher), ("lighter", student)):
        detector = Detector(TorchSession(ExportedDetector(network)), DETECTION)
        dogs, others = (best_scores(detector, dataset / "choose" / kind) for kind in ("dogs", "others"))
        log.info("%s, of %d dogs and %d others:", name, len(dogs), len(others))
        for row in counts(dogs, others, THRESHOLDS):
            log.info("  %s: %s found, %s false alarms", row["threshold"], row["found"], row["false_alarms"])
            if row["threshold"] == DETECTION.min_score:
                figures[name] = row | {"dogs": len(dogs), "others": len(others)}
    return figures


def load_light(run: Path = RUN) -> DetectionModel:
    """The detector that ships.

    Raises:
        FileNotFoundError: there is no checkpoint; says which command makes one.
    """
    network = light_network()
    Checkpoint(run / "last.pt", network=network).load(made_by="python -m trainers.detector.lighten")
    return network.eval()


if __name__ == "__main__":
    main()
