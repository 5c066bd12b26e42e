"""What the patched service must answer to a form: Immich's rules for forms, and the plugin's promises for its own task.

Written from the rules, not from the code under test: FastAPI resolves ``entries`` before the other fields, the last of
several fields of one name counts, JSON is read by orjson, entries run in waves. Where Immich itself answers 500, the
expectation holds a request that shows it on a service without the plugin.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from immich_dog_plugin.contract import TASK

from .form import Form, Part, RawRequest

FACE_TASK, FACE_MODEL = "facial-recognition", "buffalo_l"
DOG_TYPES = {"detection": (), "keypoint": ("detection",), "recognition": ("detection", "keypoint")}
FACE_TYPES = {"detection": (), "recognition": ("detection",)}
# Immich hands the options on as keyword arguments of functions that have parameters of these names.
TAKEN_BY_THE_CACHE = ("self", "model_name", "model_type", "model_task", "ttl")
TAKEN_BY_RUN = ("func",)
MAX_FIELD = 1 << 20  # bytes of a part that is no file
MAX_FIELDS = 1000

Entries = list[tuple[str, str, Any]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an answer with status 200 must hold.

    Attributes:
        photo: which of the known photos was sent; ``None`` for a text.
        stages: of the dog task, those that the request asked for.
        min_score: the detector's, ``None`` for the manifest's.
        faces: whether Immich's own face recognition was asked for too.
    """

    photo: int | None
    stages: frozenset[str]
    min_score: float | None
    faces: bool


