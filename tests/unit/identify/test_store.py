from __future__ import annotations

import errno
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from immich_dog_plugin.errors import OutputError
from immich_dog_plugin.identify.store import Store
from immich_dog_plugin.pipeline import Dog


def _dog(keypoints: bool = True) -> Dog:
    generator = np.random.default_rng(0)
    embedding = generator.normal(size=512).astype(np.float32)
    points = generator.uniform(size=(5, 3)).astype(np.float32) if keypoints else None
    return Dog(np.array([1.5, 2, 30, 40], dtype=np.float32), 0.75, points, "face", embedding)


def test_what_is_stored_is_read_back_to_the_bit(tmp_path: Path) -> None:
    dog, faceless = _dog(), _dog(keypoints=False)
    with Store(tmp_path / "new" / "store.sqlite", "model", 0.3, 512) as store:
        photo = store.add("content", b"photo", 12, [(dog, b"first"), (faceless, b"second")])
        first, second = store.dogs(photo)
        assert store.pixels() == {photo: 12}
        assert (store.photo_thumbnail(photo), store.dog_thumbnail(second.id)) == (b"photo", b"second")
    assert (first.number, first.dog.score, first.dog.crop) == (0, 0.75, "face")
    for name in ("box", "keypoints", "embedding"):
        np.testing.assert_array_equal(getattr(first.dog, name), getattr(dog, name))
    assert second.dog.keypoints is None


def test_a_photo_is_known_only_for_the_same_model_and_least_score(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path, "model", 0.3, 512) as store:
        photo = store.add("content", b"", 0, [])
        assert store.find("content") == photo
        assert store.find("other content") is None
    for model, min_score in (("other model", 0.3), ("model", 0.4)):
        with Store(path, model, min_score, 512) as store:
            assert store.find("content") is None


def test_a_photo_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"

    def dogs() -> Iterator[tuple[Dog, bytes]]:
        yield _dog(), b""
        raise KeyboardInterrupt

    with Store(path, "model", 0.3, 512) as store:
        with pytest.raises(KeyboardInterrupt):
            store.add("content", b"", 0, dogs())
        assert store.find("content") is None


def test_a_second_run_on_one_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    for _ in range(2):  # a new store, and one of an earlier run
        with Store(path, "model", 0.3, 512) as store:
            with pytest.raises(OutputError, match=r"in use by another run, or .* no locks\. Wait until .*--out"):
                Store(path, "model", 0.3, 512)
            photo = store.add("content", b"", 0, [])
            assert store.find("content") == photo
            with store._connection:
                store._connection.execute("DELETE FROM photos")


def test_a_thread_waits_while_another_keeps_a_photo(tmp_path: Path) -> None:
    failed: list[Exception] = []

    def mark() -> None:
        try:
            with store.reading("other", "b.jpg"):
                store.add("other", b"", 0, [])
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=mark)

    def dogs() -> Iterator[tuple[Dog, bytes]]:  # asked for in the middle of the transaction
        thread.start()
        thread.join(0.2)
        yield _dog(), b""

    with Store(tmp_path / "store.sqlite", "model", 0.3, 512) as store:
        store.add("content", b"", 0, dogs())
        thread.join()
        assert failed == []
        assert None not in (store.find("content"), store.find("other"))


def test_a_mark_goes_with_its_photo_and_stays_where_the_process_dies(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path, "model", 0.3, 512) as store:
        with pytest.raises(ValueError, match="a decoder"), store.reading("failed", "a.jpg"):
            raise ValueError("a decoder")
        with store.reading("deadly", "b.jpg"):
            for file in tmp_path.iterdir():  # what a process that is killed now would leave
                shutil.copy(file, tmp_path / f"killed {file.name}")
    with Store(path, "model", 0.3, 512) as store:
        assert store.suspects == {}
    killed = tmp_path / "killed store.sqlite"
    with Store(killed, "another model", 0.5, 512) as store:
        assert store.suspects == {"deadly": "b.jpg"}
        with store.reading("deadly", "b.jpg"):
            pass
    with Store(killed, "model", 0.3, 512) as store:
        assert store.suspects == {}


def test_a_store_that_is_closed_while_a_thread_reads_accuses_no_photo(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path, "model", 0.3, 512) as store:
        reading = store.reading("slow", "a.jpg")
        reading.__enter__()
    with pytest.raises(OutputError):
        reading.__exit__(None, None, None)
    with Store(path, "model", 0.3, 512) as store:
        assert store.suspects == {}


SHARE = r"lies on a network share that knows no locks\. Choose a folder on a local disk by --out"
LOCK_ERRORS = ["IOERR_LOCK", "IOERR_RDLOCK", "IOERR_UNLOCK", "IOERR_CHECKRESERVEDLOCK", "PERM", "PROTOCOL"]


