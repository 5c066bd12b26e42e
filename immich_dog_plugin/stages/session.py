"""What a stage needs of an ONNX session, and how one is opened outside Immich."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import MissingExtraError, ModelPackageError
from ..geometry import FloatArray
from ..model_package import StageSpec
from ..settings import Settings


class Session(Protocol):
    """Both ``onnxruntime.InferenceSession`` and the sessions of Immich's ML service fit."""

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]: ...


def open_session(model: Path) -> Session:
    """Open a graph with ONNX Runtime on the best provider installed (CUDA before CPU).

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ModelPackageError: the file is no graph that ONNX Runtime reads.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "cpu", "Running the models") from error
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = Settings().threads
    # Three graphs take turns, each with threads of its own. Left to spin, those of the graph before take the cores
    # from the next one: on two cores with something else to do, a photo then costs almost four times as much.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    try:
        session: Session = onnxruntime.InferenceSession(str(model), sess_options=options, providers=providers)
    except Exception as error:  # ONNX Runtime's own exceptions share no base class of their own
        raise ModelPackageError(f"ONNX Runtime cannot load {model} ({error})", "Reinstall the model package") from error
    return session


def run(session: Session, spec: StageSpec, tensor: FloatArray) -> FloatArray:
    """Run one graph on ``(n, 3, side, side)`` and return the output that the manifest names."""
    (output,) = session.run([spec.output], {spec.input.name: tensor})
    return np.asarray(output, dtype=np.float32)
