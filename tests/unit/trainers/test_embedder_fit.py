"""From runs to the embedder that is exported: seeds averaged, share and directions chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from immich_dog_plugin.geometry import FloatArray, ImageArray
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline, cut
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.embedder import Pictures
from tests.tiny_package import red_dog_photo, write_png
from trainers.crops import both_crops
from trainers.data.entries import BREEDS, TRAIN, VAL, read_entries
from trainers.data.find_dogs import seen
from trainers.data.found import NOWHERE, Place, key
from trainers.embedder import fit
from trainers.embedder.features import network_features
from trainers.embedder.network import EmbedderNetwork
from trainers.embedder.projection import principal_directions, projection_layer
from trainers.embedder.trained import common_recipe, load_averaged, load_trained
from trainers.embedder.validate import best_over_days
from trainers.runs import TrainingError

from .drawn import drawn_photo
from .embedder_runs import TINY, figures, run_of, write_lists

WHOLE = Place(box=(0, 0, 80, 60), face=None)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    return write_lists(tmp_path)


def test_of_equal_errors_over_many_days_the_larger_tar_over_many_days_decides() -> None:
    measured = {"start": figures(0.036, 0.95, 0.7), "best": figures(0.04, 0.86, 0.8), "far": figures(0.06, 0.9, 0.9)}
    assert best_over_days(measured) == "best"


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
    train, bred, val = ({one.file_path for one in read_entries(lists / name)} for name in (TRAIN, BREEDS, VAL))
    places = {key(file): WHOLE for file in train | bred | val}
    assert {entry.file_path for entry in fit.entries_to_project(lists, places)} == train | bred
    without = min(train)
    places[key(without)] = NOWHERE
    assert {entry.file_path for entry in fit.entries_to_project(lists, places)} == (train | bred) - {without}


def test_a_run_alone_may_keep_the_directions_it_has_trained(lists: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "seed_1", tmp_path / "seed_2"]
    for seed, run in enumerate(runs, start=1):
        run_of(replace(TINY, epochs=1, seed=seed), lists, run)
    dogs = dogs_with_faces(6)
    alone = {of: directions for of, directions, _ in fit.candidates(runs[:1], 1.0, [0, 1], dogs, dogs[:3])}
    parts = [(1.0, part, common) for common in (0, 1) for part in ("body", "both")]
    assert list(alone) == [*parts, (1.0, "body", None)]
    own = torch.tensor(alone[fit.Candidate(1.0, "body", None)])
    torch.testing.assert_close(own, load_trained(runs[0]).projection.weight)
    assert [of for of, _, _ in fit.candidates(runs, 1.0, [0, 1], dogs, dogs[:3])] == parts


def test_half_of_the_directions_are_those_of_bodies_and_half_those_of_faces(lists: Path, tmp_path: Path) -> None:
    run_of(replace(TINY, epochs=0), lists, tmp_path / "run")
    dogs = dogs_with_faces(6)
    made = {of.part: rest for of, *rest in fit.candidates([tmp_path / "run"], 0.0, [0], dogs, dogs)}
    directions, embeddings = made["both"]
    network = load_trained(tmp_path / "run", 0.0)

    def features(pictures: list[ImageArray]) -> FloatArray:
        return network_features(network.backbone, pictures, lambda picture: picture, network.input, "")

    bodies = features([dog[0] for dog in dogs])
    faces = features([dog[1] for dog in dogs if len(dog) > 1])
    np.testing.assert_allclose(np.abs(directions[:256]), np.abs(principal_directions(bodies, 256)), atol=1e-5)
    np.testing.assert_allclose(np.abs(directions[256:]), np.abs(principal_directions(faces, 256)), atol=1e-5)
    # Of the last dog the face is hidden: its body gives both halves.
    np.testing.assert_allclose(embeddings[-1], fit.projected_onto(directions, bodies)[-1], atol=1e-6)
    shown = fit.projected_onto(directions, np.stack([bodies[0], faces[0]]))
    np.testing.assert_allclose(embeddings[0], np.concatenate([shown[0, :256], shown[1, 256:]]), atol=1e-6)


def test_a_dog_is_cut_as_the_pipeline_cuts_it(tmp_path: Path, tiny_package: ModelPackage) -> None:
    photo = red_dog_photo([(64, 48, 128, 112)])
    photo[..., 2] = np.where(photo[..., 0] == 255, 255, photo[..., 2])  # the tiny network sees a face in blue
    file, pipeline = write_png(tmp_path / "dog.png", photo), DogPipeline.open(tiny_package)
    dog = max(pipeline(photo), key=lambda dog: np.prod(dog.box[2:] - dog.box[:2]))
    expected = cut(Pyramid(photo), dog.box, dog.keypoints, "both", both_crops(), 32)
    found = fit.cuts_of(file, {key(file): seen(pipeline, file)}, 32)
    assert [picture.shape for picture in found] == [picture.shape for picture in expected]
    for picture, other in zip(found, expected, strict=True):
        assert np.abs(picture.astype(int) - other).max() <= 2  # a place is kept to a tenth of a pixel


def dogs_with_faces(count: int) -> list[Pictures]:
    """Drawn dogs, of which the last shows no face."""
    dogs: list[Pictures] = [(drawn_photo(number, 40, 30), drawn_photo(100 + number, 32, 32)) for number in range(count)]
    return [*dogs[:-1], dogs[-1][:1]]


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
