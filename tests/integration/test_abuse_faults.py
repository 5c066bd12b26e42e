"""What happens to the service, its cache and its disk while it runs: it recovers, or it says why it cannot."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from harness.service import ProcessService, Service
from immich_dog_plugin.contract import TASK, check_answer, request_entries
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import Dog, DogPipeline
from tests.broken_packages import flip_a_bit, truncate
from tests.integration.asking import ask, assert_same_dogs, png
from tests.integration.conftest import NEWEST, StartService
from tests.integration.test_model_cache import DAMAGES
from tests.integration.waiting import wait_for
from tests.tiny_package import red_dog_photo

pytestmark = pytest.mark.parametrize("upstream", [NEWEST], indirect=True)

TINY = "tiny-v1"
PHOTO = red_dog_photo([(16, 48, 96, 128)])
IMAGE = png(PHOTO)
FREE = 64 * 1024  # bytes that the full disk has left: less than any model
UNLOADS = {"MACHINE_LEARNING_MODEL_TTL": "1", "MACHINE_LEARNING_MODEL_TTL_POLL_S": "1"}


@pytest.fixture(scope="module")
def dogs(tiny_pipeline: DogPipeline) -> list[Dog]:
    return tiny_pipeline(PHOTO)


def write_packages(folder: Path, package: ModelPackage, names: list[str]) -> dict[str, str]:
    """Copies of a package by other names, as packages that came with the plugin; returns the setting for them."""
    for name in names:
        shutil.copytree(package.path, folder / name)
    return {"IMMICH_DOGS_MODELS": str(folder)}


def reason(service: Service, name: str, status: int) -> str:
    """Why the service refuses."""
    response = service.predict(request_entries(name), image=IMAGE)
    assert response.status_code == status, response.text
    return str(response.json()["detail"])


# --- the worker ---


def test_a_killed_worker_is_replaced_and_no_answer_is_wrong(
    start: StartService, tmp_path: Path, dogs: list[Dog]
) -> None:
    with start(tmp_path) as service:
        ask(service, IMAGE, TINY)
        killed = service.workers()
        stop, answered = threading.Event(), []

        def keep_asking() -> None:
            while not stop.is_set():
                with contextlib.suppress(requests.ConnectionError):  # those that the killed worker took along
                    answered.append((ask(service, IMAGE, TINY), service.workers()))

        with ThreadPoolExecutor(8) as pool:
            clients = [pool.submit(keep_asking) for _ in range(8)]
            time.sleep(0.5)
            os.kill(killed[0], signal.SIGKILL)
            try:
                wait_for(lambda: sum(bool(workers) and workers != killed for _, workers in answered) >= 50)
            finally:
                stop.set()
            for client in clients:
                client.result()
        for answer, _ in answered:
            assert_same_dogs(answer, dogs)


def test_a_worker_that_is_killed_while_it_copies_a_package_leaves_nothing_behind(
    start: StartService, tmp_path: Path, tiny_package: ModelPackage, dogs: list[Dog]
) -> None:
    models = tmp_path / "models"
    settings = write_packages(models, tiny_package, [TINY])
    (models / TINY / "notes").write_bytes(bytes(200_000_000))  # to be caught while it copies
    with start(tmp_path / "run", settings=settings) as service, ThreadPoolExecutor(1) as pool:
        task_folder = service.cache / TASK
        asked = pool.submit(service.predict, request_entries(TINY), image=IMAGE)
        wait_for(lambda: any(task_folder.glob(".dogs-*/new/notes")), pause=0)
        os.kill(service.workers()[0], signal.SIGKILL)
        with pytest.raises(requests.ConnectionError):
            asked.result()
        assert not (task_folder / TINY).exists()
        (left,) = task_folder.glob(".dogs-*")
        hours_ago = time.time() - 2 * 3600
        os.utime(left, (hours_ago, hours_ago))
        wait_for(service.answers)
        assert_same_dogs(ask(service, IMAGE, TINY), dogs)
        assert [entry.name for entry in task_folder.iterdir()] == [TINY]


def test_clients_that_go_away_or_say_nothing_hold_up_nobody(
    start: StartService, tmp_path: Path, dogs: list[Dog]
) -> None:
    with start(tmp_path) as service, contextlib.ExitStack() as connections:
        workers = service.workers()
        host, port = service.url.removeprefix("http://").split(":")
        beginning = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        for number in range(100):
            client = connections.enter_context(socket.create_connection((host, int(port))))
            client.sendall((b"", beginning, beginning + b"Content-Length: 9999\r\n\r\n--x\r\n")[number % 3])
            if number % 2:
                client.close()
        for _ in range(10):
            assert_same_dogs(ask(service, IMAGE, TINY), dogs)
        assert service.workers() == workers


@pytest.mark.parametrize(("damaged", "workers"), [(False, 1), (True, 1), (True, 2)])
def test_64_clients_at_once_all_get_their_dogs_from_a_service_that_just_started(
    start: StartService,
    tmp_path: Path,
    tiny_package: ModelPackage,
    tiny_pipeline: DogPipeline,
    damaged: bool,
    workers: int,
) -> None:
    if damaged:
        shutil.copytree(tiny_package.path, tmp_path / "cache" / TASK / TINY)
        truncate(tmp_path / "cache" / TASK / TINY)
        flip_a_bit(tmp_path / "cache" / TASK / TINY)
    photos = [red_dog_photo([(x, 40, x + 72, 112)], (160 + x, 120 + x)) for x in range(64)]
    together = threading.Barrier(64)
    with start(tmp_path, settings={"MACHINE_LEARNING_WORKERS": str(workers)}) as service:
        wait_for(lambda: service.log.count("Application startup complete") == workers, 60)

        def one(number: int) -> requests.Response:
            together.wait()
            return service.predict(request_entries(TINY), image=png(photos[number]))

        with ThreadPoolExecutor(64) as pool:
            responses = list(pool.map(one, range(64)))
        assert [response.status_code for response in responses] == [200] * 64, service.log[-3000:]
        again = [ask(service, png(photo), TINY) for photo in photos[::16]]
    for response, photo in zip(responses, photos, strict=True):
        assert_same_dogs(check_answer(response.content), tiny_pipeline(photo))
    for answer, photo in zip(again, photos[::16], strict=True):
        assert_same_dogs(answer, tiny_pipeline(photo))


# --- the models ---


def lose_all(package: Path) -> None:
    shutil.rmtree(package)


def become_a_file(package: Path) -> None:
    shutil.rmtree(package)
    package.write_bytes(b"not a folder")


def garble_its_origin(package: Path) -> None:
    (package / ".from-plugin").write_bytes(b"\xff\xfe")


CACHE_DAMAGES: tuple[Callable[[Path], None], ...] = (*DAMAGES, lose_all, become_a_file, garble_its_origin)


def test_models_that_break_while_the_service_runs_answer_on_and_heal_when_they_are_loaded_again(
    start: StartService, tmp_path: Path, tiny_package: ModelPackage, dogs: list[Dog]
) -> None:
    names = [damage.__name__ for damage in CACHE_DAMAGES]
    settings = write_packages(tmp_path / "models", tiny_package, names) | UNLOADS
    with start(tmp_path / "run", settings=settings) as service:
        cache = service.cache / TASK

        def ask_all() -> None:
            for name in names:
                assert_same_dogs(ask(service, IMAGE, name), dogs)

        def damage_all() -> None:
            for damage in CACHE_DAMAGES:
                damage(cache / damage.__name__)

        ask_all()
        damage_all()  # after they were loaded
        ask_all()
        wait_for_unload(service, 1)
        ask_all()
        for name in names:
            assert ModelPackage.open(cache / name).fingerprint == tiny_package.fingerprint
        wait_for_unload(service, 2)
        damage_all()  # between unloading and loading again
        ask_all()
        wait_for_unload(service, 3)
        shutil.rmtree(service.cache)
        ask_all()
        assert sorted(entry.name for entry in cache.iterdir()) == sorted(names)


def wait_for_unload(service: ProcessService, times: int) -> None:
    """Wait until the idle service gave its models up so many times and is there again."""
    wait_for(lambda: service.log.count("Shutting down due to inactivity") == times)
    wait_for(lambda: service.log.count("Application startup complete") == times + 1, 60)
    wait_for(service.answers)


@pytest.fixture(scope="module")
def service_for_own(start: StartService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessService]:
    """A service for packages of the user's own, which the plugin cannot replace."""
    with start(tmp_path_factory.mktemp("own")) as running:
        yield running


