"""Immich's ML service as a user installs it: the image of ``Dockerfile.dogs``, started by Compose."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from immich_dog_plugin.errors import MissingPackageError, ServiceError

from .service import Service

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile.dogs"
COMPOSE_FILES = (ROOT / "docker-compose.dogs.yml", Path(__file__).with_name("docker-compose.yml"))
SERVICE, PORT = "immich-machine-learning", 3003
# A pinned name finds what a killed run left behind; each checkout has its own.
PROJECT = f"immich-dogs-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
LOCK = ROOT / "vendor" / "container.lock"


@dataclass(frozen=True)
class ContainerService(Service):
    """A service in a container of this machine.

    Attributes:
        container: its id.
    """

    container: str

    @property
    def log(self) -> str:
        return docker("logs", self.container)

    @property
    def _cure(self) -> str:
        return "Build and run it by hand as the README's section 'Install into a real Immich' says"

    def ended(self) -> str | None:
        """How it ended, or ``None`` while it runs."""
        running, code = docker("inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", self.container).split()
        return None if running == "true" else f"ended with exit code {code}"


@contextlib.contextmanager
def running_container(base_image: str, deadline: float = 180) -> Iterator[ContainerService]:
    """Build the image and start it with an empty cache volume; container and volume go at the end, the image stays.

    Args:
        base_image: an image of Immich's ML service; Docker pulls it if it is not on this machine.
        deadline: seconds until the started container must answer.

    Raises:
        MissingPackageError: pytest-docker is not installed.
        ServiceError: no Docker, the build fails, or the service does not answer; with what was printed.
    """
    try:
        from pytest_docker.plugin import DockerComposeExecutor, get_docker_services
    except ImportError as error:
        raise MissingPackageError("pytest-docker", "Starting the container") from error
    compose = compose_command()
    if compose is None:
        raise ServiceError("There is no Docker Compose", "Install Docker with its Compose plugin")
    variables = {
        "HARNESS_BASE_IMAGE": base_image,
        "HARNESS_PROJECT": PROJECT,
        "IMMICH_DOGS_CHECKOUT": str(ROOT),
        "IMMICH_VERSION": "that-of-the-base-image",  # docker-compose.dogs.yml refuses to be read without one
    }
    command = shlex.join(["env", *(f"{name}={value}" for name, value in variables.items()), *compose])
    files, down = [str(file) for file in COMPOSE_FILES], "down -v"
    executor = DockerComposeExecutor(command, files, PROJECT)
    with _alone(), contextlib.ExitStack() as stack:
        stack.callback(executor.execute, down)  # pytest-docker's own clean-up leaves lying what fails at its start
        try:
            services = stack.enter_context(
                get_docker_services(command, files, PROJECT, docker_setup=[down, "up --build -d"], docker_cleanup=[])
            )
            port = services.port_for(SERVICE, PORT)
            container = executor.execute(f"ps -q {SERVICE}").decode().strip()
        except Exception as error:  # pytest-docker raises nothing narrower
            raise ServiceError(f"The container cannot be started: {error}", "Read what Docker says above") from error
        service = ContainerService(f"http://127.0.0.1:{port}", container)
        service.wait_until_it_answers(deadline, service.ended)
        yield service


def default_base_image() -> str:
    """The base image that ``Dockerfile.dogs`` names."""
    (image,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    return str(image)


def compose_command() -> list[str] | None:
    """Compose v2 where it is installed, else v1, else nothing."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if _succeeds([*command, "version"]):
            return command
    return None


def missing_for_container(base_image: str) -> str | None:
    """What keeps the container from being started here without a download, and how to get it; ``None`` if nothing."""
    if importlib.util.find_spec("pytest_docker") is None:
        return "pytest-docker is not installed (pip install pytest-docker)"
    if not _succeeds(["docker", "version"]):
        return "Docker does not answer (see: docker version)"
    if compose_command() is None:
        return "Docker Compose is not installed"
    if not _succeeds(["docker", "image", "inspect", base_image]):
        return f"its base image is not on this machine (docker pull {base_image})"
    try:
        with _alone():
            return None
    except ServiceError as error:
        return error.cause


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the project's name: a second run would take down the first one's container."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError(
                "another test run of this checkout has the container", "Wait for its end, or use --service process"
            ) from error
        yield


def _succeeds(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def docker(*arguments: str, text: str | bytes | None = None) -> str:
    """What a command of Docker prints, given ``text`` as its input.

    Raises:
        ServiceError: it fails; with what it printed.
    """
    given = text.encode() if isinstance(text, str) else text
    done = subprocess.run(
        ["docker", *arguments], input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    printed = done.stdout.decode(errors="replace")
    if done.returncode:
        raise ServiceError(f"docker {shlex.join(arguments)} failed:\n{printed}", "Read what Docker says above")
    return printed
