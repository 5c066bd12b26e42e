"""Requests for Immich's own models, good and bad, whose answers the patch must leave as they were.

The models are the stand-ins of ``immich_models``.
"""

from __future__ import annotations

from typing import Any

from harness.immich_models import CLIP, FACES

VISUAL: dict[str, Any] = {"clip": {"visual": {"modelName": CLIP}}}
DETECTION: dict[str, Any] = {"detection": {"modelName": FACES, "options": {"minScore": 0.7}}}
RECOGNITION: dict[str, Any] = {"recognition": {"modelName": FACES}}
# Its answer is compared as JSON: whichever task ends first stands first.
TWO_TASKS: dict[str, Any] = {"facial-recognition": RECOGNITION | DETECTION, **VISUAL}

# Nothing to do, which is an error from v3.3 on.
NO_TASK: dict[str, Any] = {}

# A name for people, the form field "entries", and the other form fields.
Request = tuple[str, Any, dict[str, Any]]


def own_requests(image: bytes) -> list[Request]:
    """Requests that Immich answers, and always by the same bytes."""
    faces = {"facial-recognition": DETECTION | RECOGNITION}
    return [
        ("search by image", VISUAL, {"image": image}),
        ("search by text", {"clip": {"textual": {"modelName": CLIP}}}, {"text": "dog beach unknown"}),
        ("faces", faces, {"image": image}),
        ("faces, recognition first", {"facial-recognition": RECOGNITION | DETECTION}, {"image": image}),
        ("face detection alone", {"facial-recognition": DETECTION}, {"image": image}),
    ]


def bad_requests(image: bytes) -> list[Request]:
    """Requests that Immich answers by an error."""
    return [
        ("no JSON", "{", {"image": image}),
        ("JSON that is no object", "[]", {"image": image}),
        ("a task that is no object", {"clip": 1}, {"image": image}),
        ("no model name", {"clip": {"visual": {}}}, {"image": image}),
        ("a model name that is no string", {"clip": {"visual": {"modelName": 1}}}, {"image": image}),
        ("an unknown task", {"weather": {"visual": {"modelName": CLIP}}}, {"image": image}),
        ("an unknown type", {"clip": {"smell": {"modelName": CLIP}}}, {"image": image}),
        ("an unknown model", {"clip": {"visual": {"modelName": "no-such-model"}}}, {"image": image}),
        ("recognition without detection", {"facial-recognition": RECOGNITION}, {"image": image}),
        ("one task without its detection", {"facial-recognition": RECOGNITION, **VISUAL}, {"image": image}),
        ("neither image nor text", VISUAL, {}),
        ("an empty image", VISUAL, {"image": b""}),
        ("a file that is no image", VISUAL, {"image": b"not an image"}),
        ("a truncated image", VISUAL, {"image": image[:100]}),
        ("options that are no object", {"clip": {"visual": {"modelName": CLIP, "options": 1}}}, {"image": image}),
    ]
