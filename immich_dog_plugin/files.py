"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
CONTINUES = "What is done so far is kept: the same command continues from there"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the place of ``path`` when the block ends without an error.

    Raises:
        OutputError: the disk is full or the folder cannot be written; an older ``path`` is left as it was.
    """
    temporary = path.with_name(f".immich-dogs.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):  # the folder itself is gone or read-only: the first error says so
            temporary.unlink(missing_ok=True)


def output_error(path: Path, error: OSError) -> OutputError:
    """The error for a user out of the operating system's."""
    if error.errno in _NO_SPACE:
        return disk_full(path)
    return OutputError(
        f"{path} cannot be written ({error.strerror or error})",
        "Check its permissions, or choose another folder by --out",
    )


def disk_full(path: Path) -> OutputError:
    return OutputError(f"The disk is full: {path} cannot be written", f"Free some space. {CONTINUES}")
