"""Immich's ML service as a process of its own, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .service import Service

HOST = "127.0.0.1"


@dataclass(frozen=True)
class ProcessService(Service):
    """A service as a process of this machine.

    Attributes:
        cache: its model cache.
        log_file: everything it printed.
        pid: its first process, whose id is that of its process group too.
    """

    cache: Path
    log_file: Path
    pid: int

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace")

    @property
    def _cure(self) -> str:
        return f"The whole log: {self.log_file}"

    def workers(self) -> list[int]:
        """The processes that answer requests: the first process starts gunicorn, and gunicorn starts them."""
        return [worker for gunicorn in _children(self.pid) for worker in _children(gunicorn)]


@contextlib.contextmanager
def running_service(
    tree: Path,
    python: Path,
    folder: Path,
    *,
    plugin: Path | None = None,
    settings: Mapping[str, str] | None = None,
    deadline: float = 90,
) -> Iterator[ProcessService]:
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
    port, cache, log_file = _free_port(), folder / "cache", folder / "service.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "immich_ml"],
            cwd=folder,
            env=_environment(port, cache, tree, python, [plugin] if plugin else [], settings or {}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, which ends as a whole
        )
        service = ProcessService(f"http://{HOST}:{port}", cache, log_file, process.pid)

        def ended() -> str | None:
            return None if process.poll() is None else f"ended with exit code {process.returncode}"

        try:
            service.wait_until_it_answers(deadline, ended)
            yield service
        finally:
            _end(process)


def _environment(
    port: int, cache: Path, tree: Path, python: Path, plugins: Sequence[Path], settings: Mapping[str, str]
) -> dict[str, str]:
    ours = ("MACHINE_LEARNING_", "IMMICH_", "PYTHON")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {
        **inherited,
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", "")]),  # the service starts "python" again
        "PYTHONPATH": os.pathsep.join(str(path) for path in (tree, *plugins)),
        "PYTHONUNBUFFERED": "1",
        "IMMICH_HOST": HOST,
        "IMMICH_PORT": str(port),
        "NO_COLOR": "true",
        "COLUMNS": "200",  # or the log breaks its lines where a terminal would
        "MACHINE_LEARNING_CACHE_FOLDER": str(cache),
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


def _end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
    # SIGKILL also meets workers that outlived the first process; its own exit is long awaited then


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:  # it ended
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
