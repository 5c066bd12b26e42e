"""``docker-compose.dogs.yml`` laid over a compose file like Immich's, as Compose v2 and v1 understand both together."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.service.container import ROOT, compose_command, default_base_image

IMMICH = """
services:
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


@pytest.fixture
def configuration(tmp_path: Path) -> Callable[[str], list[str]]:
    """What both files say together, line by line, for the contents of Immich's ``.env``."""
    compose = compose_command()
    if compose is None:
        pytest.skip("Docker Compose is not installed: install Docker with its Compose plugin")

    def configuration(settings: str) -> list[str]:
        (tmp_path / "docker-compose.yml").write_text(IMMICH)
        (tmp_path / ".env").write_text(settings)
        (tmp_path / "immich-dog-plugin").mkdir()
        files = ["-f", "docker-compose.yml", "-f", str(ROOT / "docker-compose.dogs.yml")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IMMICH_")}
        done = subprocess.run(
            [*compose, *files, "config"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [line.strip().replace("'", "").replace('"', "") for line in done.stdout.splitlines()]

    return configuration


def test_the_service_is_built_from_the_checkout_and_keeps_what_is_immichs(
    configuration: Callable[[str], list[str]], tmp_path: Path
) -> None:
    lines = configuration("")
    assert f"context: {tmp_path / 'immich-dog-plugin'}" in lines
    assert "dockerfile: Dockerfile.dogs" in lines
    assert f"BASE_IMAGE: {default_base_image()}" in lines
    assert "image: immich-machine-learning-dogs:v3.0.3" in lines
    assert "container_name: immich_machine_learning" in lines
    assert "restart: always" in lines
    assert any(line in ("source: model-cache", "- model-cache:/cache:rw") for line in lines)  # v2 and v1


def test_release_and_hardware_are_those_of_immichs_env(configuration: Callable[[str], list[str]]) -> None:
    lines = configuration(f"IMMICH_VERSION=v2.7.5\nIMMICH_DOGS_HARDWARE=-cuda\nIMMICH_DOGS_CHECKOUT={ROOT}\n")
    assert f"context: {ROOT}" in lines
    assert "BASE_IMAGE: ghcr.io/immich-app/immich-machine-learning:v2.7.5-cuda" in lines
    assert "image: immich-machine-learning-dogs:v2.7.5-cuda" in lines
