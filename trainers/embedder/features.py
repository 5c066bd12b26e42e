"""Crops through a network in batches, read exactly as in service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from rich.progress import track
from torch import nn

from immich_dog_plugin.geometry import FloatArray, ImageArray, to_tensor
from immich_dog_plugin.manifest import InputSpec
from immich_dog_plugin.stages.embedder import embedder_input

BATCH = 32
T = TypeVar("T")


def network_features(
    network: nn.Module, items: Sequence[T], crop: Callable[[T], ImageArray], spec: InputSpec, title: str
) -> FloatArray:
    """What ``network`` answers for ``crop(item)`` of every item, ``(n, d)``, computed where its weights are."""
    network.eval().to(memory_format=torch.channels_last)
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    answers = []
    for batch in batches(track(items, description=title), BATCH):
        tensor = torch.from_numpy(to_tensor([embedder_input(crop(item), spec) for item in batch], spec.mean, spec.std))
        with torch.inference_mode():
            answers.append(network(tensor.to(device, memory_format=torch.channels_last)).cpu().numpy())
    return np.concatenate(answers).astype(np.float32)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of ``size`` items; the last may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
