"""Runs inside the service under test, whose ``PYTHONPATH`` this folder stands on. It changes no answer.

- With ``ABUSE_AUDIT``, every path that Python opens, lists, writes or removes, every address that it looks up or
  connects to and every program that it starts is appended to that file, one JSON array a line.
- The log is plain. Immich lays it out and colours it, and the source code in its tracebacks, up to half a second for
  each: a thousand of them take longer than all requests together.
"""

from __future__ import annotations

import json
import logging
import os
import sys

import rich.logging

EVENTS = (
    "open", "os.", "shutil.", "glob.glob", "tempfile.", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname",
    "subprocess.Popen", "urllib.Request",
)  # fmt: skip
# harmless, and as frequent as requests
IGNORED = ("os.putenv", "os.unsetenv", "os.fork", "os.add_dll_directory")


def listen(file: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(EVENTS) and event not in IGNORED and not isinstance(arguments[0], int):
            shown = [os.fsdecode(value) if isinstance(value, bytes) else str(value) for value in arguments]
            os.write(descriptor, json.dumps([event, *shown]).encode() + b"\n")

    sys.addaudithook(note)


def _print(handler: logging.Handler, record: logging.LogRecord) -> None:
    print(handler.format(record), flush=True)


rich.logging.RichHandler.emit = _print  # type: ignore[method-assign,assignment]
if "ABUSE_AUDIT" in os.environ:
    listen(os.environ["ABUSE_AUDIT"])