def put_own(service: ProcessService, package: ModelPackage, name: str) -> Path:
    own = service.cache / TASK / name
    shutil.copytree(package.path, own)
    return own


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage.__name__ != "lose_the_manifest"])
def test_why_an_own_package_cannot_be_loaded_is_said_every_time_until_it_is_put_back(
    service_for_own: ProcessService, tiny_package: ModelPackage, dogs: list[Dog], damage: Callable[[Path], None]
) -> None:
    own = put_own(service_for_own, tiny_package, f"own-{damage.__name__}")
    damage(own)
    left = contents(own)
    reasons = {reason(service_for_own, own.name, 500) for _ in range(4)}
    assert len(reasons) == 1
    assert str(own) in reasons.pop()
    assert contents(own) == left
    shutil.rmtree(own)
    assert TINY in reason(service_for_own, own.name, 422)
    put_own(service_for_own, tiny_package, own.name)
    assert_same_dogs(ask(service_for_own, IMAGE, own.name), dogs)


def no_graph(package: Path) -> None:
    model, manifest = package / "keypoint" / "model.onnx", package / "manifest.json"
    model.write_bytes(b"no graph")
    content = json.loads(manifest.read_text())
    content["keypoint"]["sha256"] = hashlib.sha256(b"no graph").hexdigest()
    manifest.write_text(json.dumps(content))


