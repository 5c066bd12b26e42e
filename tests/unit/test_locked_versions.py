"""``constraints.txt`` locks what tox installs; a fault here says that ``tox -e lock`` was forgotten."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
NOT_LOCKED = {"cuda"}  # its ONNX Runtime takes the place of the other one; no environment of tox has it
PYTHONS = ("3.11.7", "3.12.1", "3.13.0")


def locked(python: str) -> dict[str, str]:
    """The version of each package for Linux and a release of Python."""
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0], "sys_platform": "linux"}
    pins = [Requirement(line) for line in LINES]
    valid = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(environment)]
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in valid}


def asked_for() -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"]
    lists = [PROJECT["build-system"]["requires"], PROJECT["project"]["dependencies"]]
    lists += [needed for name, needed in extras.items() if name not in NOT_LOCKED]
    lists += PROJECT["dependency-groups"].values()
    return [Requirement(text) for needed in lists for text in needed]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_has_a_locked_version_that_it_allows(python: str) -> None:
    versions = locked(python)
    faults = [
        f"{needed}: {versions.get(canonicalize_name(needed.name), 'not locked')}; run tox -e lock"
        for needed in asked_for()
        if not needed.specifier.contains(versions.get(canonicalize_name(needed.name), "0.dev0"), prereleases=True)
        or canonicalize_name(needed.name) not in versions
    ]
    assert not faults


def test_the_lock_holds_plain_versions_and_names_no_place_to_fetch_them_from() -> None:
    strange = [line for line in LINES if "://" in line or "@" in line or "[" in line or "==" not in line]
    assert LINES
    assert not strange


def test_tox_applies_the_lock_to_every_environment_but_the_unlocked_ones() -> None:
    text = (ROOT / "tox.ini").read_text(encoding="utf-8")
    assert "\n    !unlocked: constraints.txt\n" in text
    assert "\n[pkgenv]\nconstraints = constraints.txt\n" in text
    assert text.count("constraints =") == 2
