"""Starting and ending a service process, with a stand-in for Immich's package."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from harness.service import Service, running_service
from immich_dog_plugin.contract import TASK
from immich_dog_plugin.errors import ServiceError

PYTHON = Path(sys.executable)


def write_stand_in(tree: Path, program: str) -> Path:
    (tree / "immich_ml").mkdir(parents=True)
    (tree / "immich_ml" / "__main__.py").write_text(textwrap.dedent(program))
    return tree


ANSWERS = """
    import os, subprocess, sys
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"pong")

    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print("worker", worker.pid, os.environ["MACHINE_LEARNING_CACHE_FOLDER"], flush=True)
    HTTPServer((os.environ["IMMICH_HOST"], int(os.environ["IMMICH_PORT"])), Handler).serve_forever()
"""


GUNICORN = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("answers", worker.pid, flush=True)
worker.wait()
"""
STARTS_GUNICORN = ANSWERS.replace('"import time; time.sleep(60)"', repr(GUNICORN))


def is_running(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_service_answers_and_ends_with_its_workers(tmp_path: Path) -> None:
    tree = write_stand_in(tmp_path / "tree", ANSWERS)
    with running_service(tree, PYTHON, tmp_path / "run") as service:
        worker = int(service.log.split()[1])
        assert str(service.cache) in service.log
        assert is_running(worker)
    end = time.monotonic() + 5
    while is_running(worker) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_running(worker)


def test_a_service_that_ends_at_its_start_is_reported_with_its_log(tmp_path: Path) -> None:
    tree = write_stand_in(tmp_path / "tree", "print('no module named onnx'); raise SystemExit(3)")
    with (
        pytest.raises(ServiceError, match=r"(?s)ended with exit code 3.*no module named onnx"),
        running_service(tree, PYTHON, tmp_path / "run"),
    ):
        pass


def test_a_service_that_never_answers_is_given_up_and_ended(tmp_path: Path) -> None:
    tree = write_stand_in(tmp_path / "tree", "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    with (
        pytest.raises(ServiceError, match="did not answer within 1 s"),
        running_service(tree, PYTHON, tmp_path / "run", deadline=1),
    ):
        pass
    assert not is_running(int((tmp_path / "run" / "service.log").read_text()))


def test_settings_of_the_callers_environment_do_not_reach_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MACHINE_LEARNING_WORKERS", "7")
    monkeypatch.setenv("IMMICH_DOGS_MODELS", os.devnull)
    ours = "('MACHINE_LEARNING_', 'IMMICH_DOGS_')"
    program = f"import json, os; print(json.dumps([name for name in os.environ if name.startswith({ours})]))"
    tree = write_stand_in(tmp_path / "tree", program)
    with (
        pytest.raises(ServiceError),
        running_service(tree, PYTHON, tmp_path / "run", settings={"MACHINE_LEARNING_MODEL_TTL": "5"}),
    ):
        pass
    shown = (tmp_path / "run" / "service.log").read_text().strip()
    assert sorted(json.loads(shown)) == ["MACHINE_LEARNING_CACHE_FOLDER", "MACHINE_LEARNING_MODEL_TTL"]


def test_its_workers_are_those_that_gunicorn_started(tmp_path: Path) -> None:
    tree = write_stand_in(tmp_path / "tree", STARTS_GUNICORN)
    with running_service(tree, PYTHON, tmp_path / "run") as service:
        end = time.monotonic() + 30
        while "answers" not in service.log and time.monotonic() < end:
            time.sleep(0.05)
        worker = int(service.log.split("answers")[1].split()[0])
        assert service.workers() == [worker]
        os.kill(worker, signal.SIGKILL)
        while service.workers() and time.monotonic() < end:
            time.sleep(0.05)
        assert service.workers() == []


@pytest.fixture
def answering() -> Iterator[Callable[[int, object], Service]]:
    """A service that gives every request for dogs the same answer."""
    servers: list[HTTPServer] = []

    def answering(status: int, answer: object) -> Service:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        return Service(f"http://127.0.0.1:{servers[-1].server_port}")

    yield answering
    for server in servers:
        server.shutdown()
        server.server_close()


def dogs(count: int) -> dict[str, object]:
    dog = {
        "boundingBox": {"x1": 0, "y1": 0, "x2": 8, "y2": 8},
        "score": 0.9,
        "embedding": json.dumps([1.0] + [0.0] * 511),
        "keypoints": None,
        "crop": "body",
    }
    return {TASK: [dog] * count, "imageWidth": 8, "imageHeight": 8}


def test_a_service_that_finds_the_dog_is_ready(answering: Callable[[int, object], Service]) -> None:
    assert len(answering(200, dogs(1)).require_dogs(b"a photo").dogs) == 1


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (500, "unknown task", 'HTTP 500 ("unknown task")'),
        (200, {TASK: []}, "something else (The answer breaks the contract"),
        (200, dogs(0), "finds no dog in a photo that shows one"),
    ],
)
def test_a_service_that_answers_anything_else_is_not(
    answering: Callable[[int, object], Service], status: int, answer: object, reason: str
) -> None:
    with pytest.raises(ServiceError, match=re.escape(reason)):
        answering(status, answer).require_dogs(b"a photo")


def test_a_service_that_is_not_there_is_not_ready_either() -> None:
    service = Service("http://127.0.0.1:1")
    assert not service.answers()
    with pytest.raises(ServiceError, match="did not answer a request for dogs"):
        service.require_dogs(b"a photo")
