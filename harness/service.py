"""Immich's ML service as a process of its own, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import requests

from immich_dog_plugin.errors import ServiceError

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Service:
    """A service that answers.

    Attributes:
        url: where it listens, without a slash at the end.
        cache: its model cache.
        log_file: everything it printed.
    """

    url: str
    cache: Path
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace")

    def predict(
        self, entries: Mapping[str, Any] | str, *, image: bytes | None = None, text: str | None = None
    ) -> requests.Response:
        """Send one request as Immich's server does; ``entries`` as a string goes as it is, valid or not."""
        # (None, value) is a form field: a request without an image must be multipart too
        form: dict[str, Any] = {"entries": (None, entries if isinstance(entries, str) else json.dumps(entries))}
        if text is not None:
            form["text"] = (None, text)
        if image is not None:
            form["image"] = image
        return requests.post(f"{self.url}/predict", files=form, timeout=60)


@contextlib.contextmanager
def running_service(
    tree: Path,
    python: Path,
    folder: Path,
    *,
    plugin: Path | None = None,
    settings: Mapping[str, str] | None = None,
    deadline: float = 90,
) -> Iterator[Service]:
    """Start ``python -m immich_ml``, wait until it answers, and end it with all its workers.

    Args:
        tree: the folder that holds ``immich_ml``.
        python: the interpreter of an environment with the service's dependencies.
        folder: where its cache and its log go.
        plugin: a folder that the plugin is installed in; without it the service knows no plugin.
        settings: further environment variables, such as ``MACHINE_LEARNING_MODEL_TTL``.
        deadline: seconds until it must answer.

    Raises:
        ServiceError: it ended or did not answer in time; with the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    service = Service(f"http://{HOST}:{_free_port()}", folder / "cache", folder / "service.log")
    with service.log_file.open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "immich_ml"],
            cwd=folder,
            env=_environment(service, tree, python, [plugin] if plugin else [], settings or {}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, which ends as a whole
        )
        try:
            _wait_until_it_answers(service, process, deadline)
            yield service
        finally:
            _end(process)


def _environment(
    service: Service, tree: Path, python: Path, plugins: Sequence[Path], settings: Mapping[str, str]
) -> dict[str, str]:
    ours = ("MACHINE_LEARNING_", "IMMICH_", "PYTHON")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {
        **inherited,
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", "")]),  # the service starts "python" again
        "PYTHONPATH": os.pathsep.join(str(path) for path in (tree, *plugins)),
        "PYTHONUNBUFFERED": "1",
        "IMMICH_HOST": HOST,
        "IMMICH_PORT": service.url.rpartition(":")[2],
        "NO_COLOR": "true",
        "COLUMNS": "200",  # or the log breaks its lines where a terminal would
        "MACHINE_LEARNING_CACHE_FOLDER": str(service.cache),
        "HF_HUB_OFFLINE": "1",  # a model that is not in the cache fails at once
        "GUNICORN_CMD_ARGS": _gunicorn_arguments(python),
        **settings,
    }


@cache
def _gunicorn_arguments(python: Path) -> str:
    """What keeps a release's gunicorn from hanging at its start.

    That of Immich 2.7 (25.1) now and then does: it forks the worker while the thread of its control socket runs.
    Immich 3 turns the socket off, and so do we wherever there is one.
    """
    shown = subprocess.run([python, "-m", "gunicorn", "--help"], capture_output=True, text=True, check=False).stdout
    return "--no-control-socket" if "--no-control-socket" in shown else ""


def _wait_until_it_answers(service: Service, process: subprocess.Popen[bytes], deadline: float) -> None:
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if process.poll() is not None:
            raise _no_answer(service, f"ended with exit code {process.returncode}")
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{service.url}/ping", timeout=5).text == "pong":
                return
        time.sleep(0.2)
    raise _no_answer(service, f"did not answer within {deadline:.0f} s")


def _no_answer(service: Service, what: str) -> ServiceError:
    tail = "\n".join(service.log.splitlines()[-30:])
    return ServiceError(f"The service {what}; its log ends with:\n{tail}", f"The whole log: {service.log_file}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
    # SIGKILL also meets workers that outlived the first process; its own exit is long awaited then


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
