"""The first stage of ``Dockerfile.dogs``: its steps, run in ``sh`` on what ``.dockerignore`` lets through."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import pytest

from image.requirements import ROOT, misfits

DOCKERFILE = (ROOT / "Dockerfile.dogs").read_text("utf-8")
THIS_PYTHON = f'exec {sys.executable} "$@"'
OLD_PYTHON = f"""case "$1" in
-c) exec {sys.executable} -c "import sys; sys.version_info = (3, 10, 9); exec(sys.argv[1])" "$2";;
*) echo Python 3.10.9;;
esac"""
RunSteps = Callable[..., subprocess.CompletedProcess[str]]


def steps(dockerfile: str) -> list[str]:
    """The RUN instructions of the first stage."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", dockerfile, flags=re.MULTILINE)).splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("FROM ")]
    return [line.removeprefix("RUN ") for line in lines[starts[0] : starts[1]] if line.startswith("RUN ")]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """What ``.dockerignore`` lets through to the build."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    rules = [rule for rule in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not rule.startswith("#")]
    assert rules[0] == "*"
    for rule in rules[1:]:
        source = ROOT / rule.removeprefix("!")
        if rule == "**/__pycache__":
            continue
        assert rule.startswith("!"), "this test reads no other rules"
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    return folder


@pytest.fixture
def run_steps(context: Path, tmp_path: Path) -> RunSteps:
    """Run steps as in a base image that has the commands given, each a shell script, and no others."""

    def run_steps(*run: str, python: str | None = THIS_PYTHON, user: int = 0) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        commands = {"id": f"echo {user}", "sh": 'exec /bin/sh "$@"', "mkdir": f'exec {shutil.which("mkdir")} "$@"'}
        for name, script in (commands | ({"python": python} if python else {})).items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        script = re.sub(r"/(wheel|install)\b", rf"{tmp_path}/\1", "\n".join(["set -e", *run]))
        environment = {"PATH": str(folder), "BASE_IMAGE": "some/base:v1", "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            ["/bin/sh", "-c", script], cwd=context, env=environment, capture_output=True, text=True, check=False
        )

    return run_steps


def test_the_build_begins_with_a_look_at_the_base() -> None:
    assert steps(DOCKERFILE)[0] == "sh image/check_base.sh"


def test_a_base_that_holds_what_the_plugin_needs_gets_its_wheel_and_nothing_is_said(
    run_steps: RunSteps, tmp_path: Path
) -> None:
    done = run_steps(*steps(DOCKERFILE))
    assert (done.returncode, done.stderr) == (0, "")
    (site_packages,) = {file.parents[1] for file in (tmp_path / "install").rglob("immich_dog_plugin/__init__.py")}
    assert tmp_path / "install" / Path(sysconfig.get_path("purelib")).relative_to("/") == site_packages
    for name in ("artifacts/dog-identification-v1/manifest.json", "patches/COMPATIBILITY.json"):
        assert (site_packages / "immich_dog_plugin" / name).is_file()
    (plugin,) = distributions(path=[str(site_packages)])
    assert {point.group for point in plugin.entry_points} >= {"console_scripts", "immich_ml.models"}


@pytest.mark.parametrize(
    ("base", "cause", "cure"),
    [
        ({"python": None}, "has no Python", "an image of Immich's machine learning service"),
        ({"user": 1000}, "runs as user 1000, who may not put the plugin in", "End it with USER root"),
        (
            {"python": OLD_PYTHON},
            "has Python 3.10.9, and the plugin needs Python 3.11 or newer",
            "an image of Immich's machine learning service",
        ),
        (
            {"python": f'exec {sys.executable} -S "$@"'},  # without site-packages
            "does not hold what the plugin needs: numpy>=1.26 is not installed; opencv",
            "an image of Immich's machine learning service",
        ),
    ],
    ids=["no Python", "another user than root", "an old Python", "no packages"],
)
def test_a_wrong_base_is_refused_with_cause_and_cure(
    run_steps: RunSteps, base: dict[str, int | str | None], cause: str, cure: str
) -> None:
    done = run_steps("sh image/check_base.sh", "echo the build goes on", **base)
    assert done.returncode == 1
    assert f"The base image some/base:v1 {cause}" in done.stderr
    assert cure in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_package_of_another_version_is_named_with_both() -> None:
    (misfit,) = misfits(["numpy>=99", "rich>=13"])
    assert re.fullmatch(r"numpy>=99 is needed, and \d+\.\d+\.\d+ is installed", misfit)


def test_what_is_missing_comes_before_what_has_another_version() -> None:
    assert misfits(["numpy>=99", "no-such-package[extra]>=1"]) == ["no-such-package[extra]>=1 is not installed"]


@pytest.mark.parametrize(
    ("people", "check", "ran"),
    [
        ("", 0, ["-m immich_ml"]),
        ("on", 0, ["-m immich_dog_plugin check --people", "-m immich_ml"]),
        ("on", 1, ["-m immich_dog_plugin check --people"]),
    ],
    ids=["off", "on", "on and unable"],
)
def test_the_image_starts_the_service_unless_dogs_are_wanted_and_cannot_be_had(
    tmp_path: Path, people: str, check: int, ran: list[str]
) -> None:
    (command,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/ran\n[ "$2" = immich_ml ] || exit {check}\n')
    python.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "IMMICH_DOGS_PEOPLE": people}
    done = subprocess.run(json.loads(command), env=environment, check=False)
    assert done.returncode == check
    assert (tmp_path / "ran").read_text().splitlines() == ran
