"""A dog model on whatever provider Immich's own session picks, in the batches that the provider takes well."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..stages.session import NO_SPINNING, Session

# Immich feeds its own face recognition one crop at a time on these.
COMPILES_PER_SHAPE = frozenset({"MIGraphXExecutionProvider", "OpenVINOExecutionProvider"})
# Beside a model that v3.3 prepared: the sha256 of the model that it prepared.
PREPARED_FOR = ".prepared-for"


class OneByOne:
    """A graph that runs a batch as one inference per row."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def get_inputs(self) -> Any:
        return self._graph.get_inputs()

    def get_outputs(self) -> Any:
        return self._graph.get_outputs()

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]:
        size = len(next(iter(input_feed.values())))
        rows = [
            self._graph.run(
                output_names, {name: value[row : row + 1] for name, value in input_feed.items()}, run_options
            )
            for row in range(size)
        ]
        return [np.concatenate(outputs) for outputs in zip(*rows, strict=True)]


def open_session(model: Path, sha256: str) -> Any:
    """Immich's session on a model file.

    Up to v3.2 a session is one graph. From v3.3 on it holds a graph for each shape that it is told of, and on the CPU
    one for a single row whatever it is told; so all it is told of, and given, is a single row.

    Args:
        sha256: the file's, as verified.
    """
    from immich_ml.sessions.ort import OrtSession

    try:
        from immich_ml.schemas import Shape
        from immich_ml.sessions.policy import ShapePolicy
    except ImportError:
        return one_by_one_where_needed(without_spinning(OrtSession)(model))
    discard_stale_graphs(model, sha256)
    one_row = Shape(batch=1)
    return OneByOne(OrtSession(model, ShapePolicy((one_row,))).for_shape(one_row))


def without_spinning(kind: type[Any]) -> type[Any]:
    """Immich's session class, with threads that sleep between two runs instead of spinning.

    A photo runs three graphs, each with threads of its own, and the threads of the one before would take the cores from
    the next.
    """

    class SleepingSession(kind):  # type: ignore[misc]  # typed only where Immich is
        @property
        def _sess_options_default(self) -> Any:
            options = super()._sess_options_default
            options.add_session_config_entry(*NO_SPINNING)
            return options

    return SleepingSession


def one_by_one_where_needed(session: Any) -> Session:
    """The session itself, or one that splits batches if its provider had better see a single shape."""
    compiles = COMPILES_PER_SHAPE.intersection(getattr(session, "providers", ()))
    return OneByOne(session) if compiles else session


def discard_stale_graphs(model: Path, sha256: str) -> None:
    """Remove what v3.3 prepared for another model.

    It keeps optimised copies beside the model and does not look whether the model is still the same, so after somebody
    put in a new one it would go on answering with the old. What else lies there is the user's.

    Raises:
        OSError: there are such copies, and they cannot be removed.
    """
    marker = model.with_name(PREPARED_FOR)

    def is_done() -> bool:
        return marker.is_file() and marker.read_bytes() == sha256.encode()

    if is_done():
        return
    try:
        # the lock that v3.3 itself takes while it prepares a graph
        with model.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_done():
                for folder in _prepared_graphs(model):
                    shutil.rmtree(folder)
                marker.write_text(sha256, "utf-8")
    except OSError:
        if _prepared_graphs(model):
            raise
        # Nobody may write here, so there will be nothing to discard either.


def _prepared_graphs(model: Path) -> list[Path]:
    """The folders that v3.3 made beside a model: one for each provider, by its name; it makes no links."""
    import onnxruntime

    names = [provider.removesuffix("ExecutionProvider").lower() for provider in onnxruntime.get_all_providers()]
    folders = [model.with_name(name) for name in names]
    return [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]
