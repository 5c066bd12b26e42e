"""Where a run starts: pretrained features, projected without bending their geometry."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from immich_dog_plugin.imaging import read_photo

from ..distributed import Processes
from ..runs import Checkpoint
from .features import network_features
from .material import Material
from .network import DIMENSION, RANDOM, EmbedderNetwork, embedder_network
from .projection import principal_directions, projection_layer
from .recipe import START, Recipe

log = logging.getLogger(__name__)
BREED_PHOTOS = 3000  # enough for 512 directions of dogs; more only cost time


@dataclass(slots=True, eq=False)
class Start:
    """A network before its first step.

    Attributes:
        network: its projection holds the principal directions of its features.
        embeddings: what it answers for photos that train, ``(n, 512)``.
        numbers: which photos these are, ``(n,)``.
    """

    network: EmbedderNetwork
    embeddings: Tensor
    numbers: Tensor

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"network": self.network.state_dict(), "embeddings": self.embeddings, "numbers": self.numbers}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.network.load_state_dict(state_dict["network"])
        self.embeddings, self.numbers = state_dict["embeddings"], state_dict["numbers"]


def starting_point(recipe: Recipe, run: Path, material: Material, processes: Processes) -> Start:
    """The start that lies in the folder of the run, made there first if need be (a minute for 4,000 photos).

    Raises:
        TrainingError: there are no weights to start from, or the run was started by another recipe.
    """
    if processes.first and not (run / START).is_file():
        start = made_start(recipe, material, processes.device)
        Checkpoint(run / START, recipe=recipe, start=start).save(epoch=0)
    processes.broadcast(None)
    return load_start(run, recipe)


def load_start(run: Path, recipe: Recipe) -> Start:
    """The start of a run that was made by ``recipe``."""
    start = Start(embedder_network(recipe.architecture, RANDOM), torch.empty(0), torch.empty(0))
    Checkpoint(run / START, recipe=recipe, start=start).load(made_by="python -m trainers.embedder.train")
    return start


def made_start(recipe: Recipe, material: Material, device: torch.device) -> Start:
    """Pretrained backbone, and a projection fitted on known dogs and on photos of breeds."""
    network = embedder_network(recipe.architecture, recipe.weights)
    numbers = range(min(len(material.entries), len(material.known) + BREED_PHOTOS))
    files = [material.files[number] for number in numbers]
    features = network_features(network.backbone.to(device), files, read_photo, network.input, "Starting features")
    network.projection = projection_layer(principal_directions(features, DIMENSION))
    with torch.inference_mode():
        embeddings = network.cpu().embed(torch.from_numpy(features))
    log.info("the starting network's projection is fitted on %d photos", len(files))
    return Start(network, embeddings.clone(), torch.tensor(list(numbers)))
