"""Train the landmark network: ``python -m trainers.keypoints.train``.

Interrupted and started again, the same command continues from the last whole epoch in ``runs/keypoints``.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from immich_dog_plugin.manifest import MANIFEST, KeypointSpec
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.stages.keypoints import KeypointEstimator

from ..data.landmarks import AnnotatedDog, read_landmarks
from ..records import Counts, Recorder, known_record, options_of
from ..runs import Checkpoint, one_cycle, start_run
from ..specs import KEYPOINT
from ..torch_session import TorchSession
from .dataset import LandmarkDataset
from .losses import landmark_loss
from .measure import estimate, figures
from .network import ExportedKeypoints, KeypointNetwork, keypoint_network
from .trained import RUN, load_trained

log = logging.getLogger(__name__)
# Edges and textures need no retraining, and two thirds of the time would go into the gradients of these layers.
FROZEN = ("backbone.conv_stem", "backbone.blocks.0.", "backbone.blocks.1.")


def main() -> None:
    """Train and leave the averaged weights in ``runs/keypoints/last.pt``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--run", type=Path, default=RUN, help="where the checkpoint and the log go")
    parser.add_argument("--start", type=Path, help="an earlier run or a model package to start from")
    parser.add_argument("--side", type=int, default=KEYPOINT.input.side, help="of the input, in pixels")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3, help="of the new layers; the backbone's is a quarter")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    start_run(args.run, args.seed, args.threads)

    spec = KEYPOINT.model_copy(update={"input": KEYPOINT.input.model_copy(update={"side": args.side})})
    annotated = read_landmarks(args.data)
    dogs, val = ([dog for dog in annotated if dog.split == split] for split in ("train", "val"))
    loader = DataLoader(
        LandmarkDataset(dogs, spec, augment=True),
        batch_size=args.batch,
        shuffle=True,
        drop_last=True,
        num_workers=1,
        persistent_workers=True,
    )
    network = starting_network(args.start) if args.start else keypoint_network()
    network = network.to(memory_format=torch.channels_last)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    optimiser = torch.optim.AdamW(parameter_groups(network, args.lr), weight_decay=0.01)
    schedule = one_cycle(optimiser, args.epochs * len(loader))
    checkpoint = Checkpoint(
        args.run / "last.pt", network=network, averaged=averaged, optimiser=optimiser, schedule=schedule
    )
    first = checkpoint.resume()
    recorder = Recorder(
        args.run,
        "trainers.keypoints.train",
        options_of(args),
        {"train": counts(dogs), "val": counts(val)},
        continues=first > 0,
        earlier=known_record(args.start) if args.start else None,
    )
    for epoch in range(first, args.epochs):
        loss = train_epoch(network, averaged, loader, optimiser, schedule, fixed_statistics=args.start is not None)
        done = epoch + 1 == args.epochs
        validation = validation_figures(averaged.module, spec, val) if done else {}
        checkpoint.save(epoch + 1)
        recorder.history.append({"epoch": epoch + 1, "losses": {"landmarks": loss}})
        recorder.write(epochs=epoch + 1, kept_epoch=epoch + 1, validation=validation)
        log.info("epoch %d of %d: loss %.3f", epoch + 1, args.epochs, loss)


def train_epoch(
    network: KeypointNetwork,
    averaged: AveragedModel,
    loader: DataLoader[tuple[torch.Tensor, torch.Tensor]],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    fixed_statistics: bool,
) -> float:
    """One pass over the data; returns the mean loss.

    A network that is trained already keeps the statistics of its batch normalisations: in one from a package they are
    folded into the convolutions, and those of a batch would change the function at the first step.
    """
    network.train(not fixed_statistics)
    # ImageNet's statistics are better than those of a batch of 32 from a thousand dogs.
    network.backbone.eval()
    total = 0.0
    for images, target in loader:
        heat, points, visibility = network(images.to(memory_format=torch.channels_last))
        loss = landmark_loss(heat, points, visibility, target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), max_norm=5.0)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(network)
        total += loss.item()
    return total / len(loader)


def parameter_groups(network: KeypointNetwork, lr: float) -> list[dict[str, object]]:
    """The backbone at a quarter of the rate of the new layers; its first layers not at all."""

    def trained(prefix: str, inside: bool) -> Iterator[nn.Parameter]:
        for name, parameter in network.named_parameters():
            if name.startswith(FROZEN):
                parameter.requires_grad_(False)
            elif name.startswith(prefix) == inside:
                yield parameter

    return [
        {"params": list(trained("backbone", inside=True)), "lr": lr / 4},
        {"params": list(trained("backbone", inside=False)), "lr": lr},
    ]


def counts(dogs: Sequence[AnnotatedDog]) -> dict[str, Counts]:
    """Photos and dogs by source, for the record; every photo shows one dog."""
    return {source: Counts(photos=count, dogs=count) for source, count in Counter(dog.source for dog in dogs).items()}


def validation_figures(
    network: KeypointNetwork, spec: KeypointSpec, dogs: Sequence[AnnotatedDog]
) -> dict[str, dict[str, Any]]:
    """Errors on the validation dogs of each source, for the record."""
    estimator = KeypointEstimator(TorchSession(ExportedKeypoints(network)), spec)
    sources = sorted({dog.source for dog in dogs})
    answers = {source: estimate(estimator, [dog for dog in dogs if dog.source == source]) for source in sources}
    return {source: figures(found, spec.min_face_score) for source, found in answers.items()}


def starting_network(start: Path) -> KeypointNetwork:
    """The network of an earlier run or of a model package."""
    if not (start / MANIFEST).is_file():
        return load_trained(start)
    from ..warm_start import keypoints_from  # needs the extras of the other networks, which a run does not

    return keypoints_from(ModelPackage.open(start)).network


if __name__ == "__main__":
    main()
