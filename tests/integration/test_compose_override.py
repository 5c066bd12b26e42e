"""``docker-compose.dogs.yml`` laid over a compose file like Immich's, as each program for such files reads them."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.service.container import ROOT, SERVICE, compose_command

IMMICH = """
services:
  immich-server:
    container_name: immich_server
    image: ghcr.io/immich-app/immich-server:${IMMICH_VERSION:-release}
  immich-machine-learning:
    container_name: immich_machine_learning
    image: ghcr.io/immich-app/immich-machine-learning:${IMMICH_VERSION:-release}
    volumes:
      - model-cache:/cache
    env_file:
      - .env
    restart: always
volumes:
  model-cache:
"""
OVERRIDE = """
services:
  immich-machine-learning:
    devices:
      - /dev/dri:/dev/dri
    image: ghcr.io/immich-app/immich-machine-learning:${IMMICH_VERSION:-release}-openvino
    ports:
      - 3003:3003
"""
OURS = ROOT / "docker-compose.dogs.yml"
FILES = f"docker-compose.yml:{OURS}"
Read = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=["docker", "podman"])
def compose(request: pytest.FixtureRequest) -> list[str]:
    """Docker's Compose, v2 or v1, and Podman's, which comes from the package index: reading files needs no engine."""
    if request.param == "docker":
        command = compose_command()
        if command is None:
            pytest.skip("Docker Compose is not installed: install Docker with its Compose plugin")
        return command
    if importlib.util.find_spec("podman_compose") is None:
        pytest.skip("podman-compose is not installed: pip install podman-compose")
    return [sys.executable, "-m", "podman_compose", "--dry-run"]


@pytest.fixture
def read(compose: list[str], tmp_path: Path) -> Read:
    """The files as the program reads them together, for the contents of Immich's ``.env``."""
    (tmp_path / "docker-compose.yml").write_text(IMMICH)
    (tmp_path / "docker-compose.override.yml").write_text(OVERRIDE)
    (tmp_path / "immich-dog-plugin").symlink_to(ROOT)

    def read(settings: str, files: str = FILES) -> subprocess.CompletedProcess[str]:
        (tmp_path / ".env").write_text(settings)
        # in .env, where a user writes it, Podman's does not look for it
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("IMMICH_", "COMPOSE_"))
        }
        return subprocess.run(
            [*compose, "config"],
            cwd=tmp_path,
            env=environment | {"COMPOSE_FILE": files},
            capture_output=True,
            text=True,
            check=False,
        )

    return read


def compose_files_of_the_readme() -> list[str]:
    """What the README has a user write into ``.env``: without and with an override of their own."""
    return re.findall(r"^COMPOSE_FILE=(\S+)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)


def services(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return found


def base_image(service: Mapping[str, Any]) -> str:
    """The build's argument; the programs write arguments as a mapping or as a list."""
    arguments = service["build"]["args"]
    pairs = arguments if isinstance(arguments, dict) else dict(line.split("=", 1) for line in arguments)
    return str(pairs["BASE_IMAGE"])


def test_the_service_is_built_from_the_checkout_and_keeps_what_is_immichs(read: Read, tmp_path: Path) -> None:
    service = services(read("IMMICH_VERSION=v3.0.3\n"))[SERVICE]
    assert service["build"]["context"] == str(tmp_path / "immich-dog-plugin")
    assert service["build"]["dockerfile"] == "Dockerfile.dogs"
    assert base_image(service) == "ghcr.io/immich-app/immich-machine-learning:v3.0.3"
    assert service["image"] == "immich-machine-learning-dogs:v3.0.3"
    assert service["container_name"] == "immich_machine_learning"
    assert service["restart"] == "always"
    assert "model-cache" in str(service["volumes"])


def test_release_hardware_and_checkout_are_those_of_immichs_env(read: Read) -> None:
    service = services(read(f"IMMICH_VERSION=v2.7.5\nIMMICH_DOGS_HARDWARE=-cuda\nIMMICH_DOGS_CHECKOUT={ROOT}\n"))[
        SERVICE
    ]
    assert service["build"]["context"] == str(ROOT)
    assert base_image(service) == "ghcr.io/immich-app/immich-machine-learning:v2.7.5-cuda"
    assert service["image"] == "immich-machine-learning-dogs:v2.7.5-cuda"


@pytest.mark.parametrize("written", ["", "on"])
def test_the_settings_of_the_people_page_reach_the_service_and_are_empty_unless_written(
    read: Read, written: str
) -> None:
    names = [f"IMMICH_DOGS_PEOPLE{name}" for name in ("", "_MIN_SCORE", "_MAX_DISTANCE", "_BOX")]
    lines = "".join(f"{name}={written}\n" for name in names) if written else ""
    environment = services(read(f"IMMICH_VERSION=v3.0.3\n{lines}"))[SERVICE]["environment"]
    pairs = environment if isinstance(environment, dict) else dict(line.split("=", 1) for line in environment)
    assert {name: pairs[name] for name in names} == dict.fromkeys(names, written)


@pytest.mark.parametrize("release", ["v3.0.3", "v3", "release"])
def test_service_and_server_are_of_one_release_whatever_the_env_names(read: Read, release: str) -> None:
    both = services(read(f"IMMICH_VERSION={release}\n"))
    server = both["immich-server"]["image"].rpartition(":")[2]
    assert base_image(both[SERVICE]).rpartition(":")[2] == server == release


@pytest.mark.parametrize("settings", ["", "IMMICH_VERSION=\n"], ids=["unset", "empty"])
def test_without_a_release_nothing_is_built_and_the_cure_is_said(read: Read, settings: str) -> None:
    done = read(settings)
    assert done.returncode != 0
    assert "IMMICH_VERSION" in done.stdout + done.stderr
    assert "write the release that your server runs now into .env" in done.stdout + done.stderr


def test_the_readmes_files_keep_ports_and_devices_of_a_users_own_override(read: Read) -> None:
    plain, with_override = compose_files_of_the_readme()
    assert "ports" not in services(read("IMMICH_VERSION=v3.0.3\n", plain))[SERVICE]
    service = services(read("IMMICH_VERSION=v3.0.3\nIMMICH_DOGS_HARDWARE=-openvino\n", with_override))[SERVICE]
    assert "3003" in str(service["ports"])
    assert "/dev/dri" in str(service["devices"])
    assert service["image"] == "immich-machine-learning-dogs:v3.0.3-openvino"
