"""From runs to the embedder that is exported: seeds averaged, share and directions chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from immich_dog_plugin.imaging import read_photo
from trainers.data.entries import BREEDS, TRAIN, VAL, read_entries
from trainers.embedder import fit
from trainers.embedder.network import EmbedderNetwork
from trainers.embedder.projection import projection_layer
from trainers.embedder.trained import common_recipe, load_averaged, load_trained
from trainers.runs import TrainingError

from .embedder_runs import TINY, figures, run_of, write_lists

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    return write_lists(tmp_path)


def test_of_equal_errors_over_many_days_the_larger_tar_over_many_days_decides() -> None:
    start, best, far = fit.Candidate(0.0, 0), fit.Candidate(0.25, 1), fit.Candidate(1.0, 1)
    measured = {start: figures(0.036, 0.95, 0.7), best: figures(0.04, 0.86, 0.8), far: figures(0.06, 0.9, 0.9)}
    assert fit.best_candidate(measured) == best


def test_averaged_runs_of_two_seeds_lie_between_them(lists: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "seed_1", tmp_path / "seed_2"]
    for seed, run in enumerate(runs, start=1):
        run_of(replace(TINY, epochs=1, seed=seed), lists, run)
    averaged = load_averaged(runs, 0.5).backbone.state_dict()
    first, second = (load_trained(run, 0.5).backbone.state_dict() for run in runs)
    moved = [name for name in averaged if not torch.equal(first[name], second[name])]
    assert moved
    for name in moved:
        torch.testing.assert_close(averaged[name], (first[name] + second[name]) / 2)


def test_runs_of_different_recipes_are_not_averaged(lists: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "slow", tmp_path / "fast"]
    for run, lr in zip(runs, (1e-4, 1e-3), strict=True):
        run_of(replace(TINY, epochs=0, lr=lr), lists, run)
    with pytest.raises(TrainingError, match=r"fast was trained by another recipe than .*slow"):
        common_recipe(runs)


def test_the_directions_are_fitted_on_photos_that_train_and_on_no_photo_that_chooses(lists: Path) -> None:
    projected = {entry.file_path for entry in fit.entries_to_project(lists)}
    train, bred, val = ({one.file_path for one in read_entries(lists / name)} for name in (TRAIN, BREEDS, VAL))
    assert projected == train | bred
    assert not projected & val


def test_a_run_alone_may_keep_the_directions_it_has_trained(lists: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "seed_1", tmp_path / "seed_2"]
    for seed, run in enumerate(runs, start=1):
        run_of(replace(TINY, epochs=1, seed=seed), lists, run)
    files = [entry.file_path for entry in read_entries(lists / TRAIN)]
    pictures = {"whole photo": [read_photo(file) for file in files[:3]]}
    alone = {of: directions for of, directions, _ in fit.candidates(runs[:1], 1.0, [0, 1], files, pictures)}
    assert list(alone) == [(1.0, 0), (1.0, 1), (1.0, None)]
    torch.testing.assert_close(torch.tensor(alone[fit.Candidate(1.0, None)]), load_trained(runs[0]).projection.weight)
    assert [of for of, _, _ in fit.candidates(runs, 1.0, [0, 1], files, pictures)] == [(1.0, 0), (1.0, 1)]


def test_the_figures_are_measured_on_what_a_network_with_these_directions_answers() -> None:
    random = np.random.default_rng(4)
    features, directions = random.normal(size=(5, 16)).astype(np.float32), np.eye(512, 16, dtype=np.float32)
    with torch.inference_mode():
        network = EmbedderNetwork(torch.nn.Identity(), projection_layer(directions))
        answered = network(torch.from_numpy(features)).numpy()
    projected = fit.projected_onto(directions, features)
    np.testing.assert_allclose(projected, answered, atol=1e-6)
    by_hand = features / np.linalg.norm(
        features, axis=1, keepdims=True
    )  # 16 of the directions are the axes, the rest zero
    np.testing.assert_allclose(projected, np.pad(by_hand, ((0, 0), (0, 496))), atol=1e-6)
