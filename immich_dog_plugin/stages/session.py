"""What a stage needs of an ONNX session, and how one is opened outside Immich."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import MissingPackageError, ModelPackageError
from ..geometry import FloatArray
from ..manifest import RecognitionSpec, StageName, StageSpec
from ..model_package import ModelPackage
from ..settings import Settings

CPU = "CPUExecutionProvider"
PREFERRED_PROVIDERS = ("CUDAExecutionProvider", CPU)
# An entry of ONNX Runtime's session options. Three graphs take turns, each with threads of its own. Left to spin, those
# of the graph before take the cores from the next one: on two cores with something else to do, a photo then costs
# almost four times as much.
NO_SPINNING = ("session.intra_op.allow_spinning", "0")


class Session(Protocol):
    """Both ``onnxruntime.InferenceSession`` and the sessions of Immich's ML service fit."""

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]: ...


def open_stage(package: ModelPackage, stage: StageName, providers: Sequence[str] = PREFERRED_PROVIDERS) -> Session:
    """Open one graph of a package, and make sure that it is the graph its manifest describes.

    Args:
        providers: of these, best first, the installed ones are used.

    Raises:
        MissingPackageError: ONNX Runtime is not installed.
        ModelPackageError: the graph is not the one that the manifest names, ONNX Runtime cannot read it, or its input
            or output is another than the manifest says.
    """
    # from the bytes that were verified: the file may be another by the time that somebody opens it again
    graph = open_session(package.model_path(stage), providers, package.read_graph(stage))
    check_graph(graph, package, stage)
    session: Session = graph
    return session


def check_graph(graph: Any, package: ModelPackage, stage: StageName) -> None:
    """Hold the inputs and outputs of an opened graph against the manifest.

    Raises:
        ModelPackageError: one has another name or shape than the manifest says.
    """
    model, spec = package.model_path(stage), package.manifest.stage(stage)
    promised_input = (None, 3, spec.input.side, spec.input.side)
    promised_output = (None, spec.dimension) if isinstance(spec, RecognitionSpec) else ()
    _require(model, "input", spec.input.name, promised_input, graph.get_inputs())
    _require(model, "output", spec.output, promised_output, graph.get_outputs())


def _require(model: Path, what: str, name: str, shape: tuple[int | None, ...], nodes: Iterable[Any]) -> None:
    found = {node.name: tuple(node.shape) for node in nodes}
    # A size is compared only where both sides name a number; the graph leaves at least the batch open.
    if name in found and all(
        wanted == actual or not (isinstance(wanted, int) and isinstance(actual, int))
        for wanted, actual in zip(shape, found[name], strict=False)
    ):
        return
    raise ModelPackageError(
        f"The manifest promises the {what} '{name}' of shape {shape or 'any'} for {model}, which has {found}",
        "Use a model package whose manifest and models belong together",
    )


def open_session(model: Path, providers: Sequence[str] = PREFERRED_PROVIDERS, content: bytes | None = None) -> Any:
    """An ``onnxruntime.InferenceSession`` on the best provider installed.

    Args:
        model: the graph's file.
        content: of that file, where it has been read already.

    Raises:
        MissingPackageError: ONNX Runtime is not installed.
        ModelPackageError: the file is no graph that ONNX Runtime reads.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError("onnxruntime", "Running the models") from error
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = Settings().threads
    options.add_session_config_entry(*NO_SPINNING)
    installed = [name for name in providers if name in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(
            str(model) if content is None else content, sess_options=options, providers=installed
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no base class of their own
        raise ModelPackageError(f"ONNX Runtime cannot load {model} ({error})", "Reinstall the model package") from error


def run(session: Session, spec: StageSpec, tensor: FloatArray) -> FloatArray:
    """Run one graph on ``(n, 3, side, side)`` and return the output that the manifest names."""
    (output,) = session.run([spec.output], {spec.input.name: tensor})
    return np.asarray(output, dtype=np.float32)
