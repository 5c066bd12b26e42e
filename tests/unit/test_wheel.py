"""The wheel that the image's build makes without a build backend."""

from __future__ import annotations

import base64
import csv
import hashlib
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from image.build_wheel import ROOT, build_wheel

PYPROJECT = """
[project]
name = "some-plugin"
version = "1.2.3"
description = "What it does"
license = "MIT"
license-files = ["LICENSE"]
requires-python = ">=3.11"
dependencies = ["numpy>=1.26", "rich"]
[project.optional-dependencies]
more = ["torch"]
[project.scripts]
plug = "some_plugin.cli:main"
[project.entry-points."host.models"]
dogs = "some_plugin.models:find"
[tool.hatch.build.targets.wheel]
packages = ["some_plugin"]
[tool.hatch.build.targets.wheel.force-include]
"artifacts" = "some_plugin/artifacts"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    for name in ("some_plugin/models.py", "some_plugin/deep/er.py", "artifacts/v1/model.onnx", "LICENSE", "tests/t.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "some_plugin" / "__pycache__").mkdir()
    (root / "some_plugin" / "__pycache__" / "models.pyc").touch()
    (root / "pyproject.toml").write_text(PYPROJECT)
    return root


@pytest.fixture
def wheel(checkout: Path, tmp_path: Path) -> Path:
    return build_wheel(tmp_path / "dist", checkout)


def installed(wheel: Path, folder: Path) -> Distribution:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (info,) = folder.glob("*.dist-info")
    return PathDistribution(info)


def test_it_holds_the_package_what_is_included_by_force_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == "some_plugin-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == {
            "some_plugin/models.py",
            "some_plugin/deep/er.py",
            "some_plugin/artifacts/v1/model.onnx",
            *(f"some_plugin-1.2.3.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")),
            "some_plugin-1.2.3.dist-info/licenses/LICENSE",
        }
        assert archive.read("some_plugin/artifacts/v1/model.onnx") == b"artifacts/v1/model.onnx"


def test_python_finds_its_name_requirements_and_entry_points(wheel: Path, tmp_path: Path) -> None:
    plugin = installed(wheel, tmp_path / "site-packages")
    assert (plugin.name, plugin.version) == ("some-plugin", "1.2.3")
    assert plugin.metadata["Requires-Python"] == ">=3.11"
    assert plugin.requires == ["numpy>=1.26", "rich"]
    assert {(point.group, point.name, point.value) for point in plugin.entry_points} == {
        ("console_scripts", "plug", "some_plugin.cli:main"),
        ("host.models", "dogs", "some_plugin.models:find"),
    }


def test_its_record_lists_every_file_with_its_hash(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        record = archive.read("some_plugin-1.2.3.dist-info/RECORD").decode().splitlines()
        rows = {path: (digest, size) for path, digest, size in csv.reader(record)}
        assert set(rows) == set(archive.namelist())
        for path, (digest, size) in rows.items():
            content = archive.read(path)
            if not path.endswith("RECORD"):
                expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
                assert (digest, int(size)) == (f"sha256={expected}", len(content))


def test_the_plugins_own_wheel_brings_models_and_patches(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(tmp_path)) as archive:
        names = archive.namelist()
    for source, place in (("artifacts", "immich_dog_plugin/artifacts"), ("patches", "immich_dog_plugin/patches")):
        files = [file for file in (ROOT / source).rglob("*") if file.is_file()]
        assert files
        assert {f"{place}/{file.relative_to(ROOT / source).as_posix()}" for file in files} <= set(names)
