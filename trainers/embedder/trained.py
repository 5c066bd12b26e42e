"""What runs have left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from ..interpolate import average, interpolate
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


def common_recipe(runs: Sequence[Path]) -> Recipe:
    """The recipe of several runs that differ in nothing but the seed: that of the first.

    Raises:
        TrainingError: they differ in more, or a folder holds no run.
    """
    recipes = [recipe_of(run) for run in runs]
    for run, recipe in zip(runs, recipes, strict=True):
        if replace(recipe, seed=recipes[0].seed) != recipes[0]:
            raise TrainingError(
                f"{run} was trained by another recipe than {runs[0]}", "Average runs that differ in the seed alone"
            )
    return recipes[0]


def load_averaged(runs: Sequence[Path], share: float) -> EmbedderNetwork:
    """The mean of what several runs of one recipe have reached, ``share`` of the way from their start.

    Its projection means nothing: each run has directions of its own.
    """
    networks = [load_trained(run, share) for run in runs]
    networks[0].backbone = average([network.backbone for network in networks])
    return networks[0]


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
