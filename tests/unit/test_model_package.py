from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.cli import main
from immich_dog_plugin.errors import ModelPackageError
from immich_dog_plugin.geometry import letterbox
from immich_dog_plugin.manifest import StageName
from immich_dog_plugin.model_package import ModelPackage, available_packages, find_package
from immich_dog_plugin.pipeline import DogPipeline
from immich_dog_plugin.stages.session import open_session
from tests.broken_packages import weights_elsewhere
from tests.tiny_package import CALIBRATION, PEOPLE, red_dog_photo


@pytest.fixture
def package_copy(tiny_package: ModelPackage, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_package.path, tmp_path / "tiny-v1"))


def change_manifest(package: Path, stage: str, change: dict) -> None:
    """Change the part of one stage; a field of its own fields only where ``change`` names them."""
    file = package / "manifest.json"
    manifest = json.loads(file.read_text())
    for key, value in change.items():
        manifest[stage][key] = manifest[stage][key] | value if isinstance(value, dict) else value
    file.write_text(json.dumps(manifest))


def test_a_package_is_opened_by_path_and_by_name(package_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ModelPackage.open(package_copy).manifest.name == "tiny-v1"
    monkeypatch.setenv("IMMICH_DOGS_MODELS", str(package_copy.parent))
    assert find_package("tiny-v1") == package_copy
    assert "tiny-v1" in available_packages()


def test_a_name_that_no_file_system_takes_is_a_package_that_is_not_there() -> None:
    with pytest.raises(ModelPackageError, match="There is no model package 'nnn"):
        find_package("n" * 300)


def test_an_unknown_package_names_those_there_are(package_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMMICH_DOGS_MODELS", str(package_copy.parent))
    with pytest.raises(ModelPackageError, match=r"no model package 'rex-v9' \(found: .*tiny-v1"):
        ModelPackage.open("rex-v9")


@pytest.mark.parametrize("stage", ["detection", "keypoint", "recognition"])
def test_one_flipped_bit_in_a_model_is_noticed(package_copy: Path, stage: str) -> None:
    file = package_copy / stage / "model.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelPackageError, match=rf"{stage}.*corrupted.*Put the package back"):
        ModelPackage.open(package_copy)


def test_a_missing_model_is_named(package_copy: Path) -> None:
    (package_copy / "keypoint" / "model.onnx").unlink()
    with pytest.raises(ModelPackageError, match=r"keypoint/model\.onnx cannot be read"):
        ModelPackage.open(package_copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format"),
        ({"surprise": 1}, "surprise"),
        ({"crop": {}}, r"crop\.preference"),
    ],
)
def test_a_manifest_that_does_not_fit_says_which_field(package_copy: Path, change: dict, message: str) -> None:
    file = package_copy / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ModelPackageError, match=message):
        ModelPackage.read(package_copy)


@pytest.mark.parametrize(
    ("stage", "change", "message"),
    [
        ("detection", {"input": {"resize": "squash"}}, r"detection\.input: .*'squash'.*'letterbox' alone"),
        ("keypoint", {"input": {"resize": "squash"}}, r"keypoint\.input: .*'squash'.*'letterbox' alone"),
        (
            "keypoint",
            {"names": ["nose", "right_ear", "left_ear", "right_eye", "left_eye"]},
            r"keypoint\.names: .*nose, right_ear.* instead of left_eye, right_eye",
        ),
        ("recognition", {"input": {"colour": "BGR"}}, r"recognition\.input\.colour: .*'RGB'"),
        ("recognition", {"input": {"std": [1, 0, 1]}}, r"recognition\.input\.std\.1: .*greater than 0"),
        ("detection", {"input": {"mean": [0, float("nan"), 0]}}, r"detection\.input\.mean\.1: .*finite"),
    ],
)
def test_what_is_served_in_one_way_only_cannot_be_asked_for_in_another(
    package_copy: Path, stage: str, change: dict, message: str
) -> None:
    change_manifest(package_copy, stage, change)
    with pytest.raises(ModelPackageError, match=message):
        ModelPackage.read(package_copy)


@pytest.mark.parametrize("resize", ["letterbox", "squash"])
def test_the_embedders_input_is_resized_as_its_manifest_says(package_copy: Path, resize: str) -> None:
    change_manifest(package_copy, "recognition", {"input": {"resize": resize}})
    embedder = DogPipeline.open(ModelPackage.open(package_copy)).embedder
    photo = np.full((20, 60, 3), (200, 0, 0), dtype=np.uint8)
    inputs = {"letterbox": letterbox(photo, 64)[0], "squash": np.full((64, 64, 3), (200, 0, 0), dtype=np.uint8)}
    np.testing.assert_array_equal(embedder([(photo,)]), embedder([(inputs.pop(resize),)]))
    assert not np.allclose(embedder([(photo,)]), embedder([tuple(inputs.values())]), atol=0.01)


