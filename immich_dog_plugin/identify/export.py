"""Embeddings and tables for other programs."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..calibration import Calibration
from ..files import whole_file
from ..geometry import FloatArray
from ..spreadsheet import text_cell, write_table
from .collection import Collection
from .grouping import Labels
from .neighbours import most_similar, similarity_blocks

ALL_PAIRS_UP_TO = 1000  # dogs: 499,500 pairs, about 30 MB
NEIGHBOURS_BEYOND = 20


def _write_npz(folder: Path, keys: list[str], embeddings: FloatArray) -> None:
    """``embeddings.npz``: one array for each key, as ``numpy.load(file)["Rex/1.jpg#0"]``."""
    arrays: dict[str, Any] = dict(zip(keys, embeddings, strict=True))
    with whole_file(folder / "embeddings.npz") as path, path.open("wb") as file:
        np.savez(file, **arrays)


def _write_npy(folder: Path, keys: list[str], embeddings: FloatArray) -> None:
    """``embeddings.npy``: one matrix, and ``embeddings.keys.json``: the key of each of its rows."""
    with whole_file(folder / "embeddings.npy") as path, path.open("wb") as file:
        np.save(file, embeddings)
    with whole_file(folder / "embeddings.keys.json") as path:
        path.write_text(json.dumps(keys, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def _write_pkl(folder: Path, keys: list[str], embeddings: FloatArray) -> None:
    """``embeddings.pkl``: a dict. Only ever written: reading a pickle runs whatever code it holds."""
    with whole_file(folder / "embeddings.pkl") as path, path.open("wb") as file:
        pickle.dump(dict(zip(keys, embeddings, strict=True)), file, protocol=4)


EMBEDDING_FORMATS: dict[str, Callable[[Path, list[str], FloatArray], None]] = {
    "npz": _write_npz,
    "npy": _write_npy,
    "pkl": _write_pkl,
}


def write_embeddings(folder: Path, collection: Collection, formats: Sequence[str]) -> None:
    """Write the embeddings keyed by ``file#number``; identical files each have their keys.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    keys = [key for detection in collection.detections for key in detection.keys]
    rows = [row for row, detection in enumerate(collection.detections) for _ in detection.keys]
    for name in formats:
        EMBEDDING_FORMATS[name](folder, keys, collection.embeddings[np.array(rows, dtype=np.int64)])


def write_dogs(folder: Path, collection: Collection, groups: Labels) -> None:
    """``dogs.csv``: a row for each dog of each file, with its group (0: none), name, box, score and crop.

    ``turned``: degrees clockwise by which the photo was turned to see the dog; the box is that of the photo as it lies.
    """
    headings = ["key", "file", "dog", "group", "name", "x1", "y1", "x2", "y2", "score", "crop", "turned"]
    rows = (
        [
            text_cell(key),
            text_cell(name),
            detection.number,
            group + 1,
            text_cell(detection.name or ""),
            *(f"{value:.1f}" for value in detection.box),
            f"{detection.score:.4f}",
            detection.crop,
            detection.photo.turned,
        ]
        for detection, group in zip(collection.detections, groups, strict=True)
        for name, key in zip(detection.photo.files, detection.keys, strict=True)
    )
    write_table(folder / "dogs.csv", headings, rows)


def write_similarity(folder: Path, collection: Collection, calibration: Calibration | None = None) -> int | None:
    """``similarity.csv``: the cosine of every unordered pair of dogs, and with a calibration the probability.

    Above ``ALL_PAIRS_UP_TO`` dogs only each dog's ``NEIGHBOURS_BEYOND`` most similar dogs of other photos are
    written: all pairs of 12,000 dogs would be a file of 4 GB. Identical files count once.

    Returns:
        How many neighbours of each dog the file holds, ``None`` if it holds every pair.
    """
    everything = len(collection.detections) <= ALL_PAIRS_UP_TO
    pairs = _all_pairs(collection) if everything else _nearest_pairs(collection)
    keys = [text_cell(detection.key) for detection in collection.detections]
    headings = ["dog", "other_dog", "cosine", *(["probability"] if calibration else [])]
    rows = (
        [
            keys[first],
            keys[second],
            f"{cosine:.4f}",
            *([f"{calibration.probability(cosine):.4f}"] if calibration else []),
        ]
        for first, second, cosine in pairs
    )
    write_table(folder / "similarity.csv", headings, rows)
    return None if everything else NEIGHBOURS_BEYOND


def _all_pairs(collection: Collection) -> Iterator[tuple[int, int, float]]:
    rows = np.arange(len(collection.detections))
    for block, cosines in similarity_blocks(collection.embeddings, rows):
        for row, values in zip(block.tolist(), cosines, strict=True):
            for other in range(row + 1, len(rows)):
                yield row, other, float(values[other])


def _nearest_pairs(collection: Collection) -> Iterator[tuple[int, int, float]]:
    """Each dog with its nearest others; a pair that both have among their nearest comes once."""
    rows = np.arange(len(collection.detections))
    found = most_similar(collection.embeddings, collection.photo_ids, NEIGHBOURS_BEYOND, rows)
    nearest = [set(others) for others in found.indices.tolist()]
    for row, (others, scores) in enumerate(zip(found.indices.tolist(), found.scores.tolist(), strict=True)):
        for other, cosine in zip(others, scores, strict=True):
            if other >= 0 and not (other < row and row in nearest[other]):
                yield row, other, cosine
