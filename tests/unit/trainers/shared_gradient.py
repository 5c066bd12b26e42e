"""The gradient of one batch by the processes that torchrun started; the first writes it to the file that is named.

``python shared_gradient.py FILE`` alone computes the same with one process.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainers.distributed import processes
from trainers.embedder.losses import breed_loss, identity_loss, view_loss
from trainers.embedder.network import DIMENSION, RANDOM, Architecture, embedder_network
from trainers.embedder.objective import UNKNOWN, Batch, Objective, Term

DOGS, BREEDS, SIDE = 4, 3, 32
LOSSES = ("arcface", "subcenter", "triplet")


def objective(loss: str) -> Objective:
    """Every term that there is, on a tiny network."""
    torch.manual_seed(0)
    network = embedder_network(Architecture("test_efficientnet", side=SIDE), RANDOM).eval()
    identity = identity_loss(loss, DOGS, DIMENSION, margin=20 if loss != "triplet" else 0.2, scale=16, miner="hard")
    return Objective(
        network,
        torch.zeros(DOGS, DIMENSION),
        identity=Term(identity, 1.0),
        views=Term(view_loss(), 0.7),
        breed=Term(breed_loss(BREEDS, DIMENSION), 0.5),
        teacher=(torch.randn(12, 7), 2.0),
    )


def batch() -> Batch:
    """Eight pictures of four dogs, two views of four other photos; of some the breed is known."""
    torch.manual_seed(1)
    return Batch(
        images=torch.randn(16, 3, SIDE, SIDE),
        dogs=torch.tensor([0, 0, 1, 1, 2, 2, 3, 3] + [UNKNOWN] * 8),
        photos=torch.tensor([*range(8), 8, 8, 9, 9, 10, 10, 11, 11]),
        breeds=torch.tensor([UNKNOWN] * 6 + [2, 2] + [0] * 4 + [1] * 4),
    )


def gradient(loss: str, step: nn.Module, part: Batch) -> dict[str, Tensor]:
    """By the name of the parameter, after one backward pass."""
    step.zero_grad()
    torch.stack(list(step(part).values())).sum().backward()
    inner = step.module if isinstance(step, DistributedDataParallel) else step
    return {name: weight.grad.clone() for name, weight in inner.named_parameters() if weight.grad is not None}


def main() -> None:
    torch.set_num_threads(1)
    with processes("cpu") as here:
        found = {}
        for loss in LOSSES:
            step: nn.Module = objective(loss)
            if here.count > 1:
                step = DistributedDataParallel(step)
            # Whole photos, so that the two views of one may lie in two processes.
            mine = torch.tensor(here.share(list(range(16))))
            found[loss] = gradient(loss, step, Batch(*(column[mine] for column in batch())))
        if here.first:
            torch.save(found, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
