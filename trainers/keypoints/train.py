"""Train the landmark network: ``python -m trainers.keypoints.train``.

Interrupted and started again, the same command continues from the last whole epoch in ``runs/keypoints``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from ..data.landmarks import read_landmarks
from ..runs import Checkpoint, one_cycle, start_run
from ..specs import KEYPOINT
from .dataset import LandmarkDataset
from .losses import landmark_loss
from .network import KeypointNetwork, keypoint_network

log = logging.getLogger(__name__)
RUN = Path("runs/keypoints")
# Edges and textures need no retraining, and two thirds of the time would go into the gradients of these layers.
FROZEN = ("backbone.conv_stem", "backbone.blocks.0.", "backbone.blocks.1.")


def main() -> None:
    """Train and leave the averaged weights in ``runs/keypoints/last.pt``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--run", type=Path, default=RUN, help="where the checkpoint and the log go")
    parser.add_argument("--start", type=Path, help="an earlier run whose averaged weights to start from")
    parser.add_argument("--side", type=int, default=KEYPOINT.input.side, help="of the input, in pixels")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3, help="of the new layers; the backbone's is a quarter")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    start_run(args.run, args.seed, args.threads)

    spec = KEYPOINT.model_copy(update={"input": KEYPOINT.input.model_copy(update={"side": args.side})})
    dogs = [dog for dog in read_landmarks(args.data) if dog.split == "train"]
    loader = DataLoader(
        LandmarkDataset(dogs, spec, augment=True),
        batch_size=args.batch,
        shuffle=True,
        drop_last=True,
        num_workers=1,
        persistent_workers=True,
    )
    network = load_trained(args.start) if args.start else keypoint_network()
    network = network.to(memory_format=torch.channels_last)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    optimiser = torch.optim.AdamW(parameter_groups(network, args.lr), weight_decay=0.01)
    schedule = one_cycle(optimiser, args.epochs * len(loader))
    checkpoint = Checkpoint(
        args.run / "last.pt", network=network, averaged=averaged, optimiser=optimiser, schedule=schedule
    )
    for epoch in range(checkpoint.resume(), args.epochs):
        loss = train_epoch(network, averaged, loader, optimiser, schedule)
        checkpoint.save(epoch + 1)
        log.info("epoch %d of %d: loss %.3f", epoch + 1, args.epochs, loss)


def train_epoch(
    network: KeypointNetwork,
    averaged: AveragedModel,
    loader: DataLoader[tuple[torch.Tensor, torch.Tensor]],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """One pass over the data; returns the mean loss."""
    network.train()
    # ImageNet's statistics are better than those of a batch of 32 from a thousand dogs.
    network.backbone.eval()
    total = 0.0
    for images, target in loader:
        loss = landmark_loss(*network(images.to(memory_format=torch.channels_last)), target)
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


def load_trained(run: Path = RUN) -> KeypointNetwork:
    """The averaged weights of a run.

    Raises:
        FileNotFoundError: there is no checkpoint; says which command makes one.
    """
    network = keypoint_network(pretrained=False)
    averaged = AveragedModel(network, use_buffers=True)
    Checkpoint(run / "last.pt", averaged=averaged).load(made_by="python -m trainers.keypoints.train")
    return averaged.module.eval()


if __name__ == "__main__":
    main()
