"""The parts of the service's plugin that run without Immich."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from immich_dog_plugin.immich import registry
from immich_dog_plugin.immich.options import RequestOptions, as_keywords
from immich_dog_plugin.immich.registry import find_model_class, take_entries
from immich_dog_plugin.immich.session import (
    OneByOne,
    discard_stale_graphs,
    one_by_one_where_needed,
    open_session,
    without_spinning,
)


class FakeSession:
    """Answers each row's sum, and its largest value; keeps the batch sizes that it was given."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]:
        (rows,) = input_feed.values()
        self.batches.append(len(rows))
        return [rows.sum(axis=1), rows.max(axis=1)]


@pytest.mark.parametrize(
    ("group", "function"), [("immich_ml.models", find_model_class), ("immich_ml.entries", take_entries)]
)
def test_the_entry_points_lead_to_the_registry(group: str, function: object) -> None:
    (entry_point,) = entry_points(group=group, name="dogs")
    assert entry_point.load() is function


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


# What only services from v3.3 on ask for


@dataclass(frozen=True)
class FakeEntry:
    """As v3.3 has it, which knows the names of Immich's own models alone."""

    model: Any
    name: str
    options: Any

    def __post_init__(self) -> None:
        raise ValueError(f"'{self.name}' is not a model {self.model} runs")


@pytest.fixture
def v3_3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the few names of v3.3 that the plugin uses."""

    class Shape(SimpleNamespace):
        pass

    class OrtSession:
        def __init__(self, model: Path, policy: SimpleNamespace) -> None:
            self.shapes = policy.dims
            self.graph = FakeSession()

        def for_shape(self, shape: Shape) -> FakeSession:
            assert shape in self.shapes
            return self.graph

    modules = {
        "immich_ml": {},
        "immich_ml.models": {},
        "immich_ml.models.base": {"InferenceEntry": FakeEntry},
        "immich_ml.schemas": {"Shape": Shape},
        "immich_ml.sessions": {},
        "immich_ml.sessions.ort": {"OrtSession": OrtSession},
        "immich_ml.sessions.policy": {"ShapePolicy": lambda dims: SimpleNamespace(dims=dims)},
    }
    for name, members in modules.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "immich_dog_plugin.immich.entries", raising=False)
    monkeypatch.setattr(registry, "find_model_class", lambda name, stage, task: f"{task}/{stage}")


def test_threads_of_immichs_session_sleep_and_its_other_options_stay() -> None:
    class OrtSession:
        def __init__(self, model: Path) -> None:
            self.options = self._sess_options_default

        @property
        def _sess_options_default(self) -> onnxruntime.SessionOptions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 7
            return options

    options = without_spinning(OrtSession)(Path("model.onnx")).options
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.intra_op_num_threads == 7


@pytest.mark.parametrize(
    "entries",
    [
        '{"clip":  {"visual": {"modelName": "ViT-B-32__openai"}}}',
        '{"facial-recognition": {"detection": {"modelName": "buffalo_l", "options": {"minScore": NaN}}}}',
        "{",
        "",
        "[]",
        '"dog-identification"',
        "[" * 100_000,
    ],
    ids=["another task", "no JSON to us", "cut", "empty", "a list", "a string", "deep"],
)
def test_a_request_without_dogs_is_handed_on_as_it_came(entries: str) -> None:
    assert take_entries(entries) == (entries, [])


@pytest.mark.usefixtures("v3_3")
def test_the_dogs_are_taken_out_of_a_request_and_planned_in_its_order() -> None:
    slots = {
        "recognition": {"modelName": "tiny-v1"},
        "detection": {"modelName": "tiny-v1", "options": {"minScore": 0.3, "other": None}},
    }
    faces = {"recognition": {"modelName": "buffalo_l"}}
    rest, planned = take_entries(json.dumps({"dog-identification": slots, "facial-recognition": faces}))
    assert json.loads(rest) == {"facial-recognition": faces}
    assert [(entry.model, entry.name, entry.options) for entry in planned] == [
        ("dog-identification/recognition", "tiny-v1", {}),
        ("dog-identification/detection", "tiny-v1", {"minScore": 0.3, "other": None}),
    ]
    assert all(isinstance(entry, FakeEntry) for entry in planned)


@pytest.mark.usefixtures("v3_3")
@pytest.mark.parametrize(
    "stages",
    [
        1,
        None,
        [],
        {"smell": {"modelName": "tiny-v1"}},
        {"detection": 1},
        {"detection": {}},
        {"detection": {"modelName": 1}},
        {"detection": {"modelName": "tiny-v1", "options": 1}},
        {"detection": {"modelName": "tiny-v1", "more": 1}},
    ],
    ids=str,
)
def test_a_malformed_request_for_dogs_is_a_value_error_which_v3_3_answers_as_its_own(stages: object) -> None:
    with pytest.raises(ValueError, match="validation error"):
        take_entries(json.dumps({"dog-identification": stages}))


def test_options_come_as_keywords_or_as_one_argument_that_no_request_can_forge() -> None:
    assert as_keywords({"minScore": 0.3}) == {"minScore": 0.3}
    assert as_keywords({"options": RequestOptions(minScore=0.3)}) == {"minScore": 0.3}
    assert as_keywords({"options": {"minScore": 0.3}}) == {"options": {"minScore": 0.3}}


@pytest.mark.usefixtures("v3_3")
def test_from_v3_3_on_a_graph_is_for_one_row(tmp_path: Path) -> None:
    session = open_session(tmp_path / "model.onnx", "1" * 64)
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    sums, largest = session.run(None, {"images": rows})
    np.testing.assert_array_equal(sums, rows.sum(axis=1))
    np.testing.assert_array_equal(largest, rows.max(axis=1))


def test_what_v3_3_prepared_for_another_model_is_discarded(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"first")
    prepared = tmp_path / "cpu" / "x86_64" / "batch1" / "model.onnx"

    def prepare() -> None:
        prepared.parent.mkdir(parents=True)
        prepared.write_bytes(b"prepared")

    prepare()
    discard_stale_graphs(model, "a")  # nobody knows what it was prepared for
    assert not prepared.exists()
    prepare()
    discard_stale_graphs(model, "a")
    assert prepared.exists()
    discard_stale_graphs(model, "b")
    assert not prepared.exists()
    assert model.read_bytes() == b"first"
