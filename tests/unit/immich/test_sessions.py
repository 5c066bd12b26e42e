"""Immich's own session, as a dog model uses it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from immich_dog_plugin.immich.session import (
    OneByOne,
    discard_stale_graphs,
    one_by_one_where_needed,
    open_session,
    without_spinning,
)
from immich_dog_plugin.model_package import ModelPackage
from tests.unit.immich.conftest import from_v3_3, up_to_v3_2
from tests.unit.immich.stand_in import OrtSession


class FakeSession:
    """Answers each row's sum, and its largest value; keeps the batch sizes that it was given."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> list[Any]:
        (rows,) = input_feed.values()
        self.batches.append(len(rows))
        return [rows.sum(axis=1), rows.max(axis=1)]


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


@up_to_v3_2
@pytest.mark.usefixtures("service")
def test_threads_of_immichs_session_sleep_and_its_other_options_stay(tiny_package: ModelPackage) -> None:
    model = tiny_package.model_path("detection")
    session = open_session(model, "1" * 64)
    assert isinstance(session, OrtSession)
    for options in (session.sess_options, without_spinning(OrtSession)(model).sess_options):
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
        assert (options.inter_op_num_threads, options.intra_op_num_threads) == (1, 2)


@up_to_v3_2
@pytest.mark.usefixtures("service")
def test_up_to_v3_2_a_batch_is_split_on_the_provider_that_immich_chose(
    tiny_package: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_package.model_path("keypoint")
    assert not isinstance(open_session(model, "1" * 64), OneByOne)
    monkeypatch.setattr(OrtSession, "providers", ["OpenVINOExecutionProvider", "CPUExecutionProvider"])
    assert isinstance(open_session(model, "1" * 64), OneByOne)


@from_v3_3
@pytest.mark.usefixtures("service")
def test_from_v3_3_on_a_graph_is_for_one_row(tiny_package: ModelPackage, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(tiny_package.read_graph("recognition"))
    session = open_session(model, "1" * 64)
    rows = np.random.default_rng(0).uniform(size=(3, 3, 64, 64)).astype(np.float32)
    (embeddings,) = session.run(None, {"images": rows})
    (expected,) = OrtSession(model).run(None, {"images": rows})
    np.testing.assert_allclose(embeddings, expected, atol=1e-6)


@from_v3_3
@pytest.mark.usefixtures("service")
def test_from_v3_3_on_no_session_is_opened_on_what_was_prepared_for_another_model(
    tiny_package: ModelPackage, tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(tiny_package.read_graph("recognition"))
    (tmp_path / "cpu" / "batch1").mkdir(parents=True)
    open_session(model, "1" * 64)
    assert not (tmp_path / "cpu").exists()
    (tmp_path / "cpu" / "batch1").mkdir(parents=True)
    open_session(model, "1" * 64)
    assert (tmp_path / "cpu" / "batch1").exists()


def test_what_v3_3_prepared_for_another_model_is_discarded(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"first")
    prepared = tmp_path / "cpu" / "batch1" / "model.onnx"

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


def test_folders_beside_a_model_that_v3_3_did_not_make_are_kept(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    model = tmp_path / "recognition" / "model.onnx"
    for made in ("cpu", "cuda", "openvino", "migraphx", "coreml"):
        (model.parent / made / "batch1").mkdir(parents=True)
    for own in (model.parent / "training", model.parent / ".git", elsewhere):
        own.mkdir(parents=True)
        (own / "file").write_text("mine")
    (model.parent / "tensorrt").symlink_to(elsewhere)
    discard_stale_graphs(model, "a")
    assert {entry.name for entry in model.parent.iterdir() if entry.is_dir()} == {"training", ".git", "tensorrt"}
    assert (model.parent / "tensorrt" / "file").read_text() == "mine"


def refuse_writing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a folder that may only be read; root, who may run these tests, would be let."""
    opened = Path.open

    def refuse(path: Path, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        if path.parent == folder and "w" in mode:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, mode, *arguments, **keywords)

    monkeypatch.setattr(Path, "open", refuse)


def test_where_nobody_may_write_there_is_nothing_to_discard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_writing(tmp_path, monkeypatch)
    discard_stale_graphs(tmp_path / "model.onnx", "a")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_another_model_that_cannot_be_removed_is_not_answered_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    discard_stale_graphs(tmp_path / "model.onnx", "a")
    (tmp_path / "cpu").mkdir()
    refuse_writing(tmp_path, monkeypatch)
    discard_stale_graphs(tmp_path / "model.onnx", "a")  # prepared for this very model
    with pytest.raises(PermissionError):
        discard_stale_graphs(tmp_path / "model.onnx", "b")
