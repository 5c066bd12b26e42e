"""What runs have left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from ..interpolate import interpolate
from ..runs import Checkpoint, TrainingError
from .network import RANDOM, EmbedderNetwork, embedder_network
from .recipe import BEST, RUN, START, Recipe
from .start import load_start


def recipe_of(run: Path) -> Recipe:
    """The recipe that a run was started with.

    Raises:
        TrainingError: the folder holds no run.
    """
    file = run / START
    if not file.is_file():
        raise TrainingError(f"{file} is missing", f"Train with: python -m trainers.embedder.train --run {run}")
    options: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)["recipe"]
    return Recipe(**options)


def load_trained(run: Path = RUN, share: float | None = None) -> EmbedderNetwork:
    """The best epoch of a run, part of the way from its start; the start itself where no epoch was trained.

    Args:
        run: folder of the run.
        share: of the way; None: as its recipe says.

    Raises:
        TrainingError: the folder holds no run.
    """
    recipe = recipe_of(run)
    start = load_start(run, recipe).network
    if recipe.epochs == 0 or share == 0:
        return start.eval()
    averaged = AveragedModel(embedder_network(recipe.architecture, RANDOM))
    Checkpoint(run / BEST, averaged=averaged).load(made_by=f"python -m trainers.embedder.train --run {run}")
    tuned: EmbedderNetwork = averaged.module
    return interpolate(start, tuned, recipe.share if share is None else share).eval()
