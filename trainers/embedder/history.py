"""What happened epoch by epoch: for the checkpoint, for the record, for TensorBoard and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from immich_dog_plugin.files import whole_file

from .validate import ALL, CROSS_SESSION, Figures, better

DRAWN = {"eer": "EER", "tar_at_1_percent": "TAR at FAR 1 %", "top_1": "top-1"}


class History:
    """One record per epoch; epoch 0 is the start.

    Attributes:
        records: ``epoch``, ``losses`` (means by name), ``learning_rate``, ``seconds`` and ``figures`` of each.
        best: number of the best epoch from 1 on, None before the first.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.best: int | None = None

    def add(self, epoch: int, figures: Figures, losses: dict[str, float], learning_rate: float, seconds: float) -> bool:
        """Note an epoch; whether it is the best so far."""
        # The start may stay ahead of a run of which only a part of the way is used: it is no candidate.
        earlier = [record["figures"] for record in self.records[1:]]
        least = min((of[CROSS_SESSION]["eer"] for of in earlier), default=1.0)
        self.records.append(
            {
                "epoch": epoch,
                "losses": losses,
                "learning_rate": learning_rate,
                "seconds": round(seconds, 1),
                "figures": figures,
            }
        )
        if epoch == 0 or not better(figures, self.figures_of_best, least):
            return False
        self.best = epoch
        return True

    @property
    def figures_of_best(self) -> Figures | None:
        """Validation figures of the best epoch."""
        return None if self.best is None else self.records[self.best]["figures"]

    @property
    def figures_of_kept(self) -> Figures:
        """Validation figures of the best epoch, of the start before there is one."""
        figures: Figures = self.records[self.best or 0]["figures"]
        return figures

    @property
    def epochs_since_best(self) -> int:
        """How many epochs have brought nothing."""
        return len(self.records) - 1 - (self.best or 0)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"records": self.records, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.records, self.best = list(state_dict["records"]), state_dict["best"]

    def draw(self, run: Path) -> None:
        """``curves.png`` and TensorBoard's files, of the whole run so far."""
        self._draw(run / "curves.png")
        self._tell_tensorboard(run / "tensorboard")

    def _draw(self, file: Path) -> None:
        # Not pyplot: it would look for a screen.
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 7), layout="constrained")
        ((losses, *metrics), lower) = figure.subplots(2, 2)
        metrics = [*metrics, *lower]
        trained = self.records[1:]
        for name in trained[-1]["losses"] if trained else ():
            losses.plot([r["epoch"] for r in trained], [r["losses"].get(name) for r in trained], marker=".", label=name)
        losses.set_title("training losses, weighted")
        for axes, (key, title) in zip(metrics, DRAWN.items(), strict=True):
            for group in (ALL, CROSS_SESSION):
                values = [record["figures"][group][key] for record in self.records]
                axes.plot([record["epoch"] for record in self.records], values, marker=".", label=group)
            if self.best is not None:
                axes.axvline(self.best, linestyle=":", color="grey", label="best epoch")
            axes.set_title(f"{title}, validation dogs")
        for axes in (losses, *metrics):
            axes.set_xlabel("epoch")
            axes.grid(alpha=0.3)
            if axes.lines:
                axes.legend()
        with whole_file(file) as partial:
            figure.savefig(partial, dpi=100, format="png")

    def _tell_tensorboard(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        record = self.records[-1]
        # A run that continues writes over the epochs that were interrupted.
        with SummaryWriter(str(folder), purge_step=record["epoch"]) as writer:
            writer.add_scalar("learning_rate", record["learning_rate"], record["epoch"])
            for name, loss in record["losses"].items():
                writer.add_scalar(f"loss/{name}", loss, record["epoch"])
            for group, figures in record["figures"].items():
                for key in DRAWN:
                    if figures[key] is not None:
                        writer.add_scalar(f"{key}/{group}", figures[key], record["epoch"])
