"""One run, from its start to its best epoch."""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..distributed import Processes
from ..interpolate import interpolate
from ..records import Recorder
from ..runs import Checkpoint, Stateful, TrainingError, one_cycle, seed_everything
from .batches import Batches
from .history import History
from .losses import breed_loss, identity_loss, start_at_centres, view_loss
from .material import Material
from .network import DIMENSION, RANDOM, EmbedderNetwork, embedder_network
from .objective import UNKNOWN, Batch, Objective, Term
from .optimise import learning_rate, optimiser_of
from .recipe import BEST, LAST, Recipe
from .start import Start, starting_point
from .teacher import answers
from .validate import in_words, known_photos, validate

log = logging.getLogger(__name__)
MAX_GRADIENT = 5.0
COMMAND = "trainers.embedder.train"


def train(recipe: Recipe, run: Path, material: Material, processes: Processes, workers: int = 1) -> History:
    """Train until the epochs are over or the validation dogs gain no more; continues a run that was interrupted.

    Leaves ``best.pt`` and ``last.pt`` (everything to continue from, and the averaged weights), ``start.pt``, and what
    ``History`` writes.
    """
    seed_everything(recipe.seed)
    start = starting_point(recipe, run, material, processes)
    batches = Batches(recipe, material, processes, workers)
    training = Training(recipe, run, material, start, batches, processes)
    first = training.resume()
    if first == 0:
        training.judge(epoch=0, losses={}, seconds=0.0)
    for epoch in range(max(first, 1), recipe.epochs + 1):
        if training.history.epochs_since_best >= recipe.patience:
            log.info("no better epoch for %d epochs: stopped", recipe.patience)
            break
        # An epoch depends on its number and on the weights it starts from alone, so that a run that is interrupted
        # ends where it would have ended.
        seed_everything(1000 * recipe.seed + epoch)  # batches, the same in every process
        torch.manual_seed(1000 * recipe.seed + epoch + 997 * processes.rank)  # views, others in every process
        started = time.perf_counter()
        losses = training.epoch(batches.epoch(training.objective.centres.cpu().numpy()))
        training.judge(epoch, losses=losses, seconds=time.perf_counter() - started)
    return training.history


