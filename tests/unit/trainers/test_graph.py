from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from torch import nn

from trainers.detector.network import ExportedDetector, one_class_network
from trainers.embedder.network import EmbedderNetwork
from trainers.graph import export_graph, read_weights, store_as_fp16
from trainers.keypoints.network import ExportedKeypoints, KeypointNetwork
from trainers.parity import answer, compare, difference
from trainers.warm_start import fill

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter warns about its own insides

SIDE = 64


def backbone(**options: object) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("tf_efficientnet_lite0", pretrained=False, **options)


def small_keypoints() -> nn.Module:
    pyramid = backbone(features_only=True, out_indices=(1, 2, 3, 4))
    return ExportedKeypoints(KeypointNetwork(pyramid, pyramid.feature_info.channels(), width=16))


def small_embedder() -> nn.Module:
    features = backbone(num_classes=0)
    return EmbedderNetwork(features, nn.Linear(1280, 512, bias=False))


def small_detector() -> nn.Module:
    torch.manual_seed(0)
    return ExportedDetector(one_class_network())


NETWORKS = {
    "keypoints": (small_keypoints, "keypoints", (5, 3)),
    "embedder": (small_embedder, "embedding", (512,)),
    "detector": (small_detector, "output0", (5, 84)),
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    make, output, shape = NETWORKS[request.param]
    network = make().eval()
    shuffle_constants(network)
    file = tmp_path_factory.mktemp("graphs") / "model.onnx"
    export_graph(network, SIDE, output, file)
    (declared,) = onnx.load(file).graph.output
    dimensions = declared.type.tensor_type.shape.dim
    assert (declared.name, tuple(d.dim_value for d in dimensions[1:])) == (output, shape)
    assert dimensions[0].dim_param, "the batch must be free"
    return network, file


def shuffle_constants(network: nn.Module) -> None:
    """Biases and statistics that do something, as after training; the exporter merges constants that are equal."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        if getattr(module, "bias", None) is not None:
            module.bias.data.uniform_(-0.1, 0.1)


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(count).uniform(-1, 1, (count, 3, SIDE, SIDE)).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 8])
def test_the_exported_graph_answers_as_the_network(exported: tuple[nn.Module, Path], batch: int) -> None:
    network, file = exported
    parity = compare(network, file, pictures(batch))
    assert parity.cosine <= 1e-6
    assert parity.absolute <= 2e-3


def test_weights_stored_as_fp16_halve_the_file_and_keep_the_answers(
    exported: tuple[nn.Module, Path], tmp_path: Path
) -> None:
    _, file = exported
    halved = tmp_path / "halved.onnx"
    store_as_fp16(file, halved)
    assert halved.stat().st_size < 0.65 * file.stat().st_size
    images = pictures(2)
    assert difference(answer(file, images), answer(halved, images)).cosine <= 1e-4


def test_onnx_runtime_folds_the_casts_of_stored_weights_away(exported: tuple[nn.Module, Path], tmp_path: Path) -> None:
    _, file = exported
    halved, optimised = tmp_path / "halved.onnx", tmp_path / "optimised.onnx"
    store_as_fp16(file, halved)
    assert weight_casts(halved) > 10
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(optimised)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(halved), options, providers=["CPUExecutionProvider"])
    assert weight_casts(optimised) == 0


def weight_casts(file: Path) -> int:
    graph = onnx.load(file).graph
    weights = {tensor.name for tensor in graph.initializer}
    return sum(node.op_type == "Cast" and node.input[0] in weights for node in graph.node)


def test_a_network_filled_from_the_graph_answers_as_the_graph(exported: tuple[nn.Module, Path]) -> None:
    network, file = exported
    images = pictures(2)
    expected = answer(file, images)
    for parameter in network.parameters():
        parameter.data.uniform_(-1, 1)
    fill(network, read_weights(file))
    with torch.inference_mode():
        refilled = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(refilled, expected, atol=2e-3, rtol=1e-3)
