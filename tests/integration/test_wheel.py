"""The image's build makes the plugin's wheel without a build backend: it must be the wheel that pip would install."""

from __future__ import annotations

import sys
import zipfile
from configparser import ConfigParser
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness.immich_source import run
from harness.upstream import CURE, uv
from image.build_wheel import ROOT, build_wheel

OF_ITS_MAKER = ("METADATA", "RECORD", "WHEEL", "entry_points.txt")  # compared by what they say, or not at all


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[zipfile.ZipFile, zipfile.ZipFile]:
    """Ours, and that of the build backend."""
    folder = tmp_path_factory.mktemp("wheels")
    run([uv(), "build", "--wheel", "--out-dir", str(folder), "--python", sys.executable, str(ROOT)], "The wheel", CURE)
    (theirs,) = folder.glob("*.whl")
    ours = build_wheel(folder / "ours")
    assert ours.name == theirs.name
    return zipfile.ZipFile(ours), zipfile.ZipFile(theirs)


def read(wheel: zipfile.ZipFile, name: str) -> bytes:
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path)


def contents(wheel: zipfile.ZipFile) -> dict[str, bytes]:
    return {path: wheel.read(path) for path in wheel.namelist() if Path(path).name not in OF_ITS_MAKER}


def test_both_hold_the_same_files(wheels: tuple[zipfile.ZipFile, zipfile.ZipFile]) -> None:
    ours, theirs = map(contents, wheels)
    assert sorted(ours) == sorted(theirs)
    assert ours == theirs


def test_both_have_the_same_entry_points(wheels: tuple[zipfile.ZipFile, zipfile.ZipFile]) -> None:
    def entry_points(wheel: zipfile.ZipFile) -> dict[str, dict[str, str]]:
        parser = ConfigParser(delimiters="=")
        parser.read_string(read(wheel, "entry_points.txt").decode())
        return {section: dict(parser[section]) for section in parser.sections()}

    ours, theirs = map(entry_points, wheels)
    assert ours == theirs
    assert "immich_ml.models" in ours


def test_both_need_the_same_packages_and_the_same_python(wheels: tuple[zipfile.ZipFile, zipfile.ZipFile]) -> None:
    def needs(metadata: Message) -> tuple[str, str, SpecifierSet, set[Requirement]]:
        requirements = {Requirement(line) for line in metadata.get_all("Requires-Dist", [])}
        base = {requirement for requirement in requirements if "extra" not in str(requirement.marker)}
        return metadata["Name"], metadata["Version"], SpecifierSet(metadata["Requires-Python"]), base

    ours, theirs = (needs(message_from_bytes(read(wheel, "METADATA"))) for wheel in wheels)
    assert ours == theirs
