"""The package in ``artifacts/`` is what the networks of ``trainers/`` compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from immich_dog_plugin.geometry import to_tensor
from immich_dog_plugin.manifest import STAGE_NAMES, StageName, StageSpec
from immich_dog_plugin.model_package import ModelPackage
from trainers.detector.network import ExportedDetector, one_class_network
from trainers.detector.train import BACKBONE
from trainers.embedder.network import DIMENSION, backbone_network
from trainers.export import MAX_BYTES
from trainers.graph import read_weights
from trainers.parity import compare, difference
from trainers.specs import DETECTION, KEYPOINT
from trainers.warm_start import architecture_of, detector_from, embedder_from, keypoints_from

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def shipped() -> ModelPackage:
    return ModelPackage.open(Path("artifacts/dog-identification-v1").absolute())


def pictures(spec: StageSpec, count: int) -> np.ndarray:
    """Smooth random pictures, closer to photos than noise."""
    import cv2

    random, side = np.random.default_rng(count), spec.input.side
    blobs = [random.integers(0, 255, (6, 6, 3), dtype=np.uint8) for _ in range(count)]
    grown = [cv2.resize(blob, (side, side), interpolation=cv2.INTER_CUBIC) for blob in blobs]
    return to_tensor(grown, spec.input.mean, spec.input.std)


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize(
    ("stage", "network_from", "tolerance"),
    # pixels of the input for boxes and points; cosines for the embedder
    [("detection", detector_from, 0.05), ("keypoint", keypoints_from, 0.05), ("recognition", embedder_from, 1e-4)],
)
def test_each_shipped_graph_answers_as_its_network(
    shipped: ModelPackage,
    stage: StageName,
    network_from: Callable[[ModelPackage], torch.nn.Module],
    tolerance: float,
    batch: int,
) -> None:
    images = pictures(shipped.manifest.stage(stage), batch)
    parity = compare(network_from(shipped), shipped.model_path(stage), images)
    assert parity.cosine <= 1e-5
    assert parity.absolute <= tolerance


def test_the_shipped_embedder_was_tuned_behind_its_frozen_layers(shipped: ModelPackage) -> None:
    public, tuned = backbone_network(architecture_of(shipped.manifest)).eval(), embedder_from(shipped).backbone
    images = torch.from_numpy(pictures(shipped.manifest.recognition, 4))
    with torch.inference_mode():
        layers = difference(first_layers(public)(images).numpy(), first_layers(tuned)(images).numpy())
        features = difference(public(images).numpy(), tuned(images).numpy())
    # the graph's weights went through float16, the public ones did not
    assert layers.cosine <= 1e-4
    assert 1e-2 <= features.cosine <= 0.5


def first_layers(backbone: torch.nn.Module) -> torch.nn.Module:
    """The layers that training leaves as they are: all but the last three groups."""
    return torch.nn.Sequential(backbone.conv_stem, backbone.bn1, *backbone.blocks[:-3])


def test_the_directions_of_bodies_and_those_of_faces_are_orthonormal(shipped: ModelPackage) -> None:
    projection = read_weights(shipped.model_path("recognition"))["projection.weight"]
    assert shipped.manifest.crop.preference == ("both", "body")
    for half in projection.split(DIMENSION // 2):
        torch.testing.assert_close(half @ half.T, torch.eye(DIMENSION // 2), atol=5e-3, rtol=0)


def test_the_shipped_detector_was_trained(shipped: ModelPackage) -> None:
    weights = Path("datasets/weights/yolov8n_coco.safetensors")
    if not weights.is_file():
        pytest.skip("the starting weights are not in datasets/weights (see trainers/README.md)")
    from trainers.starting_weights import yolov8n_state

    start = ExportedDetector(one_class_network(yolov8n_state())).network.state_dict()
    shipped_state = detector_from(shipped).network.state_dict()
    convolutions = {
        name: weight
        for name, weight in shipped_state.items()
        if (name.endswith("conv.weight") or (".halves." in name and name.endswith(".weight")))
        and ".cv3." not in name  # the classification branches are others
        and int(name.split(".")[1]) >= BACKBONE
    }
    moved = [
        name for name, weight in convolutions.items() if (weight - start[name]).abs().max() > 2 * half_step(start[name])
    ]
    assert len(moved) == len(convolutions) > 20


def half_step(weight: torch.Tensor) -> float:
    """The largest change that storing as float16 makes."""
    return float((weight - weight.half().float()).abs().max())


def test_the_manifest_reads_pictures_as_training_did(shipped: ModelPackage) -> None:
    for spec, trained in ((shipped.manifest.detection, DETECTION), (shipped.manifest.keypoint, KEYPOINT)):
        assert spec.input == trained.input
    assert shipped.manifest.recognition.input == architecture_of(shipped.manifest).input
    assert shipped.manifest.keypoint.padding == KEYPOINT.padding


def test_no_graph_tells_where_it_was_made(shipped: ModelPackage) -> None:
    for stage in STAGE_NAMES:
        content = shipped.model_path(stage).read_bytes()
        assert b"site-packages" not in content
        assert b".py" not in content


def test_the_three_graphs_are_small_enough_to_ship(shipped: ModelPackage) -> None:
    assert sum(shipped.model_path(stage).stat().st_size for stage in STAGE_NAMES) <= MAX_BYTES
