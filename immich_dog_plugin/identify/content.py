"""The bytes of a photo's file, and every reason why they cannot be had."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import PhotoError

_MAX_FILE_BYTES = 1 << 30  # a file is read whole; no photo is larger, but a film with a photo's suffix is


def digest(path: Path) -> str:
    """sha256 of a file's bytes in hexadecimal. They are not held in memory: a photo that is known need not be.

    Raises:
        PhotoError: it is no file, too large, gone, or cannot be read.
    """
    with _explained(path):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError("the file is no regular file", "Leave it out")
        if status.st_size > _MAX_FILE_BYTES:
            raise PhotoError(f"the file has {status.st_size / 1e9:.1f} GB, more than any photo", "Leave it out")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def read(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        PhotoError: it is gone or cannot be read.
    """
    with _explained(path):
        return path.read_bytes()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if path.is_symlink():
            raise PhotoError("the link leads to no file", "Remove the link, or put its target back") from error
        raise PhotoError("the file disappeared during the run", "Start again if it should be there") from error
    except OSError as error:
        raise PhotoError(f"the file cannot be read ({error.strerror})", "Check its permissions and the disk") from error
