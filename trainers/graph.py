"""ONNX graphs: written from a network, their weights stored as fp16, and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

OPSET = 18
SMALLEST_HALVED = 256  # fewer numbers are not worth a Cast, and small constants may be grids or shapes
CAST_SUFFIX = "_as_float32"


def export_graph(network: nn.Module, side: int, output: str, file: Path) -> None:
    """Write ``network`` as a checked graph ``images (n, 3, side, side) -> output (n, ...)`` with a dynamic batch."""
    file.parent.mkdir(parents=True, exist_ok=True)
    network.eval()
    images = torch.zeros(2, 3, side, side)
    with torch.no_grad():
        exported = torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim("n", min=1)},))
        program = torch.onnx.export(
            exported, input_names=["images"], output_names=[output], opset_version=OPSET, dynamo=True, verbose=False
        )
    program.save(str(file), external_data=False)
    onnx.checker.check_model(str(file), full_check=True)


def store_as_fp16(source: Path, target: Path) -> None:
    """Store large float32 weights as float16 with a ``Cast`` to float32 behind each.

    Halves the file. All arithmetic stays float32 on every provider, and ONNX Runtime folds the casts when it loads
    the graph, so speed does not change.
    """
    model = onnx.load(source)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST_HALVED:
            continue
        name = tensor.name
        values = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, name))
        casts.append(helper.make_node("Cast", [name], [name + CAST_SUFFIX], to=TensorProto.FLOAT))
        for node in model.graph.node:
            for place, used in enumerate(node.input):
                if used == name:
                    node.input[place] = name + CAST_SUFFIX
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    # The types noted for the halved weights no longer hold; whoever loads the graph infers them again.
    del model.graph.value_info[:]
    forget_source(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, target)
    onnx.checker.check_model(str(target), full_check=True)


def forget_source(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about the source of every node: stack traces with the paths of this machine."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        noted.doc_string = ""
        del noted.metadata_props[:]


def read_weights(file: Path) -> dict[str, torch.Tensor]:
    """The float weights of a graph by their names in the network it was exported from."""
    graph = onnx.load(file).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return {name: torch.from_numpy(w.astype(np.float32)) for name, w in weights.items() if w.dtype.kind == "f"}
