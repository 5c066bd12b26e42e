"""Our pipeline, its graphs alone and peers', pass by pass over the photos in one interleaved run.

Interleaved, because a machine that others use too is now faster and now slower: whoever ran in the better minute would
win. A whole pass each, because in use a pipeline's weights stay in the processor's caches from photo to photo; after
every photo of a network of 340 MB, a small one would measure how long its own take to come back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median

import numpy as np

from harness.bench.peers import PEERS, PeerPipeline
from immich_dog_plugin.bench import DOGS_IN_ONE_PHOTO, TimedPipeline
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.model_package import ModelPackage

OURS = "immich-dog-plugin"
Costs = dict[str, dict[str, float]]


def compare(
    photos: Sequence[ImageArray], package: ModelPackage, peers: Path, rounds: int
) -> tuple[Costs, dict[str, dict[int, float]]]:
    """Time every pipeline on every photo ``rounds`` times, taking turns after each pass over the photos.

    Returns:
        The cost of a photo: for each pipeline ``pipeline`` and each of its graphs, in milliseconds, mean over photos of
        the photo's median; and the cost of 1, 2, 4 and 8 dogs in one photo, medians.
    """
    ours = TimedPipeline(package)
    boxes = [np.array([dog.box for dog in ours.pipeline(photo)], dtype=np.float32).reshape(-1, 4) for photo in photos]
    others = {peer.name: PeerPipeline(peer, peers) for peer in PEERS}
    samples: dict[str, list[list[dict[str, float]]]] = {name: [[] for _ in photos] for name in (OURS, *others)}
    for turn in range(rounds + 1):
        for name, rows in samples.items():
            for row, photo, dogs in zip(rows, photos, boxes, strict=True):
                cost = ours(photo) if name == OURS else others[name](photo, dogs)
                if turn:  # the first round only warms up: a graph's first run of a shape allocates
                    row.append(cost)
    with_dog = next(index for index, dogs in enumerate(boxes) if len(dogs))
    photo, dog = photos[with_dog], boxes[with_dog][:1]
    by_dogs: dict[str, dict[int, float]] = {name: {} for name in samples}
    for count in DOGS_IN_ONE_PHOTO:
        runs = [
            {OURS: ours.with_dogs(photo, count)}
            | {name: peer(photo, dog.repeat(count, axis=0))["pipeline"] for name, peer in others.items()}
            for _ in range(rounds + 1)
        ][1:]
        for name, costs in by_dogs.items():
            costs[count] = median(run[name] for run in runs)
    return {name: average(rows) for name, rows in samples.items()}, by_dogs


def average(rows: Sequence[Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """For each figure the mean over photos of the median over that photo's runs.

    >>> average([[{"a": 1}, {"a": 2}, {"a": 9}], [{"a": 4}]])
    {'a': 3}
    """
    return {name: mean(median(run[name] for run in runs) for runs in rows) for name in rows[0][0]}
