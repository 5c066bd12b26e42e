"""A process that dies while it reads a photo: the next run gets past it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from immich_dog_plugin.cli import main
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.scan import STORE

from .conftest import WritePhoto

Call = Callable[..., int]

# As the kernel does it that is out of memory: no exception, no clean-up. By then the other photos in work are done.
_DYING_RUN = """
import os, signal, sys, time
from immich_dog_plugin.cli import main
from immich_dog_plugin.identify import analyse

poison, others, *arguments = sys.argv[1:]
open_photo, read = analyse.open_photo, []

def deadly(content, name):
    if content == open(poison, "rb").read():
        while len(read) < int(others):
            time.sleep(0.01)
        time.sleep(0.5)  # those that were read are analysed
        os.kill(os.getpid(), signal.SIGKILL)
    image = open_photo(content, name)
    read.append(image.width)
    return image

analyse.open_photo = deadly
main(arguments)
"""


@pytest.fixture
def arguments(photos: Path, tmp_path: Path, tiny_package: ModelPackage) -> list[str]:
    return ["identify", str(photos), "--out", str(tmp_path / "out"), "--model", str(tiny_package.path)]


@pytest.fixture
def die(arguments: list[str]) -> Callable[..., None]:
    """Runs the command in a process that is killed while it reads ``poison``, after it has read ``others`` photos."""

    def run_and_die(poison: Path, others: int, *options: str) -> None:
        command = [sys.executable, "-c", _DYING_RUN, str(poison), str(others), *arguments, *options]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr

    return run_and_die


def _marks(out: Path) -> list[str]:
    with closing(sqlite3.connect(out / STORE)) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM reading")]


def test_a_photo_that_a_run_died_over_is_left_out_and_named_until_retry(
    die: Callable[..., None],
    arguments: list[str],
    write_photo: WritePhoto,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number in range(5):
        write_photo(f"{number}.png", shade=number)
    poison = write_photo("2.png", shade=2)
    write_photo("copy of 2.png", shade=2)
    die(poison, 4, "--workers", "3")

    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "4 photos read" in printed
    assert int(printed.split("analysed now, ")[1].split()[0]) >= 1  # what was done is kept
    words = "it was being read when an earlier run died, so it was left out. With --retry it is tried again"
    assert [line for line in printed.splitlines() if "Failed" in line] == [
        f"Failed: 2.png: {words}",
        f"Failed: copy of 2.png: {words}",
    ]
    assert _marks(tmp_path / "out") == ["2.png"]  # it stays out, however many runs ask

    assert main([*arguments, "--retry"]) == 0
    printed = capsys.readouterr().out
    assert "6 photos read: 1 analysed now, 4 known from before, 1 identical to another" in printed
    assert "Failed" not in printed
    assert _marks(tmp_path / "out") == []


@pytest.fixture
def as_in_a_terminal() -> Iterator[None]:
    """Signals as a terminal leaves them: who runs the tests under nohup or in the background has some ignored."""
    usual = {signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_in_a_terminal")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_run_that_is_told_to_stop_accuses_no_photo(
    arguments: list[str],
    write_photo: WritePhoto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stop: signal.Signals,
) -> None:
    from immich_dog_plugin.identify import analyse

    for number in range(4):
        write_photo(f"{number}.png", shade=number)
    open_photo, stops = analyse.open_photo, [stop]

    def stopping(content: bytes, name: str) -> object:
        if stops:
            os.kill(os.getpid(), stops.pop())
        return open_photo(content, name)

    before = signal.getsignal(stop)
    monkeypatch.setattr(analyse, "open_photo", stopping)
    assert main(arguments) == 130
    assert "the same command continues" in capsys.readouterr().err
    assert signal.getsignal(stop) == before
    assert _marks(tmp_path / "out") == []
    monkeypatch.setattr(analyse, "open_photo", open_photo)
    assert main(arguments) == 0
    assert "Failed" not in capsys.readouterr().out