def test_a_graph_that_keeps_weights_in_another_file_is_refused(package_copy: Path) -> None:
    weights_elsewhere(package_copy)
    with pytest.raises(ModelPackageError, match=r"recognition/model\.onnx keeps weights in another file.*Save it"):
        ModelPackage.open(package_copy)


def test_what_was_verified_is_what_onnx_runtime_gets(package_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModelPackage.open(package_copy)
    read_graph = ModelPackage.read_graph

    def read_before_somebody_writes(self: ModelPackage, stage: StageName) -> bytes:
        graph = read_graph(self, stage)
        self.model_path(stage).write_bytes(b"another")
        return graph

    monkeypatch.setattr(ModelPackage, "read_graph", read_before_somebody_writes)
    assert len(DogPipeline.open(package)(red_dog_photo([(64, 32, 96, 64)]))) == 1


def test_a_graph_that_changed_since_its_package_was_opened_is_refused(package_copy: Path) -> None:
    package = ModelPackage.open(package_copy)
    package.model_path("keypoint").write_bytes(package.model_path("detection").read_bytes())
    with pytest.raises(ModelPackageError, match=r"keypoint/model\.onnx is corrupted"):
        DogPipeline.open(package)


def test_a_manifest_that_is_not_json_is_an_error_with_a_cure(package_copy: Path) -> None:
    (package_copy / "manifest.json").write_text("{")
    with pytest.raises(ModelPackageError, match=r"not valid.*Put the package back"):
        ModelPackage.read(package_copy)


def test_the_fingerprint_changes_with_what_decides_an_embedding_and_only_then(package_copy: Path) -> None:
    before = ModelPackage.read(package_copy)
    manifest = json.loads((package_copy / "manifest.json").read_text())
    manifest["metrics"] = {"auc": 1}
    (package_copy / "manifest.json").write_text(json.dumps(manifest))
    assert ModelPackage.read(package_copy).fingerprint == before.fingerprint
    manifest["calibration"] = CALIBRATION.model_dump()
    (package_copy / "manifest.json").write_text(json.dumps(manifest))
    assert ModelPackage.read(package_copy).manifest.calibration == CALIBRATION
    assert ModelPackage.read(package_copy).fingerprint == before.fingerprint
    manifest["people"] = PEOPLE.model_dump()
    (package_copy / "manifest.json").write_text(json.dumps(manifest))
    assert ModelPackage.read(package_copy).manifest.people == PEOPLE
    assert ModelPackage.read(package_copy).fingerprint == before.fingerprint
    manifest["crop"]["body_padding"] = 0.1
    (package_copy / "manifest.json").write_text(json.dumps(manifest))
    assert ModelPackage.read(package_copy).fingerprint != before.fingerprint


def test_a_file_that_is_no_graph_is_refused_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"not a graph")
    with pytest.raises(ModelPackageError, match=r"cannot load .*model\.onnx"):
        open_session(file)


def test_a_manifest_of_before_the_calibration_is_read_and_has_the_same_fingerprint(package_copy: Path) -> None:
    file = package_copy / "manifest.json"
    before = ModelPackage.read(package_copy)
    manifest = json.loads(file.read_text())
    del manifest["calibration"], manifest["people"]
    file.write_text(json.dumps(manifest))
    assert ModelPackage.read(package_copy).manifest.calibration is None
    assert ModelPackage.read(package_copy).fingerprint == before.fingerprint


def test_the_models_command_prints_what_the_calibration_says(
    package_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", str(package_copy)]) == 0
    assert "not calibrated" in capsys.readouterr().out
    file = package_copy / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"calibration": CALIBRATION.model_dump()}))
    assert main(["models", str(package_copy)]) == 0
    printed = capsys.readouterr().out
    assert "20 % at 0.361, 50 % at 0.500, 80 % at 0.639; expected calibration error 0.050 (a test)" in printed


def test_the_models_command_verifies_and_fails_on_a_damaged_package(
    package_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", str(package_copy)]) == 0
    assert "tiny-v1 1.0.0: verified" in capsys.readouterr().out
    (package_copy / "recognition" / "model.onnx").write_bytes(b"")
    assert main(["models", str(package_copy)]) == 1
    assert "corrupted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stage", "change", "message"),
    [
        ("detection", {"output": "boxes"}, "output 'boxes'"),
        ("keypoint", {"input": {"side": 96}}, "input 'images'.*96, 96"),
        ("recognition", {"dimension": 256}, "output 'embedding'.*256"),
    ],
)
def test_a_graph_that_is_not_what_its_manifest_says_is_refused_before_any_photo(
    package_copy: Path, stage: str, change: dict, message: str
) -> None:
    change_manifest(package_copy, stage, change)
    with pytest.raises(ModelPackageError, match=message):
        DogPipeline.open(ModelPackage.open(package_copy))


def test_a_models_folder_that_does_not_exist_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMMICH_DOGS_MODELS", "/no/such/folder")
    assert main(["models"]) == 1
    assert "IMMICH_DOGS_MODELS is '/no/such/folder'" in capsys.readouterr().err
