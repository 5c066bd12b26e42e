"""Tiny runs of the embedder's trainer on drawn photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from trainers.data.entries import BREEDS, TRAIN, VAL, write_entries
from trainers.distributed import Processes
from trainers.embedder import training
from trainers.embedder.history import History
from trainers.embedder.material import Material
from trainers.embedder.recipe import Recipe

from .drawn import entry, write_photo

ALONE = Processes(0, 1, torch.device("cpu"))
TINY = Recipe(
    backbone="test_efficientnet",
    weights="random",
    side=32,
    trained_layers=0,
    dogs=4,
    photos=2,
    views=4,
    epochs=3,
    steps=2,
    patience=9,
    lr=1e-3,
)
BREEDS_OF_DOGS = ("pug", "pug", None, "collie", None, None)


def write_lists(tmp_path: Path) -> Path:
    """Six dogs and two breeds that train, four dogs that choose."""
    folder = tmp_path / "lists"
    train_entries, val_entries, breed_entries = [], [], []
    for dog, breed in enumerate(BREEDS_OF_DOGS):
        for number in range(3):
            file = write_photo(tmp_path / "photos" / f"{dog}_{number}.png", 100 * dog + number)
            train_entries.append(entry(file, dog, **({"breed_label": breed} if breed else {})))
    for dog in range(10, 14):
        for number in range(3):
            file = write_photo(tmp_path / "photos" / f"{dog}_{number}.png", 100 * dog + number)
            val_entries.append(entry(file, dog, set="stdove" if dog < 12 else "drawn"))
    for number in range(8):
        breed = ("pug", "terrier")[number % 2]
        file = write_photo(tmp_path / "breeds" / breed / f"{number}.png", 5000 + number)
        breed_entries.append(entry(file, None, breed_label=breed))
    for name, entries in ((TRAIN, train_entries), (VAL, val_entries), (BREEDS, breed_entries)):
        write_entries(folder / name, entries)
    return folder


def material(recipe: Recipe, lists: Path) -> Material:
    return Material.read(recipe, lists, lists / "masks")


def run_of(recipe: Recipe, lists: Path, run: Path) -> History:
    run.mkdir(parents=True, exist_ok=True)
    return training.train(recipe, run, material(recipe, lists), ALONE, workers=0)


def figures(eer: float, tar: float, tar_over_days: float = 0.3) -> dict[str, dict[str, Any]]:
    of_all = {"auc": 0.9, "eer": 0.1, "tar_at_1_percent": tar, "tar_at_01_percent": None, "top_1": 0.8}
    return {"all": of_all, "cross-session": {**of_all, "eer": eer, "tar_at_1_percent": tar_over_days}}