def another_input(package: Path) -> None:
    manifest = package / "manifest.json"
    content = json.loads(manifest.read_text())
    content["detection"]["input"]["name"] = "pixels"
    manifest.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "said"), [(no_graph, "cannot be loaded"), (another_input, "promises the input 'pixels'")]
)
def test_an_own_package_that_is_whole_but_cannot_run_is_named_and_kept(
    service_for_own: ProcessService, tiny_package: ModelPackage, spoil: Callable[[Path], None], said: str
) -> None:
    own = put_own(service_for_own, tiny_package, f"own-{spoil.__name__}")
    spoil(own)
    left = contents(own)
    for _ in range(3):
        assert said in reason(service_for_own, own.name, 500)
    assert contents(own) == left


def test_a_folder_of_models_that_went_away_is_named_by_its_setting(
    start: StartService, tmp_path: Path, tiny_package: ModelPackage, dogs: list[Dog]
) -> None:
    models = tmp_path / "models"
    settings = write_packages(models, tiny_package, [TINY, "later-v1"])
    with start(tmp_path / "run", settings=settings) as service:
        assert_same_dogs(ask(service, IMAGE, TINY), dogs)
        models.rename(tmp_path / "elsewhere")
        assert_same_dogs(ask(service, IMAGE, TINY), dogs)
        assert "IMMICH_DOGS_MODELS" in reason(service, "later-v1", 500)
        (tmp_path / "elsewhere").rename(models)
        assert_same_dogs(ask(service, IMAGE, "later-v1"), dogs)


# --- the disk ---


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[ProcessService], None]]:
    """A file system of its own for the dogs' part of the cache; yields how it is emptied of what fills it."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={FREE // 1024}k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk: {done.stderr.strip()}; run the tests as root, or in a container with SYS_ADMIN")
    try:
        yield lambda _: subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def small_files(_: Path) -> Iterator[Callable[[ProcessService], None]]:
    """Writing fails as soon as a file is too large; see ``limit_files``."""
    yield lambda service: limit_files(service, resource.RLIM_INFINITY)


def limit_files(service: ProcessService, size: int) -> None:
    for worker in service.workers():
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.parametrize("full", [small_disk, small_files])
def test_a_full_disk_costs_no_answer_and_is_forgotten_once_there_is_room(
    start: StartService,
    tmp_path: Path,
    tiny_package: ModelPackage,
    dogs: list[Dog],
    full: Callable[[Path], contextlib.AbstractContextManager[Callable[[ProcessService], None]]],
) -> None:
    settings = write_packages(tmp_path / "models", tiny_package, [TINY, "later-v1"])
    cache = tmp_path / "run" / "cache" / TASK
    with full(cache) as make_room, start(tmp_path / "run", settings=settings) as service:
        if full is small_files:
            limit_files(service, FREE)
        assert_same_dogs(ask(service, IMAGE, TINY), dogs)
        assert "The dog models cannot be put into" in service.log
        assert list(cache.iterdir()) == []
        make_room(service)
        assert_same_dogs(ask(service, IMAGE, "later-v1"), dogs)
        assert [entry.name for entry in cache.iterdir()] == ["later-v1"]
