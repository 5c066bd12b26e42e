"""Photos of known dogs with embeddings by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from immich_dog_plugin.evaluation.embedded import EmbeddedPhotos


def photos(
    labels: Sequence[str],
    *,
    sessions: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    dogs: Sequence[int] | None = None,
) -> EmbeddedPhotos:
    """A photo for each label; photos of one dog have one embedding, those of two are at right angles."""
    names, dog = np.unique(list(labels), return_inverse=True)
    count = len(labels)
    return EmbeddedPhotos(
        embeddings=np.eye(len(names), dtype=np.float32)[dog],
        labels=np.array(list(labels)),
        groups=np.array(groups or [f"photo {row}" for row in range(count)]),
        sets=np.array(sets or [""] * count),
        sessions=np.array(sessions or [""] * count),
        dogs=np.array(dogs or [1] * count),
        times=np.full(count, np.nan),
        keys=[str(row) for row in range(count)],
    )
