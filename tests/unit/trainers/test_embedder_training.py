from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from immich_dog_plugin.imaging import read_photo
from trainers.data.identity import IdentityPhoto
from trainers.embedder import train, training
from trainers.embedder.batches import Batches, joined
from trainers.embedder.history import History
from trainers.embedder.objective import UNKNOWN
from trainers.embedder.optimise import CLASSES, PROJECTION, learning_rate
from trainers.embedder.seeds import read_seeds
from trainers.embedder.start import starting_point
from trainers.embedder.teacher import answers
from trainers.embedder.trained import load_trained
from trainers.embedder.validate import better, figures_of
from trainers.records import read_record
from trainers.runs import TrainingError

from .embedder_runs import ALONE, TINY, figures, material, run_of, write_lists

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    return write_lists(tmp_path)


def weights(run: Path, name: str = "last.pt") -> dict[str, Any]:
    return torch.load(run / name, weights_only=True)


def test_an_interrupted_run_ends_with_the_weights_of_one_that_was_not(
    lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = run_of(TINY, lists, tmp_path / "whole")
    assert [record["epoch"] for record in history.records] == [0, 1, 2, 3]

    judge, judged = training.Training.judge, []

    def interrupted(self: training.Training, epoch: int, **reached: Any) -> None:
        if epoch == 2 and not judged:
            judged.append(epoch)
            raise KeyboardInterrupt
        judge(self, epoch, **reached)

    monkeypatch.setattr(training.Training, "judge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_of(TINY, lists, tmp_path / "halved")
    assert weights(tmp_path / "halved")["epoch"] == 2  # the start and one epoch are done
    run_of(TINY, lists, tmp_path / "halved")

    whole, halved = weights(tmp_path / "whole"), weights(tmp_path / "halved")
    for part in ("objective", "averaged"):
        assert whole[part].keys() == halved[part].keys()
        for name, values in whole[part].items():
            torch.testing.assert_close(values, halved[part][name], rtol=0, atol=0, msg=f"{part}: {name}")
    assert "losses.identity.W" in whole["objective"]
    assert not torch.equal(
        whole["objective"]["network.backbone.conv_stem.weight"],
        weights(tmp_path / "whole", "start.pt")["start"]["network"]["backbone.conv_stem.weight"],
    )


def test_a_finished_run_is_left_as_it_is(lists: Path, tmp_path: Path) -> None:
    recipe = replace(TINY, epochs=1)
    run_of(recipe, lists, tmp_path / "run")
    before = (tmp_path / "run" / "last.pt").read_bytes()
    history = run_of(recipe, lists, tmp_path / "run")
    assert len(history.records) == 2
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


def test_a_run_does_not_continue_with_other_options(lists: Path, tmp_path: Path) -> None:
    run_of(replace(TINY, epochs=1), lists, tmp_path / "run")
    with pytest.raises(TrainingError, match=r"--lr was 0.001 and is 0.1.*--run"):
        run_of(replace(TINY, epochs=1, lr=0.1), lists, tmp_path / "run")


def test_a_run_leaves_its_record_its_curves_and_tensorboard(lists: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = run_of(replace(TINY, epochs=2), lists, tmp_path / "run")
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["recipe"]["loss"] == "arcface"
    assert [epoch["epoch"] for epoch in record["history"]] == [0, 1, 2]
    assert record["history"][2]["losses"].keys() == {"identity", "views", "breed"}
    assert record["kept_epoch"] == history.best in (1, 2)
    assert record["validation"] == history.figures_of_best
    assert record["epochs"] == 2
    assert record["data"]["known dogs"] == {"drawn": {"photos": 18, "dogs": 6, "breeds": 2}}
    assert record["data"]["breed photos"] == {"drawn": {"photos": 8, "dogs": None, "breeds": 2}}
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("eer/cross-session")] == [0, 1, 2]
    assert events.Scalars("loss/identity")[-1].value == pytest.approx(record["history"][2]["losses"]["identity"])


@pytest.mark.parametrize("options", [{"loss": "subcenter", "views": 0}, {"loss": "triplet"}, {"loss": "views"}])
def test_every_loss_trains(options: dict[str, Any], lists: Path, tmp_path: Path) -> None:
    history = run_of(replace(TINY, epochs=1, **options), lists, tmp_path / "run")
    losses = history.records[1]["losses"]
    assert ("identity" in losses) == (options["loss"] != "views")
    assert ("views" in losses) == (options.get("views") != 0)
    assert np.isfinite(list(losses.values())).all()


def test_losses_that_are_not_finite_end_the_run_before_anything_is_saved(lists: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no longer finite.*lower --lr"):
        run_of(replace(TINY, lr=1e30), lists, tmp_path / "run")
    assert weights(tmp_path / "run")["epoch"] == 1  # the start alone


def test_the_product_lies_a_share_of_the_way_from_the_start(lists: Path, tmp_path: Path) -> None:
    run_of(replace(TINY, epochs=1, share=0.25), lists, tmp_path / "run")
    name = "projection.weight"
    start, tuned = (load_trained(tmp_path / "run", share).state_dict()[name] for share in (0, 1))
    assert not torch.equal(start, tuned)
    torch.testing.assert_close(load_trained(tmp_path / "run").state_dict()[name], 0.75 * start + 0.25 * tuned)


def test_the_starting_projection_keeps_the_cosines_of_the_features(lists: Path, tmp_path: Path) -> None:
    photos = material(TINY, lists)
    start = starting_point(TINY, tmp_path, photos, ALONE)
    assert start.embeddings.shape == (6 * 3 + 8, 512)
    from trainers.embedder.features import network_features

    features = network_features(start.network.backbone, photos.files, read_photo, start.network.input, "test")
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose((start.embeddings @ start.embeddings.T).numpy(), unit @ unit.T, atol=1e-4)


def test_the_rate_rises_for_a_tenth_of_the_steps_and_falls_along_a_cosine(lists: Path, tmp_path: Path) -> None:
    recipe = replace(TINY, epochs=10, steps=10, layer_decay=0.5)
    photos = material(recipe, lists)
    run = training.Training(
        recipe,
        tmp_path,
        photos,
        starting_point(recipe, tmp_path, photos, ALONE),
        Batches(recipe, photos, ALONE, 0),
        ALONE,
    )
    rates, of_first_layer = [], []
    for _ in range(100):
        rates.append(learning_rate(run.optimiser))
        of_first_layer.append(run.optimiser.param_groups[0]["lr"])
        run.optimiser.step()
        run.schedule.step() if len(rates) < 100 else None
    assert np.argmax(rates) == 9
    assert max(rates) == pytest.approx(1e-3)
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[9:]) < 0).all()
    half = 9 + 45  # of the way down the cosine stands at the middle
    assert rates[half] == pytest.approx(0.5e-3, rel=0.02)
    assert rates[-1] < 1e-3 / 1000
    layers = {group["lr"] for group in run.optimiser.param_groups if group["name"] not in (PROJECTION, CLASSES)}
    assert len(layers) > 3
    np.testing.assert_allclose(np.array(of_first_layer) / rates, of_first_layer[0] / rates[0])


def test_each_layer_learns_slower_than_the_next() -> None:
    from trainers.embedder.network import DIMENSION, embedder_network
    from trainers.embedder.objective import Objective
    from trainers.embedder.optimise import optimiser_of

    recipe = replace(TINY, layer_decay=0.5)
    objective = Objective(embedder_network(recipe.architecture, "random"), torch.zeros(0, DIMENSION))
    rate = {
        parameter: group["lr"]
        for group in optimiser_of(objective, recipe).param_groups
        for parameter in group["params"]
    }
    named = {name: rate[parameter] for name, parameter in objective.network.named_parameters()}
    assert named["projection.weight"] == 1e-3
    blocks = [
        named[f"backbone.blocks.{number}.0.{'conv' if number < 1 else 'conv_pw' if number > 2 else 'conv_exp'}.weight"]
        for number in range(5)
    ]
    assert blocks == sorted(blocks)
    assert blocks[1] == pytest.approx(2 * blocks[0])


def test_dogs_seen_on_many_days_decide_where_there_are_some() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(12, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    places = [("stdove", dog) for dog in range(2)] + [("mpdd", dog) for dog in range(2, 4)]
    photos = [IdentityPhoto(Path(), "val", name, f"{dog}", f"{dog}/{n}") for name, dog in places for n in range(3)]
    found = figures_of(vectors, photos)
    assert found["cross-session"] == found["stdove"] != found["all"]
    assert figures_of(vectors[6:], photos[6:])["cross-session"] == figures_of(vectors[6:], photos[6:])["all"]


def test_a_clearly_smaller_error_across_sessions_is_better_whatever_the_rest() -> None:
    assert better(figures(eer=0.08, tar=0.5), figures(eer=0.09, tar=0.9), least_eer=0.09)


def test_among_equal_errors_across_sessions_the_larger_tar_is_better() -> None:
    assert better(figures(eer=0.093, tar=0.91), figures(eer=0.09, tar=0.9), least_eer=0.09)
    assert not better(figures(eer=0.089, tar=0.9), figures(eer=0.09, tar=0.9), least_eer=0.09)


def test_the_error_cannot_creep_up_in_small_steps() -> None:
    assert not better(figures(eer=0.098, tar=0.95), figures(eer=0.094, tar=0.9), least_eer=0.09)


def test_a_tar_that_cannot_be_stated_is_no_gain() -> None:
    none: Any = None
    assert not better(figures(eer=0.09, tar=none), figures(eer=0.09, tar=none), least_eer=0.09)


def test_the_start_is_noted_but_is_no_candidate() -> None:
    history = History()
    assert not history.add(0, figures(0.05, 0.9), {}, 0, 0)
    assert history.best is None
    assert history.add(1, figures(0.10, 0.8), {}, 0, 0)
    assert not history.add(2, figures(0.11, 0.9), {}, 0, 0)
    assert not history.add(3, figures(0.12, 0.9), {}, 0, 0)
    assert (history.best, history.epochs_since_best) == (1, 2)
    assert history.figures_of_best == figures(0.10, 0.8)


def test_a_run_stops_when_the_validation_dogs_gain_no_more(
    lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([0.2, 0.1, 0.11, 0.12, 0.13])
    monkeypatch.setattr(training, "validate", lambda network, photos, read: figures(next(errors), 0.5))
    history = run_of(replace(TINY, epochs=9, steps=1, patience=2), lists, tmp_path / "run")
    assert [record["epoch"] for record in history.records] == [0, 1, 2, 3]
    assert history.best == 1
    assert weights(tmp_path / "run", "best.pt")["epoch"] == 2
    # the one that is kept is the best, not the last
    best = weights(tmp_path / "run", "best.pt")["averaged"]["module.projection.weight"]
    torch.testing.assert_close(load_trained(tmp_path / "run").state_dict()["projection.weight"], best)


def test_a_batch_holds_known_dogs_and_two_views_of_breed_photos(lists: Path) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    photos = material(TINY, lists)
    batches = Batches(TINY, photos, ALONE, workers=0)
    assert batches.breeds[:18] == [1] * 6 + [UNKNOWN] * 3 + [0] * 3 + [UNKNOWN] * 6  # collie, pug, terrier
    found = list(batches.epoch(np.eye(6, dtype=np.float32)))
    assert len(found) == 2
    for batch in found:
        assert batch.images.shape == (4 * 2 + 4 * 2, 3, 32, 32)
        dogs = batch.dogs[:8]
        assert sorted(torch.bincount(dogs[dogs >= 0], minlength=6).tolist()) == [0, 0, 2, 2, 2, 2]
        assert (batch.dogs[8:] == UNKNOWN).all()
        assert (batch.photos[8:].view(-1, 2)[:, 0] == batch.photos[8:].view(-1, 2)[:, 1]).all()
        assert (batch.photos[8:] >= 18).all()
        assert batch.breeds.tolist() == [batches.breeds[photo] for photo in batch.photos]
        assert batch.dogs.tolist() == [batches.dogs[photo] for photo in batch.photos]


def test_joining_keeps_every_pictures_knowledge() -> None:
    known = (torch.arange(2.0).view(2, 1, 1, 1, 1), torch.tensor([5, 6]), torch.tensor([0, 1]), torch.tensor([-1, 3]))
    views = (
        torch.arange(2.0, 6.0).view(2, 2, 1, 1, 1),
        torch.tensor([-1, -1]),
        torch.tensor([7, 8]),
        torch.tensor([2, 2]),
    )
    batch = joined([known, views])
    assert batch.images.flatten().tolist() == [0, 1, 2, 3, 4, 5]
    assert batch.dogs.tolist() == [5, 6, -1, -1, -1, -1]
    assert batch.photos.tolist() == [0, 1, 7, 7, 8, 8]
    assert batch.breeds.tolist() == [-1, 3, 2, 2, 2, 2]


def test_a_teacher_is_asked_once_for_each_photo(lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainers.embedder import teacher

    run = tmp_path / "teacher"
    run_of(replace(TINY, epochs=0), lists, run)
    files = material(TINY, lists).files
    asked: list[Path] = []
    features = teacher.network_features

    def counted(network: Any, new: list[Path], *args: Any) -> Any:
        asked.extend(new)
        return features(network, new, *args)

    monkeypatch.setattr(teacher, "network_features", counted)
    answers(run, files[:3], ALONE)
    found = answers(run, files[1:5], ALONE)
    assert asked == files[:5]
    start = starting_point(replace(TINY, epochs=0), run, material(TINY, lists), ALONE)
    torch.testing.assert_close(found, start.embeddings[1:5], atol=1e-5, rtol=0)


def test_a_run_learns_from_a_teacher(lists: Path, tmp_path: Path) -> None:
    run_of(replace(TINY, epochs=0), lists, tmp_path / "teacher")
    recipe = replace(TINY, epochs=1, teacher=str(tmp_path / "teacher"), seed=5)
    assert run_of(recipe, lists, tmp_path / "run").records[1]["losses"]["teacher"] > 0


def test_the_command_trains_every_seed_and_tells_the_spread(
    lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "runs"
    command = f"""train --data {lists} --masks {lists / "masks"} --run {run} --seeds 2 --threads 1 --workers 0
        --backbone test_efficientnet --weights random --side 32 --trained-layers 0
        --dogs 4 --photos 2 --epochs 1 --steps 1"""
    monkeypatch.setattr(sys, "argv", command.split())
    train.main()
    assert {path.name for path in run.iterdir()} == {"seed_1", "seed_2", "seeds.md", "seeds.json", "log.txt"}
    assert "mean ± spread" in (run / "seeds.md").read_text()
    assert "best epochs" in (run / "log.txt").read_text()
    seeds = read_seeds(run / "seed_2")
    assert seeds.keys() == {1, 2}
    assert seeds[2] == read_record(run / "seed_2").validation
    assert read_seeds(run) == {}


def test_bad_options_end_the_command_with_cause_and_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, message in (
        ("--views 6", "--views 6 is no multiple of --views-per-breed 4"),
        (f"--teacher {tmp_path / 'none'}", "no run .*none to learn from"),
        (f"--data {tmp_path}", "identity_train.json is missing.*python -m trainers.data"),
    ):
        monkeypatch.setattr(sys, "argv", ["train", "--run", str(tmp_path / "run"), *options.split()])
        with pytest.raises(SystemExit, match=message):
            train.main()


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"start.pt is missing.*trainers.embedder.train"):
        load_trained(tmp_path)
