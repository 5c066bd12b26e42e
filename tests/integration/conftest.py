"""Real releases of Immich's ML service, patched and as released, with the plugin as a user installs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from harness.service import Service, running_service
from harness.upstream import Upstream, UpstreamError, checkout, install_plugin
from immich_dog_plugin.model_package import ModelPackage
from tests.integration.immich_models import write_immich_models

RELEASES = ("v3.0.3", "v2.7.5")
_unavailable: dict[str, str] = {}


@pytest.fixture(scope="session", params=RELEASES)
def upstream(request: pytest.FixtureRequest) -> Upstream:
    """A release of Immich; where it cannot be had, its tests are skipped, loudly."""
    tag: str = request.param
    if tag not in _unavailable:
        try:
            return checkout(tag)
        except UpstreamError as error:
            _unavailable[tag] = str(error)
    pytest.skip(f"Immich {tag} cannot be had here; the end of this report says why and what to do")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for tag, reason in _unavailable.items():
        terminalreporter.section(f"NOT TESTED AGAINST IMMICH {tag}", red=True, bold=True)
        terminalreporter.line(reason)


@pytest.fixture(scope="session")
def plugin(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin's wheel installed, as in the image: without its dependencies."""
    return install_plugin(tmp_path_factory.mktemp("install") / "plugin", upstream.python)


@pytest.fixture(scope="session")
def patched_tree(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return upstream.copy(tmp_path_factory.mktemp("trees") / "patched", patched=True)


@pytest.fixture(scope="session")
def released_tree(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return upstream.copy(tmp_path_factory.mktemp("trees") / "released", patched=False)


class StartService(Protocol):
    """Starts a patched service with the plugin and the tiny package, in a folder of its own."""

    def __call__(
        self, folder: Path, *, settings: Mapping[str, str] = ..., tree: Path = ..., plugin: Path | None = ...
    ) -> AbstractContextManager[Service]: ...


@pytest.fixture(scope="session")
def start(upstream: Upstream, patched_tree: Path, plugin: Path, tiny_package: ModelPackage) -> StartService:
    def start(
        folder: Path,
        *,
        settings: Mapping[str, str] = {},
        tree: Path = patched_tree,
        plugin: Path | None = plugin,
    ) -> AbstractContextManager[Service]:
        write_immich_models(folder / "cache")
        models = {"IMMICH_DOGS_MODELS": str(tiny_package.path.parent)}
        return running_service(tree, upstream.python, folder, plugin=plugin, settings={**models, **settings})

    return start


@pytest.fixture(scope="session")
def service(start: StartService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A patched service with the plugin."""
    with start(tmp_path_factory.mktemp("patched")) as running:
        yield running


@pytest.fixture(scope="session")
def released_service(
    start: StartService, released_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service as Immich released it."""
    with start(tmp_path_factory.mktemp("released"), tree=released_tree, plugin=None) as running:
        yield running
