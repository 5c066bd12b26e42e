"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
CONTINUES = "What is done so far is kept: the same command continues from there"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a new, empty file beside ``path``; it takes the place of ``path`` when the block ends without an error.

    Raises:
        OutputError: the disk is full or the folder cannot be written; an older ``path`` is left as it was.
    """
    # As tempfile.mkstemp: a name that nobody can guess, made only where nothing has it, so that no link that somebody
    # put there is followed. But with the permissions that every new file gets here, which mkstemp takes away.
    temporary = path.with_name(f".immich-dogs.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise output_error(path, error) from error
    try:
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
