"""The lines that the patches add, run for themselves: around them stand the least that they need, in our own words."""

from __future__ import annotations

import asyncio
import importlib.metadata
import itertools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from immich_dog_plugin import patching
from immich_dog_plugin.unified_diff import apply_to
from tests.immich_trees import patch_files

Entry = dict[str, str]
DOGS, FACES = "dog-identification", "facial-recognition"
DETECTOR, KEYPOINT, EMBEDDER = ({"name": "tiny", "task": DOGS, "type": stage} for stage in ("det", "key", "rec"))
FACE_DETECTOR, FACE_EMBEDDER = ({"name": "buffalo_l", "task": FACES, "type": stage} for stage in ("det", "rec"))
DEPENDS = {
    ("det", DOGS): [],
    ("key", DOGS): [("det", DOGS)],
    ("rec", DOGS): [("det", DOGS), ("key", DOGS)],
    ("det", FACES): [],
    ("rec", FACES): [("det", FACES)],
}


class MissingOutputError(Exception):
    """HTTP 400: "depends on output of"."""


def waves_of(without_deps: Sequence[Entry], with_deps: Sequence[Entry], depends: Any = None) -> list[set[str]]:
    """What ``run_inference`` of a patched v1.131 to v3.2 runs at the same time, wave after wave."""
    depends = DEPENDS if depends is None else depends
    (main_py,) = (diff for diff in patch_files(patching.TWO_WAVES) if diff.path == "immich_ml/main.py")
    (run_inference,) = main_py.hunks
    source = "\n".join(
        [
            "async def run_inference(payload, without_deps, with_deps, _run_inference):",
            *run_inference.old,
            "        return payload",
            "",
        ]
    )
    patched = apply_to(source.encode(), main_py)
    assert isinstance(patched, bytes)
    names: dict[str, Any] = {
        "Image": object,
        "asyncio": asyncio,
        "get_model_deps": lambda name, stage, task: depends[stage, task],
    }
    exec(patched, names)
    running: set[str] = set()
    waves: list[set[str]] = []
    outputs = set()

    async def run(entry: Entry) -> None:
        needs = depends[entry["type"], entry["task"]]
        if not outputs.issuperset(needs):
            raise MissingOutputError(f"{entry['type']} depends on output of {needs}")
        label = f"{entry['task']}/{entry['type']}"
        running.add(label)
        await asyncio.sleep(0)  # the others of the wave begin
        if label in running:
            waves.append(set(running))
            running.clear()
        await asyncio.sleep(0)
        outputs.add((entry["type"], entry["task"]))

    payload = object()
    assert asyncio.run(names["run_inference"](payload, without_deps, with_deps, run)) is payload
    return waves


@pytest.mark.parametrize("order", list(itertools.permutations([KEYPOINT, EMBEDDER])))
def test_a_patched_two_waves_service_runs_a_chain_of_three_one_level_after_the_other(order: tuple[Entry, ...]) -> None:
    assert waves_of([DETECTOR], order) == [{f"{DOGS}/det"}, {f"{DOGS}/key"}, {f"{DOGS}/rec"}]


@pytest.mark.parametrize("order", list(itertools.permutations([KEYPOINT, EMBEDDER, FACE_EMBEDDER])))
def test_a_patched_two_waves_service_runs_immichs_own_second_models_in_the_second_wave(
    order: tuple[Entry, ...],
) -> None:
    assert waves_of([FACE_DETECTOR, DETECTOR], order) == [
        {f"{FACES}/det", f"{DOGS}/det"},
        {f"{FACES}/rec", f"{DOGS}/key"},
        {f"{DOGS}/rec"},
    ]


def test_a_patched_two_waves_service_without_second_models_has_one_wave() -> None:
    assert waves_of([FACE_DETECTOR], []) == [{f"{FACES}/det"}]
    assert waves_of([FACE_DETECTOR], [FACE_EMBEDDER]) == [{f"{FACES}/det"}, {f"{FACES}/rec"}]


def test_a_patched_two_waves_service_says_of_a_missing_dependency_what_immich_says() -> None:
    for entries in ([EMBEDDER], [KEYPOINT], [KEYPOINT, EMBEDDER], [FACE_EMBEDDER]):
        with pytest.raises(MissingOutputError):
            waves_of([], entries)


def test_a_patched_two_waves_service_ends_where_models_wait_for_each_other() -> None:
    with pytest.raises(MissingOutputError):
        waves_of([], [KEYPOINT, EMBEDDER], {("key", DOGS): [("rec", DOGS)], ("rec", DOGS): [("key", DOGS)]})


class RefusedError(Exception):
    """HTTP 422."""


def patched_get_entries(monkeypatch: pytest.MonkeyPatch, plugins: list[Any]) -> Any:
    """``get_entries`` of a patched v3.3, run for itself: around the patch's own lines stand the least that they need.

    Immich's own parser takes comma-separated letters and refuses anything else.
    """
    (main_py,) = (diff for diff in patch_files(patching.PIPELINE) if diff.path == "immich_ml/main.py")
    imports, get_entries = main_py.hunks
    source = "\n".join([*imports.old, *get_entries.old, "        raise RefusedError from e", "    return found", ""])
    patched = apply_to(source.encode(), main_py)
    assert isinstance(patched, bytes)

    class Parser:
        def validate_json(self, entries: str) -> Parser:
            if not all(entry.isalpha() for entry in entries.split(",")):
                raise ValueError(entries)
            self.parsed = entries.split(",")
            return self

        def entries(self) -> list[str]:
            return self.parsed

    points = [SimpleNamespace(load=lambda plugin=plugin: plugin) for plugin in plugins]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: points if group == "immich_ml.entries" else []
    )
    names = {
        "Any": Any,
        "Form": lambda: None,
        "InferenceEntry": list,
        "PIPELINE_REQUEST": Parser(),
        "RefusedError": RefusedError,
        "ValidationError": ValueError,
    }
    exec(patched, names)
    return names["get_entries"]


def test_a_patched_v3_3_runs_the_plugins_entries_behind_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(entries: str) -> tuple[str, list[str]]:
        return entries.replace(",DOG", ""), ["dog"] * entries.count("DOG")

    def take_cats(entries: str) -> tuple[str, list[str]]:
        return entries.replace(",CAT", ""), ["cat"] * entries.count("CAT")

    get_entries = patched_get_entries(monkeypatch, [take, take_cats])
    assert get_entries("a,DOG,b,CAT") == ["a", "b", "dog", "cat"]
    assert get_entries("a,b") == ["a", "b"]
    with pytest.raises(RefusedError):
        get_entries("{")


def test_a_patched_v3_3_refuses_what_the_plugin_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(entries: str) -> tuple[str, list[str]]:
        raise ValueError(entries)

    with pytest.raises(RefusedError):
        patched_get_entries(monkeypatch, [refuse])("a")


def test_a_patched_v3_3_without_a_plugin_parses_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    get_entries = patched_get_entries(monkeypatch, [])
    assert get_entries("a,b") == ["a", "b"]
    with pytest.raises(RefusedError):
        get_entries("{")
