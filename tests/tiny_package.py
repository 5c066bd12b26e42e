"""A model package of three graphs small enough to follow by hand, for tests that need no trained model.

- detection sees *red*: an 8 x 8 grid of cells, each an anchor twice as large as its cell, scored by how much redder
  than green the cell is on average;
- keypoint puts the five points at fixed fractions of its input and scores all of them by how *blue* the input is;
- recognition projects an 8 x 8 thumbnail onto 512 fixed random directions.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from immich_dog_plugin.calibration import Calibration, ReliabilityBin
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.manifest import (
    CropSpec,
    DetectionSpec,
    FaceChipSpec,
    InputSpec,
    KeypointSpec,
    Manifest,
    RecognitionSpec,
    Thresholds,
)
from immich_dog_plugin.people_map import PeopleMap

SIDE = 64
CELLS = 8
POINTS = np.array([[0.35, 0.4], [0.65, 0.4], [0.2, 0.15], [0.8, 0.15], [0.5, 0.65]], dtype=np.float32)
# The package has none, as older packages; a test that needs it puts this one in. Even odds at 0.5.
CALIBRATION = Calibration(
    slope=10,
    intercept=-5,
    unsure=(0.2, 0.8),
    curve=(ReliabilityBin(0.05, 0.0, 0.5, 60), ReliabilityBin(0.95, 0.9, 0.5, 40)),
    source="a test",
)
# Nor is it made for the People page; this table is straight.
PEOPLE = PeopleMap(exponents=(1, 0.5, 0.3), distances=(0.2, 0.5, 0.7), source="a test")
RED, BLUE, GREY = (255, 0, 0), (255, 0, 200), (90, 90, 90)


def red_dog_photo(boxes: list[tuple[int, int, int, int]], size: tuple[int, int] = (256, 192)) -> ImageArray:
    """A grey photo of ``size`` (width, height) with a red rectangle, a "dog", in each box ``x1 y1 x2 y2``."""
    photo = np.full((size[1], size[0], 3), GREY, dtype=np.uint8)
    for x1, y1, x2, y2 in boxes:
        photo[y1:y2, x1:x2] = RED
    return photo


def bricks(seed: int, shape: tuple[int, ...]) -> ImageArray:
    """Something grey to see beside the dogs, another for each seed: where nothing differs two photos are copies."""
    tones = np.random.default_rng(seed).integers(0, 256, (3, 8), dtype=np.uint8)
    grey = cv2.resize(tones, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.repeat(grey[:, :, None], 3, axis=2)


def write_png(path: Path, photo: ImageArray) -> Path:
    """Write an RGB photo, making its folder; any name will do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imencode(".png", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))[1].tofile(path)
    return path


def write_tiny_package(folder: Path, name: str = "tiny-v1") -> Path:
    """Write the package to ``folder/name`` and return that folder."""
    package = folder / name
    graphs = {"detection": _detection(), "keypoint": _keypoint(), "recognition": _recognition()}
    digests = {}
    for stage, graph in graphs.items():
        file = package / stage / "model.onnx"
        file.parent.mkdir(parents=True)
        file.write_bytes(graph.SerializeToString())
        digests[stage] = hashlib.sha256(file.read_bytes()).hexdigest()
    plain = {"name": "images", "side": SIDE, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    manifest = Manifest(
        name=name,
        version="1.0.0",
        git_revision="none",
        detection=DetectionSpec(
            sha256=digests["detection"],
            input=InputSpec.model_validate(plain | {"resize": "letterbox"}),
            output="output0",
            min_score=0.5,
            iou_threshold=0.2,
            max_dogs=10,
        ),
        keypoint=KeypointSpec(
            sha256=digests["keypoint"],
            input=InputSpec.model_validate(plain | {"resize": "letterbox"}),
            output="keypoints",
            padding=0.0,
            min_face_score=0.5,
        ),
        recognition=RecognitionSpec(
            sha256=digests["recognition"],
            input=InputSpec.model_validate(plain | {"resize": "squash"}),
            output="embedding",
            dimension=512,
        ),
        crop=CropSpec(
            preference=("face", "body"),
            body_padding=0.0,
            face=FaceChipSpec(eye_distance=0.3, eye_height=0.4),
            reason="a test package",
        ),
        thresholds=Thresholds(same_dog=0.8, far_1_percent=0.8, far_01_percent=0.9, source="a test package"),
        training_data=(),
        metrics={},
    )
    (package / "manifest.json").write_text(manifest.model_dump_json(indent=2))
    return package


def _detection() -> onnx.ModelProto:
    cell = SIDE // CELLS
    centres = (np.arange(CELLS) + 0.5) * cell
    grid_y, grid_x = np.meshgrid(centres, centres, indexing="ij")
    sides = np.full(CELLS * CELLS, 2 * cell)
    anchors = np.stack([grid_x.ravel(), grid_y.ravel(), sides, sides]).astype(np.float32)[None]  # (1, 4, 64)
    red_over_green = np.array([1, -1, 0], dtype=np.float32).reshape(1, 3, 1, 1)
    nodes = [
        helper.make_node("Conv", ["images", "red_over_green"], ["redness"]),
        helper.make_node("AveragePool", ["redness"], ["cells"], kernel_shape=[cell, cell], strides=[cell, cell]),
        helper.make_node("Reshape", ["cells", "scores_shape"], ["scores"]),
        helper.make_node("Mul", ["scores", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "anchors"], ["boxes"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=1),
    ]
    constants = {
        "red_over_green": red_over_green,
        "scores_shape": np.array([-1, 1, CELLS * CELLS], dtype=np.int64),
        "zero": np.zeros(1, dtype=np.float32),
        "anchors": anchors,
    }
    return _model(nodes, constants, "output0", [5, CELLS * CELLS])


def _keypoint() -> onnx.ModelProto:
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Gather", ["pooled", "blue_channel"], ["blue"], axis=1),  # (n, 1, 1, 1)
        helper.make_node("Reshape", ["blue", "score_shape"], ["score"]),
        helper.make_node("Mul", ["score", "ones"], ["scores"]),  # (n, 5, 1)
        helper.make_node("Mul", ["scores", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "points"], ["positions"]),  # (n, 5, 2)
        helper.make_node("Concat", ["positions", "scores"], ["keypoints"], axis=2),
    ]
    constants = {
        "blue_channel": np.array([2], dtype=np.int64),
        "score_shape": np.array([-1, 1, 1], dtype=np.int64),
        "ones": np.ones((1, 5, 1), dtype=np.float32),
        "zero": np.zeros(1, dtype=np.float32),
        "points": (POINTS * SIDE)[None],
    }
    return _model(nodes, constants, "keypoints", [5, 3])


def _recognition() -> onnx.ModelProto:
    cell = SIDE // CELLS
    directions = np.random.default_rng(0).normal(size=(3 * CELLS * CELLS, 512)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["images"], ["thumbnail"], kernel_shape=[cell, cell], strides=[cell, cell]),
        helper.make_node("Flatten", ["thumbnail"], ["features"]),
        helper.make_node("MatMul", ["features", "directions"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], ["embedding"], axis=1, p=2),
    ]
    return _model(nodes, {"directions": directions}, "embedding", [512])


def _model(
    nodes: list[onnx.NodeProto], constants: dict[str, NDArray[np.generic]], output: str, shape: list[int]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        output,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", *shape])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model