@dataclass(frozen=True, slots=True)
class Expectation:
    """What may be answered.

    Attributes:
        statuses: the HTTP status is one of them.
        wanted: at status 200.
        shown_by: at status 500, a request that Immich's own service answers with 500 too.
    """

    statuses: frozenset[int]
    wanted: Wanted | None = None
    shown_by: RawRequest | None = None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known about the service that the forms are sent to.

    Attributes:
        photos: PNG files.
        models: names by which a request reaches a dog model package.
    """

    photos: Sequence[bytes]
    models: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Upload:
    content: bytes


@dataclass(slots=True)
class _RefusedError(Exception):
    """The first thing in a request that ends it."""

    status: int
    shown_by: Form | None = field(default=None)


def expect(form: Form, known: Knowledge) -> Expectation:
    """What the service must answer to a form."""
    try:
        wanted = _answer(form, known)
    except _RefusedError as refused:
        shown_by = refused.shown_by
        if shown_by is not None and all(part.name != "image" for part in shown_by.parts):
            shown_by = Form((*shown_by.parts, Part("image", known.photos[0], "image")))  # to get as far as the fault
        return Expectation(frozenset({refused.status}), shown_by=None if shown_by is None else shown_by.encode())
    return Expectation(frozenset({200}), wanted)


def _answer(form: Form, known: Knowledge) -> Wanted:
    fields = _fields(form)
    text = fields.get("entries", "")
    if isinstance(text, _Upload) or not text:
        raise _RefusedError(422)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _RefusedError(500, form)  # FastAPI answers 422, repeats the text in it, and cannot encode that
    entries = _entries(text, known.models)
    if isinstance(fields.get("text"), _Upload):
        raise _RefusedError(422)
    photo = _photo(fields, known.photos)
    return _run(entries, photo)


def _fields(form: Form) -> Mapping[str, str | _Upload]:
    """The form as Starlette reads it."""
    if sum(part.filename is None for part in form.parts) > MAX_FIELDS:
        raise _RefusedError(400)
    fields: dict[str, str | _Upload] = {}
    for part in form.parts:
        if part.filename is None and len(part.content) > MAX_FIELD:
            raise _RefusedError(400)
        is_file = part.filename is not None
        value = _Upload(part.content) if is_file else _decoded(part.content, form.charset)
        fields[_decoded(part.name.encode(), form.charset)] = value
    return fields


def _decoded(content: bytes, charset: str | None) -> str:
    try:
        return content.decode(charset or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return content.decode("latin-1")
    except UnicodeError:  # what only a few codecs raise
        raise _RefusedError(400) from None


def _entries(text: str, models: frozenset[str]) -> Entries:
    """Task, type and options of each entry, as Immich reads them: the first fault ends it."""
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _RefusedError(422) from None
    if not isinstance(request, dict):
        raise _RefusedError(422)
    entries: Entries = []
    for task, types in request.items():
        if not isinstance(types, dict):
            raise _RefusedError(422)
        for model_type, entry in types.items():
            if not isinstance(entry, dict):
                raise _immichs_own({FACE_TASK: {"detection": entry}})
            if not isinstance(entry.get("modelName"), str):
                raise _RefusedError(422)
            _require_model(task, model_type, entry["modelName"], models)
            entries.append((task, model_type, entry.get("options", {})))
    return entries


def _require_model(task: str, model_type: str, name: str, models: frozenset[str]) -> None:
    if task == TASK and model_type in DOG_TYPES:
        if name not in models:
            raise _RefusedError(422)
    elif not (task == FACE_TASK and model_type in FACE_TYPES and name == FACE_MODEL):
        # the type may be one that only the patch knows, but Immich has no model of it either
        raise _immichs_own({task if task != TASK else FACE_TASK: {model_type: {"modelName": name}}})


def _photo(fields: Mapping[str, str | _Upload], photos: Sequence[bytes]) -> int | None:
    """Which photo is asked about, ``None`` for a text."""
    image = fields.get("image", "")
    if isinstance(image, _Upload) and image.content in photos:
        return photos.index(image.content)
    if image != "":
        content = image.content if isinstance(image, _Upload) else image.encode("utf-8", "replace")
        raise _RefusedError(500, Form((Part("entries", b"{}"), Part("image", content, "image"))))
    if not fields.get("text"):
        raise _RefusedError(400)
    return None


def _run(entries: Entries, photo: int | None) -> Wanted:
    """The waves: those without dependencies first, then one level of each task after the other."""
    done: set[tuple[str, str]] = set()
    min_score = None
    # One task's levels do not wait for another's faults; of two faults in one wave either may be answered, and the
    # generator mixes dogs with nothing that has a fault of its own.
    for task, model_type, options in sorted(entries, key=lambda entry: len(_depends(entry[0])[entry[1]])):
        _check_options(options, TAKEN_BY_THE_CACHE)
        if not done.issuperset((task, needed) for needed in _depends(task)[model_type]):
            raise _RefusedError(400)
        _check_options(options, TAKEN_BY_RUN)
        if task == TASK and model_type == "detection":
            if photo is None:
                raise _RefusedError(400)
            min_score = _checked_min_score(options.get("minScore"))
        done.add((task, model_type))
    stages = frozenset(model_type for task, model_type in done if task == TASK)
    return Wanted(photo, stages, min_score, faces=any(task == FACE_TASK for task, _ in done))


def _depends(task: str) -> Mapping[str, tuple[str, ...]]:
    return DOG_TYPES if task == TASK else FACE_TYPES


def _check_options(options: Any, taken: Sequence[str]) -> None:
    if not isinstance(options, dict):
        raise _immichs_own({FACE_TASK: {"detection": {"modelName": FACE_MODEL, "options": options}}})
    for name in taken:
        if name in options:
            raise _immichs_own({FACE_TASK: {"detection": {"modelName": FACE_MODEL, "options": {name: options[name]}}}})


def _checked_min_score(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and 0 <= value <= 1):
        raise _RefusedError(422)
    return float(value)


def _immichs_own(entries: Any) -> _RefusedError:
    """A fault that Immich answers with 500, with entries of its own that show it."""
    return _RefusedError(500, Form((Part("entries", json.dumps(entries).encode()),)))
