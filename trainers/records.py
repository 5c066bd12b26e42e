"""``record.json``: what made a run. The manifest carries it, and the model card is written from it."""

from __future__ import annotations

import argparse
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from immich_dog_plugin.files import whole_file

from .runs import TrainingError

FILE = "record.json"
UNKNOWN_REVISION = "unknown"
LIBRARIES = ("torch", "timm", "ultralytics", "pytorch-metric-learning", "numpy", "opencv-python-headless")
SILENT = {"run", "threads", "workers", "device"}  # options that do not change what comes out


class Counts(BaseModel):
    """How much of a source was used; ``None``: not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    photos: int
    dogs: int | None = None
    breeds: int | None = None


class Record(BaseModel):
    """What made a run, and what it reached on validation data.

    Attributes:
        command: ``python -m`` what.
        recipe: its options by name, the seed among them.
        data: counts by use (``train``, ``val``, ...) and source.
        epochs: done, of those that the recipe asks for.
        kept_epoch: whose weights the run leaves; 0 is the start, None where the run trains nothing itself.
        validation: figures of these weights by what was measured.
        minutes: of all sessions of the run, to its last whole epoch; None: a part of it was not timed.
        versions, git_revision: of the session that wrote the record.
        earlier: the run whose weights this one started from.
        seeds: figures of the same recipe's best epochs by seed, where it was trained with several.
        history: what happened epoch by epoch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")

    command: str
    recipe: dict[str, Any]
    data: dict[str, dict[str, Counts]]
    epochs: int
    kept_epoch: int | None
    validation: dict[str, dict[str, Any]]
    minutes: float | None
    versions: dict[str, str]
    git_revision: str
    earlier: Record | None = None
    seeds: dict[int, dict[str, dict[str, Any]]] = {}
    history: list[dict[str, Any]] = []

    def without_history(self) -> Record:
        """The same without its epochs and those of earlier runs: what a manifest carries."""
        earlier = self.earlier.without_history() if self.earlier else None
        return self.model_copy(update={"history": [], "earlier": earlier})


class Recorder:
    """Keeps the record of a run that goes on, over all of its sessions.

    Args:
        run: folder of the run.
        command: the trainer's module.
        recipe: options by name; of paths nothing is kept that only this machine knows.
        data: as in ``Record``.
        continues: whether the folder holds a part of the run already.
        earlier: as in ``Record``.
        seeds: as in ``Record``.

    Attributes:
        recipe, data: as in ``Record``; may be changed until they are written.
        history: as in ``Record``; of a run that continues it holds the epochs that were recorded.
    """

    def __init__(
        self,
        run: Path,
        command: str,
        recipe: Mapping[str, Any],
        data: Mapping[str, Mapping[str, Counts]] | None = None,
        *,
        continues: bool = False,
        earlier: Record | None = None,
        seeds: Mapping[int, dict[str, dict[str, Any]]] | None = None,
    ) -> None:
        self._run = run
        self.recipe = dict(recipe)
        self.data = data or {}
        self._fixed = {
            "command": f"python -m {command}",
            "versions": versions(),
            "git_revision": git_revision(),
            "earlier": earlier,
            "seeds": dict(seeds or {}),
        }
        before = known_record(run) if continues else None
        self._minutes_before = before.minutes if before else None if continues else 0.0
        self.history: list[dict[str, Any]] = list(before.history) if before else []
        self._started = time.perf_counter()

    def write(
        self,
        *,
        epochs: int,
        kept_epoch: int | None,
        validation: Mapping[str, Mapping[str, Any]] | None = None,
        history: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        """Replace ``record.json``; arguments as in ``Record``, ``history`` by default what ``self.history`` holds."""
        minutes = None
        if self._minutes_before is not None:
            minutes = round(self._minutes_before + (time.perf_counter() - self._started) / 60, 2)
        record = Record.model_validate(
            {
                **self._fixed,
                "recipe": {name: portable(value) for name, value in self.recipe.items()},
                "data": {use: sources for use, sources in self.data.items() if sources},
                "epochs": epochs,
                "kept_epoch": kept_epoch,
                "validation": validation or {},
                "minutes": minutes,
                "history": list(self.history if history is None else history),
            }
        )
        with whole_file(self._run / FILE) as partial:
            partial.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_record(run: Path) -> Record:
    """The record that a run left.

    Raises:
        TrainingError: it left none, or another program wrote the file.
    """
    file = run / FILE
    try:
        return Record.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise TrainingError(f"{file} is missing: the run was made before runs left one", "Train it anew") from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise TrainingError(f"{file} is no record of a run ({place}: {fault['msg']})", "Train it anew") from error


def known_record(run: Path) -> Record | None:
    """The record that a run left; None where it left none that can be read."""
    try:
        return read_record(run)
    except TrainingError:
        return None


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a command that change what comes out."""
    return {name: value for name, value in vars(args).items() if name not in SILENT}


def portable(value: object) -> object:
    """A path without what only this machine knows: relative to the working folder if below it, else its last part.

    >>> portable(Path("/home/rex/weights/lite2.pth")), portable("runs/teacher"), portable(0.25)
    ('lite2.pth', 'runs/teacher', 0.25)
    """
    if not isinstance(value, (str, Path)):
        return value
    path = Path(value)
    if not path.is_absolute():
        return str(value)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else path.name


def versions() -> dict[str, str]:
    """Python and the libraries that decide what training computes, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str:
    """The commit that this code's working tree stands on, ``-dirty`` where files differ from it.

    ``unknown`` outside a git checkout: hours of training must not end for that.
    """
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN_REVISION
    return answer.stdout.strip()
