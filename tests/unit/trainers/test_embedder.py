from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from immich_dog_plugin.stages.embedder import Embedder
from trainers.data.identity import breed_photos, read_identities
from trainers.embedder.features import network_features
from trainers.embedder.projection import principal_directions, projection_layer
from trainers.specs import RECOGNITION


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_projection_keeps_the_cosines_of_features_that_fill_few_directions() -> None:
    random = np.random.default_rng(0)
    features = (random.normal(size=(200, 12)) @ random.normal(size=(12, 64)) + 3).astype(np.float32)
    layer = projection_layer(principal_directions(features, 16))
    with torch.inference_mode():
        projected = layer(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(unit(projected) @ unit(projected).T, unit(features) @ unit(features).T, atol=1e-5)


def test_the_directions_are_orthonormal_and_the_largest_comes_first() -> None:
    random = np.random.default_rng(1)
    features = (random.normal(size=(500, 8)) * np.array([9, 5, 3, 1, 1, 1, 1, 1])).astype(np.float32)
    directions = principal_directions(features, 3)
    np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-5)
    assert np.abs(directions[0, 0]) > 0.9


def test_leaving_out_the_common_direction_takes_the_mean_of_all_photos_out_of_the_cosines() -> None:
    random = np.random.default_rng(3)
    features = (random.normal(size=(500, 16)) + 5).astype(np.float32)
    directions = principal_directions(features, 15, common=1)
    np.testing.assert_allclose(directions @ directions.T, np.eye(15), atol=1e-5)
    np.testing.assert_allclose(directions @ np.ones(16) / 4, 0, atol=0.05)
    different = ~np.eye(len(features), dtype=bool)
    cosines, before = (unit(rows) @ unit(rows).T for rows in (features @ directions.T, features))
    assert abs(float(cosines[different].mean())) < 0.01
    assert float(before[different].mean()) > 0.9


def test_training_and_serving_read_the_same_crop_as_the_identical_tensor() -> None:
    crop = np.random.default_rng(2).integers(0, 255, (90, 140, 3), dtype=np.uint8)
    trained: list[np.ndarray] = []
    served: list[np.ndarray] = []

    class Network(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            trained.append(images.numpy())
            return torch.zeros(len(images), 512)

    class Session:
        def run(self, names: list[str], feed: dict[str, np.ndarray], options: object = None) -> list[np.ndarray]:
            served.append(feed["images"])
            return [np.ones((1, 512), dtype=np.float32)]

    network_features(Network(), [crop], lambda item: item, RECOGNITION.input, "test")
    Embedder(Session(), RECOGNITION)([(crop,)])
    np.testing.assert_array_equal(trained[0], served[0])


def test_placeholders_among_the_breed_photos_are_left_out(tmp_path: Path) -> None:
    for name, content in {"a.jpg": b"dog", "b.jpg": b"grey", "c.jpg": b"grey", "notes.txt": b"text"}.items():
        (tmp_path / name).write_bytes(content)
    assert breed_photos(tmp_path) == [tmp_path / "a.jpg"]


def test_source_groups_of_two_sets_are_not_confused(tmp_path: Path) -> None:
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "index.csv").write_text(
        "split,set,dog,file,width,height,source_group\n"
        "val,one,one/rex,one/rex/1.jpg,10,10,1.jpg\n"
        "val,two,two/bella,two/bella/1.jpg,10,10,1.jpg\n"
        "test,two,two/max,two/max/2.jpg,10,10,2.jpg\n"
    )
    first, second = read_identities(tmp_path, "val")
    assert first.group != second.group
    assert (first.dog, first.file) == ("one/rex", tmp_path / "identity" / "one/rex/1.jpg")
