"""What every training run needs: seed, log file, and a checkpoint to continue from."""

from __future__ import annotations

import logging
import os
import random
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from immich_dog_plugin.errors import DogPluginError


class TrainingError(DogPluginError):
    """A run that cannot start or continue as asked."""


class Stateful(Protocol):
    """Networks, optimisers and schedules."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


def one_cycle(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.OneCycleLR:
    """Each group warms up to its own rate over a tenth of ``steps`` and falls to nothing along a cosine."""
    rates = [group["lr"] for group in optimiser.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rates, total_steps=steps, pct_start=0.1)


def start_run(folder: Path, seed: int, threads: int, *, logs: bool = True) -> None:
    """Seed everything, bound the threads, and log to the terminal and to ``<folder>/log.txt``.

    Of several processes of one run only one ``logs``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.NullHandler()]
    if logs:
        handlers = [logging.StreamHandler(), logging.FileHandler(folder / "log.txt")]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", handlers=handlers, force=True)
    seed_everything(seed)
    torch.set_num_threads(threads)


def seed_everything(seed: int) -> None:
    """Python, NumPy and torch, and through torch the workers of every loader that starts from here on."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class Checkpoint:
    """Everything a run needs to continue, in one file that is replaced whole."""

    def __init__(self, file: Path, **parts: Stateful) -> None:
        self.file = file
        self._parts = parts

    def save(self, epoch: int) -> None:
        """Write the state after ``epoch`` whole epochs; a run killed meanwhile keeps the previous file."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".partial")
        torch.save({"epoch": epoch, **state}, partial)
        os.replace(partial, self.file)

    def resume(self) -> int:
        """Load the file if there is one; the number of epochs already done."""
        return self.load() if self.file.is_file() else 0

    def load(self, made_by: str = "the training command") -> int:
        """Load the parts this checkpoint was given; the number of epochs done.

        Raises:
            FileNotFoundError: no file; says what makes it.
        """
        if not self.file.is_file():
            raise FileNotFoundError(f"{self.file} is missing; make it with: {made_by}")
        state = torch.load(self.file, map_location="cpu", weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        epoch: int = state["epoch"]
        return epoch
