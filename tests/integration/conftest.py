"""Real releases of Immich's ML service, patched and as released, with the plugin as a user installs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import pytest

from drawn_dogs.photos import draw_dog
from harness.immich_models import write_immich_models
from harness.service import (
    Choice,
    ContainerService,
    Kind,
    ProcessService,
    Service,
    choose,
    default_base_image,
    missing_for_container,
    running_container,
    running_service,
)
from harness.upstream import Upstream, UpstreamError, checkout, install_plugin
from immich_dog_plugin.model_package import ModelPackage
from tests.integration.asking import png

RELEASES = ("v3.0.3", "v2.7.5")
NEWEST = RELEASES[0]
_not_tested: dict[str, str] = {}  # what was skipped, with the reason and the cure
_choice = pytest.StashKey[Choice]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("service", "the service with the models that ship")
    group.addoption(
        "--service",
        default="auto",
        metavar="KIND",
        help="container: the image of Dockerfile.dogs; process: a patched release on this machine; http://HOST:PORT: "
        "one that runs already; auto (default): the container where that needs no download, else the process",
    )
    group.addoption(
        "--base-image", default=default_base_image(), metavar="IMAGE", help="of the container (default: %(default)s)"
    )
    gate = parser.getgroup("gate", "the gate, beside the drawn dogs that it always takes")
    gate.addoption("--test-sets", type=Path, metavar="DIR", help="your photos of known dogs: see harness/README.md")
    gate.addoption("--split", help="of the index.csv of DIR")


# Both options have their defaults here too: pytest reads this file too late for them where it is started further above.
def base_image_of(config: pytest.Config) -> str:
    image: str = config.getoption("--base-image", default_base_image())
    return image


def chosen_service(config: pytest.Config) -> Choice:
    if _choice not in config.stash:
        wanted = config.getoption("--service", "auto")
        try:
            choice = choose(wanted, lambda: missing_for_container(base_image_of(config)))
        except ValueError as error:
            raise pytest.UsageError(str(error)) from error
        config.stash[_choice] = choice
    return config.stash[_choice]


def pytest_report_header(config: pytest.Config) -> str:
    return f"dog service: {chosen_service(config)}"


@pytest.fixture(scope="session", params=RELEASES)
def upstream(request: pytest.FixtureRequest) -> Upstream:
    """A release of Immich; where it cannot be had, its tests are skipped, loudly."""
    return require_release(request.param)


def require_release(tag: str) -> Upstream:
    what = f"IMMICH {tag}"
    if what not in _not_tested:
        try:
            return checkout(tag)
        except UpstreamError as error:
            _not_tested[what] = str(error)
    pytest.skip(f"Immich {tag} cannot be had here; the end of this report says why and what to do")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _choice in config.stash:
        terminalreporter.line(f"dog service: {config.stash[_choice]}")
    for what, reason in _not_tested.items():
        terminalreporter.section(f"NOT TESTED: {what}", red=True, bold=True)
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
    ) -> AbstractContextManager[ProcessService]: ...


class RunDogService(Protocol):
    """Starts a service with the plugin, as a process of this machine; ``IMMICH_DOGS_MODELS`` may bring other models."""

    def __call__(self, folder: Path, settings: Mapping[str, str] = ...) -> AbstractContextManager[ProcessService]: ...


@pytest.fixture(scope="session")
def start(upstream: Upstream, patched_tree: Path, plugin: Path, tiny_package: ModelPackage) -> StartService:
    def start(
        folder: Path,
        *,
        settings: Mapping[str, str] = {},
        tree: Path = patched_tree,
        plugin: Path | None = plugin,
    ) -> AbstractContextManager[ProcessService]:
        write_immich_models(folder / "cache")
        models = {"IMMICH_DOGS_MODELS": str(tiny_package.path.parent)}
        return running_service(tree, upstream.python, folder, plugin=plugin, settings={**models, **settings})

    return start


@pytest.fixture(scope="session")
def service(start: StartService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessService]:
    """A patched service with the plugin."""
    with start(tmp_path_factory.mktemp("patched")) as running:
        yield running


@pytest.fixture(scope="session")
def released_service(
    start: StartService, released_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProcessService]:
    """The service as Immich released it."""
    with start(tmp_path_factory.mktemp("released"), tree=released_tree, plugin=None) as running:
        yield running


@pytest.fixture(scope="session")
def run_dog_service(tmp_path_factory: pytest.TempPathFactory) -> RunDogService:
    """Starts the newest proven release with the plugin and the models that ship."""
    upstream = require_release(NEWEST)
    tree = upstream.copy(tmp_path_factory.mktemp("trees") / "dogs", patched=True)
    plugin = install_plugin(tmp_path_factory.mktemp("install") / "plugin", upstream.python)

    @contextmanager
    def run(folder: Path, settings: Mapping[str, str] = {}) -> Iterator[ProcessService]:
        write_immich_models(folder / "cache")
        with running_service(tree, upstream.python, folder, plugin=plugin, settings=settings) as running:
            yield running

    return run


@pytest.fixture(scope="session")
def dog_service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the plugin and the models that ship, ready for dogs: the one that --service says."""
    choice = chosen_service(request.config)
    match choice.kind:
        case Kind.HTTP:
            service: AbstractContextManager[Service] = nullcontext(Service(choice.url))
        case Kind.CONTAINER:
            service = running_container(base_image_of(request.config))
        case Kind.PROCESS:
            service = request.getfixturevalue("run_dog_service")(tmp_path_factory.mktemp("dog_service"))
    with service as running:
        running.wait_until_it_answers(60)
        running.require_dogs(photo_of_a_dog())
        yield running


@pytest.fixture(scope="session")
def dog_container(request: pytest.FixtureRequest) -> ContainerService:
    """The service with the models that ship, where it is a container; else its tests are skipped, loudly."""
    choice = chosen_service(request.config)
    if choice.kind is not Kind.CONTAINER:
        _not_tested["THE CONTAINER"] = (
            f"The service of this run is another one: {choice}. Ask for it: --service container"
        )
        pytest.skip(f"the service is another one: {choice}; ask for the container with --service container")
    container: ContainerService = request.getfixturevalue("dog_service")
    return container


@pytest.fixture(scope="session")
def base_image(request: pytest.FixtureRequest, dog_container: ContainerService) -> str:
    """The image that the container's image was built on."""
    return base_image_of(request.config)


def photo_of_a_dog() -> bytes:
    return png(draw_dog(0, 0).image)
