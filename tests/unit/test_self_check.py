"""``immich-dogs check``: what it says of a whole installation, and of each thing that may be wrong with one."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from immich_dog_plugin import self_check
from immich_dog_plugin.cli import main
from immich_dog_plugin.errors import DoubtfulInstallationError, InstallationError, ModelPackageError, PatchError
from immich_dog_plugin.manifest import STAGE_NAMES
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.patching import Inspection, State
from immich_dog_plugin.stages.session import CPU
from immich_dog_plugin.stages.session import open_stage as open_real_stage
from tests.tiny_package import PEOPLE


@pytest.fixture
def package(tiny_package: ModelPackage, tmp_path: Path) -> Path:
    """A copy of the tiny package to break."""
    return Path(shutil.copytree(tiny_package.path, tmp_path / "models" / "tiny-v1"))


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give the plugin other requirements than its own."""

    def give(requires: list[str], python: str = ">=3.11") -> None:
        plugin = SimpleNamespace(metadata={"Requires-Python": python}, requires=requires)
        monkeypatch.setattr(self_check, "distribution", lambda _: plugin)

    return give


@pytest.fixture
def tree_in_state(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let every tree be one of a known release, in the state given."""

    def give(root: Path, state: State) -> None:
        family = self_check.patching.TWO_WAVES
        inspection = Inspection(root, family, state, (), {})
        monkeypatch.setattr(self_check.patching, "inspect", lambda _: inspection)

    return give


@pytest.fixture
def service_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree_in_state: Callable[..., None]) -> Path:
    """A patched tree that this Python imports ``immich_ml`` from."""
    (tmp_path / "src" / "immich_ml").mkdir(parents=True)
    (tmp_path / "src" / "immich_ml" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    tree_in_state(tmp_path / "src", State.APPLIED)
    return tmp_path / "src"


def use_entry_points(monkeypatch: pytest.MonkeyPatch, *points: Any) -> None:
    monkeypatch.setattr(self_check, "entry_points", lambda name: points)


def test_dependencies_that_fit_are_counted(metadata: Callable[..., None]) -> None:
    metadata(["numpy>=1.26", "rich>=13", "torch>=2; extra == 'train'"])
    assert "the 2 packages" in self_check.check_dependencies()


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("numpy>=99", r"numpy>=99 is needed, and \d+\.\d+\.\d+ is installed"),
        ("no-such-package-anywhere", "no-such-package-anywhere is not installed"),
    ],
)
def test_a_dependency_that_does_not_fit_is_named(metadata: Callable[..., None], requirement: str, message: str) -> None:
    metadata(["rich>=13", requirement])
    with pytest.raises(InstallationError, match=message):
        self_check.check_dependencies()


def test_another_python_than_the_wheel_asks_for_is_refused(metadata: Callable[..., None]) -> None:
    metadata([], python="<3")
    with pytest.raises(InstallationError, match="needs Python <3, and this is 3"):
        self_check.check_dependencies()


def test_a_tree_without_the_patch_is_told_how_to_get_it(tree_in_state: Callable[..., None]) -> None:
    tree_in_state(Path("/usr/src"), State.APPLIES)
    with pytest.raises(InstallationError, match=r"is not patched.*immich-dogs patch apply /usr/src"):
        self_check.check_patch(Path("/usr/src"))


def test_a_tree_that_the_patch_does_not_fit_is_refused(tree_in_state: Callable[..., None]) -> None:
    tree_in_state(Path("/usr/src"), State.MISFIT)
    with pytest.raises(PatchError, match="does not fit"):
        self_check.check_patch(Path("/usr/src"))


def test_a_service_that_makes_the_models_is_whole(service_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class DogModel:
        def __init__(self, model_name: str) -> None:
            pass

    asked: list[str] = []

    def find_model_class(model_name: str, model_type: str, model_task: str) -> type:
        asked.append(model_type)
        return DogModel

    use_entry_points(monkeypatch, SimpleNamespace(group="immich_ml.models", load=lambda: find_model_class))
    assert "makes DogModel, DogModel, DogModel" in self_check.check_service(service_tree)
    assert asked == list(STAGE_NAMES)


def test_a_service_imported_from_elsewhere_is_no_proof_for_the_tree(
    service_tree: Path, tree_in_state: Callable[..., None], tmp_path: Path
) -> None:
    tree_in_state(tmp_path / "other", State.APPLIED)
    with pytest.raises(InstallationError, match=f"imports immich_ml from {service_tree}, not from {tmp_path}/other"):
        self_check.check_service(tmp_path / "other")


def test_a_missing_entry_point_is_reported(service_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_entry_points(monkeypatch)
    with pytest.raises(InstallationError, match="entry point is not installed"):
        self_check.check_service(service_tree)


def test_a_plugin_that_the_service_cannot_load_is_reported_with_the_reason(
    service_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_entry_points(monkeypatch, EntryPoint("dogs", "no_such_module_anywhere:find", "immich_ml.models"))
    with pytest.raises(InstallationError, match="ModuleNotFoundError: No module named 'no_such_module_anywhere'"):
        self_check.check_service(service_tree)


def test_a_whole_package_is_verified_and_run(package: Path) -> None:
    assert self_check.check_package(package) == f"tiny-v1 1.0.0 in {package}: verified, its 3 graphs run on {CPU}"


def test_a_graph_runs_on_the_device_that_is_ready_and_the_report_says_so(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnADevice:
        """A graph that runs where it was asked to."""

        def __init__(self, graph: Any, provider: str) -> None:
            self.run, self.get_providers = graph.run, lambda: [provider, CPU]

    def open_stage(package: ModelPackage, stage: str, providers: list[str]) -> Any:
        if (stage, providers) == ("keypoint", ["CUDAExecutionProvider"]):
            raise ModelPackageError("ONNX Runtime cannot load it (CUDA out of memory)", "Reinstall it")
        return OnADevice(open_real_stage(package, stage, [CPU]), providers[0])

    monkeypatch.setattr(self_check, "open_stage", open_stage)
    monkeypatch.setattr(self_check, "providers_ready", lambda: ["CUDAExecutionProvider"])
    assert self_check.check_package(package).endswith(
        "its 3 graphs run detection on CUDAExecutionProvider, keypoint on CPUExecutionProvider, "
        "recognition on CUDAExecutionProvider"
    )


def test_a_flipped_bit_is_found(package: Path) -> None:
    model = package / "keypoint" / "model.onnx"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    with pytest.raises(ModelPackageError, match=r"keypoint/model\.onnx is corrupted"):
        self_check.check_package(package)


def replace_graph(package: Path, stage: str, content: bytes) -> None:
    """Put another graph there, with its checksum in the manifest: only running it shows that it is wrong."""
    model, manifest = package / stage / "model.onnx", package / "manifest.json"
    before = hashlib.sha256(model.read_bytes()).hexdigest()
    model.write_bytes(content)
    manifest.write_text(manifest.read_text().replace(before, hashlib.sha256(content).hexdigest()))


def test_a_graph_that_onnx_runtime_cannot_open_is_found(package: Path) -> None:
    replace_graph(package, "detection", b"no graph")
    with pytest.raises(ModelPackageError, match="ONNX Runtime cannot load"):
        self_check.check_package(package)


def test_a_graph_that_answers_nan_is_found(package: Path) -> None:
    model = onnx.load(package / "recognition" / "model.onnx")
    (directions,) = model.graph.initializer
    broken = np.full_like(numpy_helper.to_array(directions), np.nan)
    directions.CopyFrom(numpy_helper.from_array(broken, directions.name))
    replace_graph(package, "recognition", model.SerializeToString())
    with pytest.raises(ModelPackageError, match="not finite"):
        self_check.check_package(package)


def test_an_installation_without_the_default_package_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("immich_dog_plugin.model_package.package_folders", list)
    with pytest.raises(ModelPackageError, match="no model package 'dog-identification-v1'"):
        self_check.check_default_package({})


def test_the_command_checks_every_part_and_fails_for_one(
    package: Path,
    metadata: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    metadata(["numpy>=1.26"])
    monkeypatch.setattr(self_check, "available_packages", lambda: {"tiny-v1": package})
    assert main(["check"]) == 0
    assert [line.split(":")[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["ok", " dependencies"],
        ["ok", " models"],
        ["ok", " tiny-v1"],
        ["ok", " people"],
    ]
    metadata(["numpy>=99"])
    assert main(["check"]) == 1
    report = capsys.readouterr().out
    assert "FAILED: dependencies: " in report
    assert "ok: tiny-v1: " in report


def test_a_doubt_is_a_warning_that_leaves_the_exit_code_alone(
    package: Path, metadata: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def doubt() -> str:
        raise DoubtfulInstallationError("Nobody tried this", "Try it")

    metadata([])
    monkeypatch.setattr(self_check, "available_packages", lambda: {"tiny-v1": package})
    for check in ("check_release", "check_hardware", "check_patch", "check_service"):
        monkeypatch.setattr(self_check, check, lambda *_: "fine")
    monkeypatch.setattr(self_check, "check_release", doubt)
    assert main(["check", "/usr/src"]) == 0
    assert "WARNING: release: Nobody tried this. Try it\nok: hardware: fine\n" in capsys.readouterr().out


def test_the_command_refuses_a_tree_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)]) == 1
    report = capsys.readouterr().out
    assert f"FAILED: patch: {tmp_path} is no tree of Immich's ML service" in report
    assert "FAILED: service: " in report


@pytest.fixture
def default_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny package in place of the default one, ready for the People page."""
    monkeypatch.setenv("IMMICH_DOGS_MODELS", str(package.parent))
    package = package.rename(package.with_name("dog-identification-v1"))
    manifest = ModelPackage.read(package).manifest.model_copy(update={"people": PEOPLE})
    (package / "manifest.json").write_text(manifest.model_dump_json())
    return package


@pytest.mark.usefixtures("default_package")
def test_the_check_says_whether_dogs_are_on_the_people_page_and_could_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert self_check.check_people() == (
        "off; IMMICH_DOGS_PEOPLE=on would put the same dog at the distance 0.5 of tiny-v1 1.0.0 (exponent 0.500)"
    )
    monkeypatch.setenv("IMMICH_DOGS_PEOPLE", "on")
    monkeypatch.setenv("IMMICH_DOGS_PEOPLE_MAX_DISTANCE", "0.6")
    assert self_check.check_people() == (
        "on: head boxes, dogs from score 0.5 on, same dog at the distance 0.6 of tiny-v1 1.0.0 (exponent 0.400)"
    )


def test_a_package_that_cannot_serve_the_people_page_fails_only_where_it_must(
    default_package: Path, tiny_package: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (default_package / "manifest.json").write_text(tiny_package.manifest.model_dump_json())
    assert self_check.check_people().startswith("off, and it cannot be turned on: tiny-v1 1.0.0 does not say")
    monkeypatch.setenv("IMMICH_DOGS_PEOPLE", "on")
    with pytest.raises(ModelPackageError, match=r"does not say how far apart.*trainers\.calibrate"):
        self_check.check_people()


def test_before_the_service_starts_the_models_are_run_only_where_the_mode_is_on(
    default_package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--people"]) == 0
    assert capsys.readouterr().out.startswith("ok: people: off")
    monkeypatch.setenv("IMMICH_DOGS_PEOPLE", "on")
    assert main(["check", "--people"]) == 0
    on, models = capsys.readouterr().out.splitlines()
    assert on.startswith("ok: people: on")
    assert models.startswith("ok: dog-identification-v1: tiny-v1 1.0.0")
    (default_package / "keypoint" / "model.onnx").write_bytes(b"damaged")
    assert main(["check", "--people"]) == 1
    monkeypatch.setenv("IMMICH_DOGS_PEOPLE_MAX_DISTANCE", "0.71")
    assert main(["check", "--people"]) == 1
    assert "FAILED: people: IMMICH_DOGS_PEOPLE_MAX_DISTANCE is 0.71" in capsys.readouterr().out
