"""Requests that broke a promise, kept so that one command replays them."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .form import RawRequest

REPLAY = "python -m harness.abuse"
_MODELS = "models"


@dataclass(frozen=True, slots=True)
class Record:
    """One request.

    Attributes:
        request: what was sent.
        statuses: what may be answered.
        complaint: what was wrong with the answer.
        models: the folder with the model package that the request names.
    """

    request: RawRequest
    statuses: tuple[int, ...]
    complaint: str
    models: Path


def keep(folder: Path, request: RawRequest, statuses: Iterable[int], complaint: str, package: Path) -> str:
    """Write a record into ``folder``, with the model package beside it; returns the command that replays it."""
    models = folder / _MODELS
    shutil.copytree(package, models / package.name, dirs_exist_ok=True)
    file = folder / f"{hashlib.sha256(request.body).hexdigest()[:12]}.json"
    content = {
        "content_type": request.content_type,
        "body": base64.b64encode(request.body).decode(),
        "statuses": sorted(statuses),
        "complaint": complaint,
    }
    file.write_text(json.dumps(content, indent=2))
    return f"{REPLAY} {file}"


def load(file: Path) -> Record:
    content = json.loads(file.read_text())
    request = RawRequest(content["content_type"], base64.b64decode(content["body"]))
    return Record(request, tuple(content["statuses"]), content["complaint"], file.parent / _MODELS)
