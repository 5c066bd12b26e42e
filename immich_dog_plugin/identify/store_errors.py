"""SQLite's errors as a user can act on them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ..errors import OutputError
from ..files import CONTINUES, disk_full

# By the name of the error code. Taking a lock, SQLite turns what fcntl answers on a share without locks into these: a
# lock that cannot be had for now (ENOLCK, EAGAIN, EACCES) is "busy" like one that another process holds.
_HELD = ("SQLITE_BUSY", "SQLITE_LOCKED")
_NO_LOCKS = (
    "SQLITE_PERM",
    "SQLITE_PROTOCOL",
    "SQLITE_IOERR_LOCK",
    "SQLITE_IOERR_RDLOCK",
    "SQLITE_IOERR_UNLOCK",
    "SQLITE_IOERR_CHECKRESERVEDLOCK",
    "SQLITE_IOERR_BLOCKED",
)
_SHARE = "a network share that knows no locks"
_LOCAL = "choose a folder on a local disk by --out"


def store_error(path: Path, error: sqlite3.Error, *, new: bool) -> OutputError:
    """The error for a user out of SQLite's.

    Args:
        path: the store.
        error: what SQLite says.
        new: this run has just made the store and nobody wrote to it, so that no other run can hold it.
    """
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        return disk_full(path)
    if name.startswith(_NO_LOCKS) or (new and name.startswith(_HELD)):
        return OutputError(f"{path} cannot be locked ({error}): it lies on {_SHARE}", _LOCAL.capitalize())
    if name.startswith(_HELD):
        return OutputError(
            f"{path} is in use by another run, or lies on {_SHARE}",
            f"Wait until the other run ends. Where there is none, {_LOCAL}",
        )
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return damaged(path, str(error))
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
        return OutputError(
            f"{path} cannot be written ({error})", "Check its permissions, or choose another folder by --out"
        )
    return OutputError(f"{path} cannot be used ({error})", f"Check the disk. {CONTINUES}")


def damaged(path: Path, reason: str) -> OutputError:
    """What the store holds is not what a store holds."""
    return OutputError(f"{path} is damaged or no store of immich-dogs ({reason})", start_anew(path))


def start_anew(path: Path) -> str:
    """The cure for a store that cannot be used."""
    return f"Choose another folder by --out, or delete what the earlier run left in {path.parent}"
