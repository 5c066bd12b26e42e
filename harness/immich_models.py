"""Graphs that stand in for Immich's own models in its cache: tiny, but each answer depends on the input.

With them in the cache, Immich's own search and face recognition answer without a download.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CLIP = "ViT-B-32__openai"
FACES = "buffalo_l"
_IMAGE, _WORDS = 32, 8


def write_immich_models(cache: Path) -> None:
    """Put a CLIP pair and a face model into the model cache."""
    clip = cache / "clip" / CLIP
    _save(clip / "visual" / "model.onnx", _pooled("image", (1, 3, _IMAGE, _IMAGE), 8))
    _save(clip / "textual" / "model.onnx", _words())
    _write(clip / "config.json", {"text_cfg": {"context_length": _WORDS}})
    preprocessing = {"size": [_IMAGE, _IMAGE], "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.25] * 3}
    _write(clip / "visual" / "preprocess_cfg.json", preprocessing)
    _write(clip / "textual" / "tokenizer_config.json", {"pad_token": "<pad>"})
    vocabulary = {"type": "WordLevel", "vocab": {"<pad>": 0, "<unk>": 1, "dog": 2, "beach": 3}, "unk_token": "<unk>"}
    _write(
        clip / "textual" / "tokenizer.json",
        {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": vocabulary},
    )
    faces = cache / "facial-recognition" / FACES
    _save(faces / "detection" / "model.onnx", _face_detection())
    _save(faces / "recognition" / "model.onnx", _pooled("input", ("batch", 3, 112, 112), 28))


def _pooled(name: str, shape: tuple[int | str, ...], cell: int) -> onnx.ModelProto:
    """An image's thumbnail, projected on 512 directions."""
    features = 3 * (int(shape[-1]) // cell) ** 2
    nodes = [
        helper.make_node("AveragePool", [name], ["thumbnail"], kernel_shape=[cell, cell], strides=[cell, cell]),
        helper.make_node("Flatten", ["thumbnail"], ["features"]),
        helper.make_node("MatMul", ["features", "directions"], ["embedding"]),
    ]
    return _model(nodes, {"directions": _normal(features, 512)}, (name, shape), {"embedding": (shape[0], 512)})


def _words() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["text"], ["words"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["words", "directions"], ["embedding"]),
    ]
    constants = {"directions": _normal(_WORDS, 512)}
    return _model(nodes, constants, ("text", (1, _WORDS)), {"embedding": (1, 512)}, TensorProto.INT32)


def _face_detection() -> onnx.ModelProto:
    """One face, always at the same place, with a score that grows a little with the photo's brightness.

    Outputs as RetinaFace has them, for the strides 8, 16 and 32: scores (n, 1), boxes (n, 4), points (n, 10).
    """
    nodes = [helper.make_node("ReduceMean", ["input"], ["brightness"], keepdims=0)]
    nodes.append(helper.make_node("Mul", ["brightness", "little"], ["shift"]))
    constants: dict[str, NDArray[np.float32]] = {"little": np.array(0.01, dtype=np.float32)}
    outputs: dict[str, tuple[int | str, ...]] = {}
    for kind, width in (("scores", 1), ("boxes", 4), ("points", 10)):
        for stride in (8, 16, 32):
            anchors = 2 * (640 // stride) ** 2
            value = np.zeros((anchors, width), dtype=np.float32)
            if kind == "scores" and stride == 16:
                value[2 * (40 * 10 + 10)] = 0.9
            elif kind == "boxes":
                value[:] = 4
            elif kind == "points":
                value[:] = (-1, -1, 1, -1, 0, 0, -1, 1, 1, 1)
            name = f"{kind}_{stride}"
            constants[f"{name}_at_rest"] = value
            nodes.append(helper.make_node("Add", [f"{name}_at_rest", "shift"], [name]))
            outputs[name] = (anchors, width)
    return _model(nodes, constants, ("input", (1, 3, "height", "width")), outputs)


def _normal(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, NDArray[np.float32]],
    source: tuple[str, tuple[int | str, ...]],
    outputs: dict[str, tuple[int | str, ...]],
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info(source[0], kind, list(source[1]))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    # An old opset and IR version, so that every release's ONNX Runtime reads it.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _save(file: Path, model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(model.SerializeToString())


def _write(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
