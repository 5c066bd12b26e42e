"""The parts of the service's plugin that run without Immich."""

from __future__ import annotations

from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from immich_dog_plugin.immich.registry import find_model_class
from immich_dog_plugin.immich.session import OneByOne, one_by_one_where_needed


class FakeSession:
    """Answers each row's sum, and its largest value; keeps the batch sizes that it was given."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]:
        (rows,) = input_feed.values()
        self.batches.append(len(rows))
        return [rows.sum(axis=1), rows.max(axis=1)]


def test_the_entry_point_leads_to_the_registry() -> None:
    (entry_point,) = entry_points(group="immich_ml.models", name="dogs")
    assert entry_point.load() is find_model_class


@pytest.mark.parametrize("model_name", ["buffalo_l", "dog-identification-v1", 1, None])
def test_immichs_own_tasks_are_left_to_immich(model_name: Any) -> None:
    assert find_model_class(model_name, "detection", "facial-recognition") is None


def test_a_batch_is_split_into_rows_and_put_together_again() -> None:
    session = FakeSession()
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    outputs = OneByOne(session).run(None, {"images": rows})
    assert session.batches == [1, 1, 1, 1]
    for output, expected in zip(outputs, session.run(None, {"images": rows}), strict=True):
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize(
    ("providers", "is_split"),
    [
        (["CPUExecutionProvider"], False),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], False),
        (["OpenVINOExecutionProvider", "CPUExecutionProvider"], True),
        (["MIGraphXExecutionProvider", "CPUExecutionProvider"], True),
    ],
)
def test_batches_are_split_where_a_provider_compiles_for_each_size(providers: list[str], is_split: bool) -> None:
    session = SimpleNamespace(providers=providers)
    assert (one_by_one_where_needed(session) is not session) == is_split
