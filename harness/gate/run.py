"""One set of photos through one service, judged and written down: what the tests and the command share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from harness.gate.answers import Answered, ask
from harness.gate.judge import judge
from harness.gate.photo_set import PhotoSet
from harness.gate.results import Run, write_results
from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.model_package import ModelPackage


def run_gate(
    url: str,
    photo_set: PhotoSet,
    package: ModelPackage,
    out: Path,
    track: Callable[[Iterable[Answered]], Iterable[Answered]] = iter,
) -> Run:
    """Send every photo to the service at ``url``, judge its answers and write them into ``out``.

    Args:
        url: of the service.
        photo_set: what is sent, and which limits count.
        package: which models the service is asked for; its manifest's thresholds count.
        out: folder for the results.
        track: sees the answers pass, to show how far it is.

    Raises:
        PhotoError: a photo cannot be read.
        ServiceError: the service cannot be reached, answers an error, or breaks the contract.
        OutputError: the results cannot be written.
    """
    manifest = package.manifest
    answered = list(track(ask(url, photo_set.photos, manifest.name)))
    labels = [row.photo.dog for row in answered]
    groups = [row.group for row in answered]
    embeddings = _embeddings(answered, manifest.recognition.dimension)
    run = Run(
        photo_set, url, package, answered, judge(embeddings, labels, groups, manifest.thresholds, photo_set.limits)
    )
    write_results(out, run)
    return run


def _embeddings(answered: list[Answered], dimension: int) -> FloatArray:
    """``(n, dimension)``, NaN where no dog was found."""
    nothing = np.full(dimension, np.nan, dtype=np.float32)
    return np.stack([nothing if row.dog is None else row.dog.vector for row in answered])
