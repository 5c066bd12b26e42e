"""Choosing a kind of service, and handling Docker, with stand-ins for its commands."""

from __future__ import annotations

import fcntl
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.service import Kind, choose, container, default_base_image, missing_for_container, running_container
from immich_dog_plugin.errors import MissingPackageError, ServiceError

IMAGE = "some/image:v1"


@pytest.fixture(autouse=True)
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(container, "LOCK", tmp_path / "vendor" / "container.lock")
    return container.LOCK


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make commands of shell scripts, the only ones on PATH beside the system's; returns the log of their calls."""
    folder, log = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    log.touch()
    for name in ("docker", "docker-compose"):  # hides this machine's own
        (folder / name).write_text("#!/bin/sh\nexit 127\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def install(**scripts: str) -> Path:
        for name, script in scripts.items():
            (folder / name.replace("_", "-")).write_text(f'#!/bin/sh\necho "$*" >> {log}\n{script}\n')
        return log

    return install


def unexpected() -> str | None:
    raise AssertionError("looked at Docker although a kind was asked for")


@pytest.mark.parametrize(
    ("wanted", "kind", "url"),
    [
        ("container", Kind.CONTAINER, None),
        ("process", Kind.PROCESS, None),
        ("https://photos.example:3003/", Kind.HTTP, "https://photos.example:3003"),
    ],
)
def test_a_kind_that_is_asked_for_is_taken_without_looking_at_docker(wanted: str, kind: Kind, url: str | None) -> None:
    choice = choose(wanted, unexpected)
    assert (choice.kind, choice.reason, choice.url) == (kind, "asked for", url)


def test_auto_takes_the_container_where_everything_is_there() -> None:
    assert choose("auto", lambda: None).kind is Kind.CONTAINER


def test_auto_takes_the_process_else_and_says_why() -> None:
    assert str(choose("auto", lambda: "no Docker")) == "process (no container: no Docker)"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'vm' is no kind of service"):
        choose("vm", unexpected)


def test_the_default_base_image_is_that_of_the_dockerfile() -> None:
    assert default_base_image().startswith("ghcr.io/immich-app/immich-machine-learning:v3.")


@pytest.mark.parametrize(
    ("scripts", "command"),
    [
        ({"docker": "exit 0", "docker_compose": "exit 0"}, ["docker", "compose"]),
        ({"docker": '[ "$1" != compose ]', "docker_compose": "exit 0"}, ["docker-compose"]),
        ({"docker": '[ "$1" != compose ]'}, None),
    ],
    ids=["v2 before v1", "v1 alone", "neither"],
)
def test_compose_v2_is_preferred_to_v1(
    install: Callable[..., Path], scripts: dict[str, str], command: list[str] | None
) -> None:
    install(**scripts)
    assert container.compose_command() == command


@pytest.mark.parametrize(
    ("scripts", "reason"),
    [
        ({}, "Docker does not answer"),
        ({"docker": '[ "$1" != compose ]'}, "Docker Compose is not installed"),
        ({"docker": '[ "$1" != image ]'}, rf"not on this machine \(docker pull {IMAGE}\)"),
    ],
)
def test_what_is_missing_for_a_container_is_named(
    install: Callable[..., Path], scripts: dict[str, str], reason: str
) -> None:
    install(**scripts)
    assert re.search(reason, missing_for_container(IMAGE) or "nothing")


def test_nothing_is_missing_where_docker_compose_and_the_image_are_there(install: Callable[..., Path]) -> None:
    calls = install(docker="exit 0")
    assert missing_for_container(IMAGE) is None
    assert f"image inspect {IMAGE}" in calls.read_text()
    assert "pull" not in calls.read_text()


def test_auto_leaves_the_container_to_another_run_of_this_checkout(install: Callable[..., Path], lock: Path) -> None:
    install(docker="exit 0")
    lock.parent.mkdir()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert missing_for_container(IMAGE) == "another test run of this checkout has the container"
        with (
            pytest.raises(ServiceError, match="Wait for its end, or use --service process"),
            running_container(IMAGE),
        ):
            pass
    assert missing_for_container(IMAGE) is None


def test_a_container_without_compose_is_an_error_that_says_so(install: Callable[..., Path]) -> None:
    install()
    with pytest.raises(ServiceError, match="no Docker Compose"), running_container(IMAGE):
        pass


def test_a_container_without_pytest_docker_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest_docker.plugin", None)
    with pytest.raises(MissingPackageError, match="pip install pytest-docker"), running_container(IMAGE):
        pass


def test_a_build_that_fails_is_reported_with_what_docker_said_and_leaves_nothing(install: Callable[..., Path]) -> None:
    up_fails = 'case "$*" in *" up "*) echo "the patch does not fit"; exit 1;; esac'
    calls = install(docker='[ "$1" != compose ]', docker_compose=up_fails)
    with pytest.raises(ServiceError, match="the patch does not fit"), running_container(IMAGE):
        pass
    project = f"-p {container.PROJECT} "
    done = [line.split(project)[1] for line in calls.read_text().splitlines() if project in line]
    assert done == ["down -v", "up --build -d", "down -v"]


def test_a_container_that_ends_is_reported_with_its_log_and_removed(install: Callable[..., Path]) -> None:
    docker = """case "$1 $*" in
        *" up "*|*" down "*) ;;
        *" port "*) echo 127.0.0.1:1;;
        *" ps "*) echo abc;;
        "inspect "*) echo false 3;;
        "logs "*) echo "no module named onnx";;
    esac"""
    calls = install(docker=docker)
    with (
        pytest.raises(ServiceError, match=r"(?s)ended with exit code 3.*no module named onnx"),
        running_container(IMAGE),
    ):
        pass
    assert calls.read_text().rstrip().endswith("down -v")
