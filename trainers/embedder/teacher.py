"""What another network, usually a larger one, answers for the photos that train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from immich_dog_plugin.files import whole_file
from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.imaging import read_photo

from ..distributed import Processes
from .features import network_features
from .trained import load_trained

ANSWERS = "answers.npz"


def answers(run: Path, files: Sequence[Path], processes: Processes) -> Tensor:
    """The embeddings ``(n, 512)`` of whole photos by the best epoch of ``run``.

    They are kept in its folder: a teacher is asked once for each photo, whatever number of runs learns from it.
    """
    if processes.first:
        ask(run, files, processes.device)
    processes.broadcast(None)
    known = _kept(run)
    return torch.from_numpy(np.stack([known[str(file)] for file in files]))


def ask(run: Path, files: Sequence[Path], device: torch.device) -> None:
    """Let the teacher answer for those of ``files`` that it was not asked about yet."""
    known = _kept(run)
    new = [file for file in files if str(file) not in known]
    if not new:
        return
    teacher = load_trained(run).to(device)
    known |= dict(zip(map(str, new), network_features(teacher, new, read_photo, teacher.input, "Teacher"), strict=True))
    with whole_file(run / ANSWERS) as partial, partial.open("wb") as file:
        np.savez(file, files=np.array(list(known)), embeddings=np.stack(list(known.values())))


def _kept(run: Path) -> dict[str, FloatArray]:
    file = run / ANSWERS
    if not file.is_file():
        return {}
    with np.load(file) as kept:
        return dict(zip(kept["files"].tolist(), kept["embeddings"], strict=True))