class Training:
    """A run: what learns, what makes it learn, and what it has reached."""

    def __init__(
        self, recipe: Recipe, run: Path, material: Material, start: Start, batches: Batches, processes: Processes
    ) -> None:
        self.recipe, self.run, self.start, self.processes = recipe, run, start, processes
        self._val, self._body, self._steps = known_photos(material.val), material.body, batches.steps
        start.network.to(processes.device)
        network = embedder_network(recipe.architecture, RANDOM)
        network.load_state_dict(start.network.state_dict())
        self.objective = objective_of(recipe, network, material.files, start, batches, processes).to(processes.device)
        self.objective.to(memory_format=torch.channels_last)
        self.objective.train()
        # Batch normalisation keeps the statistics it was pretrained with: they are better than those of a small batch.
        self.objective.network.eval()
        self.optimiser = optimiser_of(self.objective, recipe)
        self.schedule = one_cycle(self.optimiser, max(1, recipe.epochs) * self._steps)
        self._step: nn.Module = self.objective
        if processes.count > 1:
            # Without views, a batch may hold no picture of known breed.
            breeds_may_lack = "breed" in self.objective.losses and not recipe.views
            self._step = DistributedDataParallel(self.objective, find_unused_parameters=breeds_may_lack)
        self.averaged = AveragedModel(self.objective.network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        self.history = History()
        parts: dict[str, Stateful] = {
            "recipe": recipe,
            "objective": self.objective,
            "averaged": self.averaged,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
            "history": self.history,
        }
        self._last, self._best = (Checkpoint(run / name, **parts) for name in (LAST, BEST))
        continues = (run / LAST).is_file()
        self._recorder = Recorder(run, COMMAND, recipe.state_dict(), material.counts, continues=continues)

    def resume(self) -> int:
        """Load the last epoch if there is one; the number of the next, 0 where nothing was done yet.

        Raises:
            TrainingError: the run was started by another recipe.
        """
        return self._last.resume()

    def epoch(self, batches: Iterable[Batch]) -> dict[str, float]:
        """One pass over the batches; the mean of each loss over the batches that have it.

        Raises:
            TrainingError: a loss is not finite. The last checkpoint is from before that.
        """
        values: dict[str, list[Tensor]] = defaultdict(list)
        for batch in self._tracked(batches):
            losses: dict[str, Tensor] = self._step(batch.to(self.processes.device))
            self.optimiser.zero_grad(set_to_none=True)
            torch.stack(list(losses.values())).sum().backward()
            nn.utils.clip_grad_norm_(self.objective.network.parameters(), MAX_GRADIENT)
            self.optimiser.step()
            self.schedule.step()
            self.averaged.update_parameters(self.objective.network)
            for name, loss in losses.items():
                values[name].append(loss.detach())
        means = {name: torch.stack(of_steps).mean().item() for name, of_steps in values.items()}
        if not all(math.isfinite(mean) for mean in means.values()):
            raise TrainingError(f"The losses are no longer finite: {means}", "Train anew with a lower --lr")
        return means

    def judge(self, epoch: int, *, losses: dict[str, float], seconds: float) -> None:
        """Measure the validation dogs, note the epoch, and keep it."""
        figures = validate(self.product(), self._val, self._body) if self.processes.first else {}
        figures = self.processes.broadcast(figures)
        is_best = self.history.add(epoch, figures, losses, learning_rate(self.optimiser), seconds)
        if not self.processes.first:
            return
        if is_best:
            self._best.save(epoch + 1)
        self._last.save(epoch + 1)
        self._recorder.write(
            epochs=epoch,
            kept_epoch=self.history.best or 0,
            validation=self.history.figures_of_kept,
            history=self.history.records,
        )
        self.history.draw(self.run)
        of_losses = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
        log.info(
            "epoch %d of %d%s: %s (%s, %.0f s)",
            epoch,
            self.recipe.epochs,
            ", the best so far" if is_best else "",
            in_words(figures),
            of_losses or "start",
            seconds,
        )

    def product(self) -> EmbedderNetwork:
        """What the run has made: the recipe's share of the way from its start to its averaged weights."""
        return interpolate(self.start.network, self.averaged.module, self.recipe.share)

    def _tracked(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        return track(batches, "Epoch", total=self._steps) if self.processes.first else batches


def objective_of(
    recipe: Recipe,
    network: EmbedderNetwork,
    files: Sequence[Path],
    start: Start,
    batches: Batches,
    processes: Processes,
) -> Objective:
    """The losses that the recipe asks for and the photos can answer; class weights start at the class centres."""
    dogs, breeds = torch.tensor(batches.dogs), torch.tensor(batches.breeds)
    identity = views = breed = teacher = None
    centres = torch.zeros(0, DIMENSION)
    if recipe.loss != "views":
        centres = class_centres(start, dogs)
        loss = identity_loss(
            recipe.loss, len(centres), DIMENSION, margin=recipe.margin or 0.0, scale=recipe.scale, miner=recipe.miner
        )
        start_at_centres(loss, start.embeddings, dogs[start.numbers])
        identity = Term(loss, 1.0)
    if recipe.views:
        views = Term(view_loss(), recipe.view_weight)
    if recipe.breed_weight and (breeds != UNKNOWN).any():
        loss = breed_loss(int(breeds.max()) + 1, DIMENSION)
        start_at_centres(loss, start.embeddings, breeds[start.numbers])
        breed = Term(loss, recipe.breed_weight)
    if recipe.teacher:
        teacher = (answers(Path(recipe.teacher), files, processes), recipe.teacher_weight)
    bfloat16 = processes.device.type == "cuda"
    return Objective(network, centres, identity=identity, views=views, breed=breed, teacher=teacher, bfloat16=bfloat16)


def class_centres(start: Start, dogs: Tensor) -> Tensor:
    """The mean direction of each dog's starting embeddings, ``(dogs, 512)``."""
    of_dogs = dogs[start.numbers]
    means = [start.embeddings[of_dogs == dog].mean(dim=0) for dog in range(int(dogs.max()) + 1)]
    return nn.functional.normalize(torch.stack(means))
