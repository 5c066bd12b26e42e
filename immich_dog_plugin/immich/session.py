"""Batches on providers that compile a graph anew for every batch size."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..stages.session import Session

# Immich feeds its own face recognition one crop at a time on these.
COMPILES_PER_SHAPE = frozenset({"MIGraphXExecutionProvider", "OpenVINOExecutionProvider"})


class OneByOne:
    """A session that runs a batch as one inference per row."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]:
        size = len(next(iter(input_feed.values())))
        rows = [
            self._session.run(
                output_names, {name: value[row : row + 1] for name, value in input_feed.items()}, run_options
            )
            for row in range(size)
        ]
        return [np.concatenate(outputs) for outputs in zip(*rows, strict=True)]


def one_by_one_where_needed(session: Any) -> Session:
    """The session itself, or one that splits batches if its provider had better see a single shape."""
    compiles = COMPILES_PER_SHAPE.intersection(getattr(session, "providers", ()))
    return OneByOne(session) if compiles else session
