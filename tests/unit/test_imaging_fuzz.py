from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from harness import fuzz
from immich_dog_plugin.errors import PhotoError


@settings(max_examples=3000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(fuzz.photos())
def test_whatever_a_file_holds_it_is_read_or_refused(content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", str(fuzz.MAX_MEGAPIXELS))
        fuzz.check(content)


def test_the_memory_that_damaged_files_take_is_bounded(tmp_path: Path) -> None:
    # In a process of its own: the peak of this one is that of other tests.
    result = subprocess.run(
        [sys.executable, "-m", "harness.fuzz", "--minutes", "0.1", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no promise broken" in result.stdout, result.stderr


def test_the_check_notices_an_exception_and_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = fuzz.photo("PNG", "RGB", b"", False)
    fuzz.check(photo)

    def damaged(*_: object) -> None:
        raise PhotoError("x\ny", "z")

    def program(*_: object) -> None:
        subprocess.run([sys.executable, "-c", ""], check=True)
        raise PhotoError("x", "z")

    def fault(*_: object) -> None:
        raise RuntimeError

    for reader, error in ((damaged, fuzz.FuzzError), (program, fuzz.FuzzError), (fault, RuntimeError)):
        monkeypatch.setattr(fuzz, "open_photo", reader)
        with pytest.raises(error):
            fuzz.check(photo)
    with pytest.raises(RuntimeError):
        fuzz.check(photo, baseline_mb=-10_000)