@pytest.mark.parametrize(
    ("code", "new", "message"),
    [
        *((code, new, SHARE) for code in LOCK_ERRORS for new in (True, False)),
        *((code, True, SHARE) for code in ("BUSY", "BUSY_RECOVERY", "LOCKED")),
        *((code, False, "in use by another run, or lies on a network share") for code in ("BUSY", "LOCKED")),
        *(("FULL", new, "disk is full") for new in (True, False)),
        *((code, False, "is damaged.*delete what the earlier run left") for code in ("CORRUPT", "NOTADB")),
        *((code, False, "cannot be written.*permissions") for code in ("CANTOPEN", "READONLY_DBMOVED")),
        *((code, False, "cannot be used.*Check the disk") for code in ("IOERR_READ", "IOERR_WRITE", "ERROR", None)),
    ],
)
def test_each_error_of_sqlite_names_its_cause_and_leaves_no_empty_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None, new: bool, message: str
) -> None:
    path = tmp_path / "store.sqlite"
    if not new:
        Store(path, "model", 0.3, 512).__exit__()
    before = path.read_bytes() if path.exists() else None

    class Failing(sqlite3.Connection):
        def execute(self, *_: Any) -> sqlite3.Cursor:
            error = sqlite3.OperationalError("what SQLite says")
            if code is not None:
                error.sqlite_errorname = f"SQLITE_{code}"
            raise error

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **options, factory=Failing))
    with pytest.raises(OutputError, match=message):
        Store(path, "model", 0.3, 512)
    assert (path.read_bytes() if path.exists() else None) == before
    assert [file.name for file in tmp_path.iterdir()] == ([] if new else ["store.sqlite"])


_NO_LOCKS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
static int answer(const char *name, int file, int command, void *argument) {
    if (command == F_SETLK || command == F_SETLKW) { errno = REFUSAL; return -1; }
    int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, name);
    return real(file, command, argument);
}
#define SHIM(name) int name(int file, int command, ...) { \\
    va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest); \\
    return answer(#name, file, command, argument); }
SHIM(fcntl)
SHIM(fcntl64)
"""
_OPEN = """
import sys
from pathlib import Path
from immich_dog_plugin.identify.store import Store
Store(Path(sys.argv[1]), "model", 0.3, 512).__exit__()
"""


@pytest.mark.parametrize("refusal", ["ENOLCK", "EAGAIN", "EACCES", "EINVAL", "EOPNOTSUPP"])
def test_a_share_without_locks_is_named(tmp_path: Path, refusal: str) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("a C compiler is missing: no share without locks can be played (apt-get install gcc)")
    source, library = tmp_path / "shim.c", tmp_path / "shim.so"
    source.write_text(_NO_LOCKS)
    command = [compiler, "-shared", "-fPIC", f"-DREFUSAL={getattr(errno, refusal)}", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)

    def open_store(**environment: str) -> str:
        command = [sys.executable, "-c", _OPEN, tmp_path / "out" / "store.sqlite"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stderr

    message = open_store(LD_PRELOAD=str(library)).splitlines()[-1]
    assert "OutputError" in message
    assert message.endswith("lies on a network share that knows no locks. Choose a folder on a local disk by --out")
    assert list((tmp_path / "out").iterdir()) == []
    assert open_store() == ""
    assert "network share that knows no locks" in open_store(LD_PRELOAD=str(library)).splitlines()[-1]
    assert (tmp_path / "out" / "store.sqlite").stat().st_size > 0


@pytest.mark.parametrize("column", ["box", "keypoints", "embedding"])
@pytest.mark.parametrize("size", [0, 1, 4, 5, 1000])
def test_a_store_with_a_part_of_a_dog_missing_is_damaged(tmp_path: Path, column: str, size: int) -> None:
    with Store(tmp_path / "store.sqlite", "model", 0.3, 512) as store:
        photo = store.add("content", b"", 0, [(_dog(), b"")])
        store._connection.execute(f"UPDATE dogs SET {column} = substr({column}, 1, ?)", (size,))
        if size == 1000 and column != "embedding":
            assert len(store.dogs(photo)) == 1
            return
        with pytest.raises(OutputError, match=r"damaged.*delete what the earlier run left"):
            store.dogs(photo)


def test_a_store_with_text_for_numbers_is_damaged(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite", "model", 0.3, 512) as store:
        photo = store.add("content", b"", 0, [(_dog(), b"")])
        store._connection.execute("UPDATE dogs SET box = 'four numbers'")
        with pytest.raises(OutputError, match="damaged"):
            store.dogs(photo)


def test_a_full_disk_is_named_and_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path, "model", 0.3, 512) as store:
        store.add("kept", b"", 0, [])
        # SQLite's own limit of the file's size fails in the way a full disk does.
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OutputError, match=r"disk is full.*same command continues"):
            store.add("too much", bytes(1 << 20), 0, [])
    with Store(path, "model", 0.3, 512) as store:
        assert store.find("kept") is not None
        assert store.find("too much") is None


def test_a_file_that_is_no_store_is_named_with_its_cure(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match=r"damaged.*delete what the earlier run left"):
        Store(path, "model", 0.3, 512)


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OutputError, match="another version"):
        Store(path, "model", 0.3, 512)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        Store(tmp_path / "file" / "store.sqlite", "model", 0.3, 512)
