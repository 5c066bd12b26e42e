"""Several processes, one batch: ``torchrun --nproc-per-node N -m -- trainers.embedder.train ...``.

Every process embeds its share of the batch, all of them gather all embeddings and compute the same loss. So a pair
counts although its two pictures lie in different processes, and the gradient is that of one process with the joined
batch. Started without ``torchrun`` there is one process, and nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from .runs import TrainingError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of a run.

    Attributes:
        rank: its number.
        count: of all.
        device: where its network lives.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files, measures and talks."""
        return self.rank == 0

    def share(self, batch: list[T]) -> list[T]:
        """The part of a batch that this process embeds.

        Raises:
            TrainingError: the batch does not divide evenly; unequal shares cannot be gathered.
        """
        if len(batch) % self.count:
            raise TrainingError(
                f"A batch of {len(batch)} photos does not divide among {self.count} processes",
                f"Choose --dogs times --photos, and --views, as multiples of {self.count}",
            )
        return batch[self.rank :: self.count]

    def broadcast(self, value: T) -> T:
        """The ``value`` of the first process, in every process; the others wait for it."""
        if self.count == 1:
            return value
        box: list[Any] = [value]
        distributed.broadcast_object_list(box, src=0, device=self.device)
        told: T = box[0]
        return told


@contextmanager
def processes(device: str | None = None) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, or stand alone; leaves them at the end.

    Args:
        device: ``cpu`` or ``cuda``; by default the GPU where there is one. Of several GPUs a process takes the one of
            its local rank.
    """
    count, rank, local = (int(os.environ.get(name, "0")) for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"))
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("There is no GPU that torch can use", "Train with --device cpu, or install torch with CUDA")
    place = torch.device(device, local) if device == "cuda" else torch.device(device)
    if count <= 1:
        yield Processes(0, 1, place)
        return
    if device == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Processes(rank, count, place)
    finally:
        distributed.destroy_process_group()


def gathered(rows: Tensor) -> Tensor:
    """The ``rows`` ``(n, ...)`` of all processes, ``(processes * n, ...)``, in the order of their ranks.

    Gradients flow to this process's own rows. They are multiplied by the number of processes, because
    ``DistributedDataParallel`` divides their sum by it: what every process computes from the gathered rows is the
    whole loss, and its gradient by them is the sum over the processes, not the mean.
    """
    if not distributed.is_initialized():
        return rows
    joined: Tensor = _Gather.apply(rows)
    return joined


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        count, rank = distributed.get_world_size(), distributed.get_rank()
        return gradient.chunk(count)[rank] * count
