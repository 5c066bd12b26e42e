"""The image of ``Dockerfile.dogs``: as it runs, when its build must fail, and when a user leaves it again."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawn_dogs.photos import draw_group
from harness.service import ContainerService
from harness.service.container import DOCKERFILE, PORT, PROJECT, ROOT, docker
from immich_dog_plugin.contract import request_entries
from immich_dog_plugin.errors import ServiceError
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from immich_dog_plugin.releases import passed_releases
from tests.integration.asking import ask, assert_same_dogs, png

PHOTO = draw_group([0, 1], 0, size=(400, 300)).image
IN_CONTEXT = ("LICENSE", "pyproject.toml", "artifacts", "image", "immich_dog_plugin", "patches", DOCKERFILE.name)

CHECK = ("python", "-m", "immich_dog_plugin", "check", "/usr/src")


@pytest.fixture(scope="module")
def image(dog_container: ContainerService) -> str:
    return docker("inspect", "--format", "{{.Image}}", dog_container.container).strip()


@pytest.fixture
def cache_volume() -> Iterator[str]:
    name = docker("volume", "create").strip()
    yield name
    docker("volume", "rm", name)


@contextlib.contextmanager
def run(image: str, cache_volume: str, *options: str) -> Iterator[ContainerService]:
    where = [f"--publish=127.0.0.1::{PORT}", f"--volume={cache_volume}:/cache"]
    container = docker("run", "--detach", *where, *options, image).strip()
    try:
        address = docker("port", container, str(PORT)).splitlines()[0]
        service = ContainerService(f"http://{address}", container)
        service.wait_until_it_answers(180, service.ended)
        yield service
    finally:
        docker("rm", "--force", container)


def build(context: Path, base_image: str) -> None:
    """Build an image and remove it again."""
    tag = f"{PROJECT}:to-fail"
    arguments = ["--file", str(context / DOCKERFILE.name), "--build-arg", f"BASE_IMAGE={base_image}", "--tag", tag]
    docker("build", "--force-rm", *arguments, str(context))
    docker("rmi", tag)


def test_two_dogs_are_found_as_by_the_pipeline(dog_container: ContainerService) -> None:
    dogs = DogPipeline.open(ModelPackage.open())(PHOTO)
    assert len(dogs) == 2
    assert_same_dogs(ask(dog_container, png(PHOTO), DEFAULT_PACKAGE), dogs)


def test_the_plugins_own_check_finds_the_installation_whole(dog_container: ContainerService) -> None:
    report = docker("exec", dog_container.container, *CHECK)
    told = {part: (verdict, rest) for verdict, part, rest in (line.split(": ", 2) for line in report.splitlines())}
    assert list(told) == ["dependencies", "release", "hardware", "patch", "service", "models", DEFAULT_PACKAGE]
    # a base image may be of a release in which the plugin was not tested, and a test machine may have a GPU
    assert {part for part, (verdict, _) in told.items() if verdict != "ok"} <= {"release", "hardware"}
    assert "on CPUExecutionProvider" in told[DEFAULT_PACKAGE][1] or "/dev/" in told["hardware"][1]


def test_the_check_says_what_the_image_says_of_itself(image: str) -> None:
    def report(**settings: str) -> str:
        options = [f"--env={name}={value}" for name, value in settings.items()]
        return docker("run", "--rm", "--network=none", *options, image, *CHECK)

    assert "ok: release: Immich v3.0.3, in which" in report(
        IMMICH_SOURCE_REF="v3.0.3", IMMICH_SOURCE_COMMIT=passed_releases()["v3.0.3"]
    )
    other = report(IMMICH_SOURCE_REF="v3.9.9", IMMICH_SOURCE_COMMIT="", DEVICE="armnn")
    assert "WARNING: release: The plugin was not tested in this release, Immich v3.9.9" in other
    assert "hardware: image for armnn, which the dogs do not use; ONNX Runtime" in other


def test_the_check_ends_well_in_little_memory_of_its_own(image: str) -> None:
    assert f"ok: {DEFAULT_PACKAGE}: " in docker("run", "--rm", "--memory=400m", "--memory-swap=400m", image, *CHECK)


def test_a_photo_goes_through_the_standard_input(dog_container: ContainerService) -> None:
    predict = ["python", "-m", "immich_dog_plugin", "predict", "--url", f"http://localhost:{PORT}", "-"]
    printed = docker("exec", "--interactive", dog_container.container, *predict, text=png(PHOTO))
    assert "/dev/stdin (400 x 300): 2 dogs" in printed


@pytest.mark.parametrize(
    "options",
    [["--read-only", "--tmpfs=/tmp", "--user=1000:1000"], ["--memory=512m", "--memory-swap=512m"]],
    ids=["read-only root, another user, a cache that it may not enter", "512 MB"],
)
def test_a_container_that_is_allowed_little_answers_the_same(image: str, cache_volume: str, options: list[str]) -> None:
    docker("run", "--rm", f"--volume={cache_volume}:/cache", image, "chmod", "700", "/cache")
    with run(image, cache_volume, *options) as service:
        assert_same_dogs(ask(service, png(PHOTO), DEFAULT_PACKAGE), DogPipeline.open(ModelPackage.open())(PHOTO))
        assert service.ended() is None
        assert "SIGKILL" not in service.log


def test_what_a_killed_copy_left_goes_with_a_later_start(image: str, cache_volume: str) -> None:
    left = "/cache/dog-identification/.dogs-left"
    with run(image, cache_volume) as service:
        ask(service, png(PHOTO), DEFAULT_PACKAGE)
        docker("exec", service.container, "sh", "-c", f"mkdir {left} && touch -d '2 hours ago' {left}")
    with run(image, cache_volume) as service:
        ask(service, png(PHOTO), DEFAULT_PACKAGE)
        assert docker("exec", service.container, "ls", "-A", "/cache/dog-identification").split() == [DEFAULT_PACKAGE]


def test_immichs_own_health_check_succeeds(dog_container: ContainerService) -> None:
    docker("exec", dog_container.container, "python3", "healthcheck.py")


def test_nothing_of_immichs_environment_is_replaced(image: str, base_image: str) -> None:
    program = (
        "from importlib.metadata import distributions as d; print(*sorted({f'{x.name}=={x.version}' for x in d()}))"
    )

    def installed(image: str) -> set[str]:
        return set(docker("run", "--rm", image, "python", "-c", program).split())

    added = installed(image) ^ installed(base_image)
    assert {name.partition("==")[0] for name in added} == {"immich-dog-plugin"}


def test_entry_point_command_and_settings_stay_immichs(image: str, base_image: str) -> None:
    def configuration(image: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(docker("inspect", "--format", "{{json .Config}}", image))
        return {name: found.get(name) for name in ("Cmd", "Entrypoint", "Env", "Healthcheck", "User", "WorkingDir")}

    assert configuration(image) == configuration(base_image)


def test_a_base_image_that_the_patch_does_not_fit_fails_the_build(base_image: str) -> None:
    changed = f"{PROJECT}:changed"
    dockerfile = f"FROM {base_image}\nRUN sed -i 's/with_deps/dependent/g' /usr/src/immich_ml/main.py\n"
    docker("build", "--tag", changed, "-", text=dockerfile)
    try:
        with pytest.raises(ServiceError, match=r"(?s)does not fit /usr/src; nothing was changed.*main\.py"):
            build(ROOT, changed)
    finally:
        docker("rmi", changed)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("ENV PATH=/usr/bin:/bin", "has no Python"),
        ("USER 1000", "runs as user 1000, who may not put the plugin in"),
        (
            """RUN python -c "import importlib.metadata as m, shutil; """
            """shutil.rmtree(m.distribution('pydantic-settings').locate_file('pydantic_settings')); """
            """shutil.rmtree(m.distribution('pydantic-settings')._path)\"""",
            r"does not hold what the plugin needs: pydantic-settings>=\S+ is not installed",
        ),
    ],
    ids=["no Python", "another user", "a package is missing"],
)
def test_a_wrong_base_image_fails_the_build_in_words(base_image: str, line: str, cause: str) -> None:
    wrong = f"{PROJECT}:wrong"
    docker("build", "--tag", wrong, "-", text=f"FROM {base_image}\n{line}\n")
    try:
        with pytest.raises(ServiceError, match=f"The base image {wrong} {cause}"):
            build(ROOT, wrong)
    finally:
        docker("rmi", wrong)


def test_a_corrupt_model_fails_the_build(base_image: str, tmp_path: Path) -> None:
    for name in IN_CONTEXT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    model = tmp_path / "artifacts" / DEFAULT_PACKAGE / "recognition" / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(ServiceError, match=r"recognition/model\.onnx is corrupted"):
        build(tmp_path, base_image)


def test_a_cache_of_before_serves_on_and_the_official_image_runs_with_it(
    image: str, base_image: str, cache_volume: str
) -> None:
    with run(image, cache_volume) as service:
        fresh = ask(service, png(PHOTO), DEFAULT_PACKAGE)
    with run(image, cache_volume) as service:
        assert ask(service, png(PHOTO), DEFAULT_PACKAGE) == fresh
        assert docker("exec", service.container, "ls", "/cache").split() == ["dog-identification"]
    with run(base_image, cache_volume) as service:
        assert service.answers()
        assert service.predict(request_entries(DEFAULT_PACKAGE), image=png(PHOTO)).status_code != 200
        assert docker("exec", service.container, "ls", "/cache").split() == ["dog-identification"]
