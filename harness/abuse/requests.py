"""Draws forms for ``/predict``: wrong types, missing and doubled entries, hostile names, broken JSON, wrong encodings.

A request is drawn as a form whose meaning is known, so that ``expectation`` can say what must be answered, or as bytes
that are no form any more. Each is made from a seed and its number alone. (Hypothesis could draw such forms, and shrink
them, but it fills its quota by repeating parts of what it drew: of 2,000 requests 454 were different.)
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from immich_dog_plugin.contract import TASK

from .expectation import DOG_TYPES, FACE_MODEL, FACE_TASK, MAX_FIELD, Expectation, Knowledge, Wanted, expect
from .form import BOUNDARY, Form, Part, RawRequest


@dataclass(frozen=True, slots=True)
class AbusiveRequest:
    """What to send, and what may be answered."""

    sent: RawRequest
    expected: Expectation

    def __repr__(self) -> str:  # a photo has no place in a report
        body = self.sent.body
        shown = body if len(body) < 800 else body[:700] + b"..." + body[-80:]
        return f"AbusiveRequest({self.sent.content_type!r}, {shown!r}, {sorted(self.expected.statuses)})"


HOSTILE_NAMES = (
    "../../../../etc/passwd",
    "..",
    ".",
    "",
    "/etc/passwd",
    "/",
    "C:\\Windows\\win.ini",
    "\\\\host\\share",
    "file:///etc/passwd",
    "http://127.0.0.1:9/model.onnx",
    "https://huggingface.co/immich-app/{model}",
    "hf://immich-app/{model}",
    "immich-app/{model}",
    "immich-app/buffalo_l",
    "../{model}",
    "./{model}",
    "{model}/",
    "{model}/../{model}",
    "{model}\0",
    "{model}.",
    "{model} ",
    "{model}\n",
    " {model}",
    "{0.__class__}",
    "${HOME}",
    "$(id)",
    "%2e%2e%2fetc",
    "~/x",
    "*",
    "buffalo_l",
    "ViT-B-32__openai",
    "a" * 255,
    "a" * 256,
    "é" * 300,
    "x" * 100_000,
    "{model}" + "/x" * 3000,
    "\u202e{model}",
    "con",
    ".from-plugin",
    ".dogs-1",
    "manifest.json",
)
HOSTILE_OPTIONS = (
    "cache_dir", "model_path", "model_dir", "model_format", "session", "providers", "provider_options", "sess_options",
    "self", "cls", "func", "args", "kwargs", "loop", "ttl", "model_name", "model_type", "model_task", "name", "task",
    "photo", "payload", "inputs", "detections", "faces", "keypoints", "options", "min_score", "minscore", "maxDogs",
    "__class__", "__dict__", "", " ", "minScore\0", "0",
)  # fmt: skip
NUMBERS = (
    "0", "1", "-1", "0.5", "1.0", "0.0", "-0.0", "1e-320", "1.0000001", "-1e-9", "1e308", "-1e308", "1e309", "1e400",
    "9" * 19, "9" * 20, "9" * 400, "-" + "9" * 400, "18446744073709551616", "-9223372036854775809", "0." + "3" * 400,
    "NaN", "Infinity", "-Infinity", "+1", ".5", "1.", "0x10", "01", "1_0", "1e", "--1",
)  # fmt: skip
CHARSETS = ("utf-8", "utf-16", "utf-32", "latin-1", "utf-7", "unicode_escape", "hex", "rot13", "idna", "ascii", "none")
IMAGE_TYPES = (None, "text/plain", "application/json", "image/svg+xml", "garbage", "image/png; a=b")
BAD_IMAGES = (b"", b"\0", b"not an image", b"GIF89a", b"\xff\xd8\xff\xe0", b"<svg/>", b"\x89PNG\r\n\x1a\n" + b"\0" * 50)

CONTENT_TYPES = (
    "application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/mixed",
    "multipart/form-data; boundary=", "multipart/form-data; boundary=other", "", ";;;",
    f"multipart/form-data; boundary={'x' * 300}", f"multipart/form-data; boundary={BOUNDARY[:-1]}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Json:
    """JSON as it stands in the request, valid or not."""

    text: str


T = TypeVar("T")


class _Dice:
    """The choices of one request."""

    def __init__(self, seed: int, number: int) -> None:
        self._random = random.Random(f"{seed} {number}")

    def pick(self, options: Sequence[T]) -> T:
        return self._random.choice(options)

    def chance(self, percent: int) -> bool:
        return self._random.random() * 100 < percent

    def below(self, end: int) -> int:
        return self._random.randrange(end)

    def score(self) -> float:
        return self._random.random()

    def text(self, longest: int) -> str:
        """Characters of every width in UTF-8, without halves of surrogate pairs."""
        ends = (0x20, 0x7F, 0x7F, 0x7FF, 0xD7FF, 0x10FFFF)
        characters = [chr(self.below(self.pick(ends))) for _ in range(self.below(longest + 1))]
        return "".join(character for character in characters if not "\ud800" <= character <= "\udfff")

    def json(self, deepest: int = 3) -> Any:
        """Any value, also such as no JSON may hold."""
        if deepest and self.chance(40):
            values = [self.json(deepest - 1) for _ in range(self.below(4))]
            return values if self.chance(50) else {self.text(8): value for value in values}
        whole, number = self.below(1 << 70) - (1 << 69), self._random.gauss(0, 1e3)
        return self.pick((None, True, False, 0, 1, whole, number, self.text(8), "", _Json(self.pick(NUMBERS))))


def abusive_requests(seed: int, known: Knowledge) -> Iterator[AbusiveRequest]:
    """Requests of every kind without end, no two the same; well-formed ones are among them."""
    seen: set[RawRequest] = set()
    number = 0
    while True:
        request = _abusive_request(_Dice(seed, number), known)
        number += 1
        if request.sent not in seen:
            seen.add(request.sent)
            yield request


def _abusive_request(dice: _Dice, known: Knowledge) -> AbusiveRequest:
    if dice.chance(10):
        return _damaged_body(dice, known)
    form = _form(dice, known)
    return AbusiveRequest(form.encode(), expect(form, known))


def _form(dice: _Dice, known: Knowledge) -> Form:
    payload = _payload(dice, known)
    shows_photo = len(payload) == 1 and payload[0].content in known.photos
    text = _entries(dice, sorted(known.models), with_faces=shows_photo and dice.chance(8))
    charset = dice.pick(CHARSETS) if dice.chance(8) else None
    entries = Part("entries", _encoded(dice, text, charset))
    parts = [entries, *payload]
    if dice.chance(25):
        other = dice.pick(
            (
                [entries, Part("entries", b"{}"), *payload],  # the last one counts
                [Part("entries", b"{}"), entries, *payload],
                [*payload, entries],
                payload,
                [Part("entries", entries.content, dice.pick(("", "entries.json"))), *payload],
                [*parts, Part(dice.pick(("Entries", "images", "cache_dir", "x" * 500)), b"../../etc")],
                [*parts, *[Part("more", b"")] * dice.pick((1, 990, 1001))],
            )
        )
        parts = list(other)
    return Form(tuple(parts), charset)


def _payload(dice: _Dice, known: Knowledge) -> list[Part]:
    """What is asked about: mostly a photo whose answer is known."""
    if dice.chance(15):
        return [_one_payload(dice, known) for _ in range(dice.pick((0, 2, 3)))]
    return [_one_payload(dice, known)]


def _one_payload(dice: _Dice, known: Knowledge) -> Part:
    photo = dice.pick(known.photos)
    if not dice.chance(25):
        return Part("image", photo, "image")
    return dice.pick(
        (
            Part("image", photo, dice.pick(("", "../../etc/passwd", "a" * 300)), dice.pick(IMAGE_TYPES)),
            Part("image", dice.pick(BAD_IMAGES), "image"),
            Part("image", dice.pick((b"", b"/etc/passwd", b"http://127.0.0.1:9/photo.png"))),  # a text, not a file
            Part("text", dice.pick((b"", b"a dog", b"\xff\xfe", b"x" * 2000))),
            Part("text", b"a dog", "text.txt"),
        )
    )


def _entries(dice: _Dice, models: list[str], with_faces: bool) -> str:
    """The field of that name: the dogs' entries, good or not, and sometimes others."""
    kind = dice.pick(("good", "good", "good", "odd", "odd", "odd", "odd", "types", "types", "tasks", "broken", "other"))
    if kind == "other":
        return dice.pick((_written(dice.json()), "[" * 5000, " " * (MAX_FIELD + 1)))
    stages = [*DOG_TYPES, *DOG_TYPES][dice.below(3) :][: dice.pick((3, 3, 3, 2, 1))]
    if dice.chance(50):
        stages.reverse()
    if kind == "types":
        stages = [dice.pick((*DOG_TYPES, "smell", "visual", "", "Detection")) for _ in range(dice.below(6))]
    make = _good_entry if kind in ("good", "types") else _odd_entry
    tasks: list[tuple[str, Any]] = [(TASK, [(stage, make(dice, models)) for stage in stages])]
    if with_faces:
        faces = [(model_type, [("modelName", FACE_MODEL)]) for model_type in ("detection", "recognition")]
        tasks.insert(dice.pick((0, 1)), (FACE_TASK, faces))
    if kind == "tasks":
        odd_task = dice.pick(("weather", "", "DOG-IDENTIFICATION", "dog_identification", TASK))
        tasks.append((odd_task, dice.pick(([("detection", [("modelName", models[0])])], dice.json()))))
    text = _written(tasks)
    return _broken(dice, text) if kind == "broken" else text


def _good_entry(dice: _Dice, models: list[str]) -> Any:
    entry: list[tuple[str, Any]] = [("modelName", dice.pick(models))]
    if dice.chance(80):
        score = dice.score() if dice.chance(70) else dice.pick((None, 0, 0.1, 0.5, 0.9, 1))
        entry.append(("options", [("minScore", score)]))
    return entry


def _odd_entry(dice: _Dice, models: list[str]) -> Any:
    """An entry that is wrong in one way, or, to let the others of its request be read too, in none."""
    name = ("modelName", dice.pick(models))
    values: tuple[Any, ...] = ("/etc", "../..", "http://127.0.0.1:9/", 0, None, True, [])
    odd: tuple[Callable[[], Any], ...] = (
        dice.json,
        lambda: [("options", [])],
        lambda: [("modelName", dice.json())],
        lambda: [("modelName", dice.text(40))],
        lambda: [("modelName", dice.pick(HOSTILE_NAMES).replace("{model}", models[0]))],
        lambda: [("modelName", "doubled"), name],
        lambda: [name, (dice.text(40), dice.json())],
        lambda: [name, ("options", dice.json())],
        lambda: [name, ("options", [("minScore", _Json(dice.pick(NUMBERS)))])],
        lambda: [name, ("options", [("minScore", dice.json())])],
        lambda: [name, ("options", [(dice.pick(HOSTILE_OPTIONS), dice.pick(values)) for _ in range(3)])],
        lambda: [name, ("options", [(dice.pick(HOSTILE_OPTIONS), dice.pick(values))])],
    )
    return dice.pick(odd)() if dice.chance(40) else [name]


def _written(value: Any) -> str:
    """JSON in which a list of pairs is an object, so that a key may stand there twice."""
    if isinstance(value, _Json):
        return value.text
    if isinstance(value, dict):
        value = list(value.items()) or {}
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        return "{" + ",".join(f"{_written(key)}:{_written(inner)}" for key, inner in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _broken(dice: _Dice, text: str) -> str:
    change: Callable[[int], str] = dice.pick(
        (
            lambda i: text[:i],
            lambda i: text[:i] + text[i + 1 :],
            lambda i: text[:i] + "\0" + text[i:],
            lambda i: text[:i] + '"' + text[i:],
            lambda i: text[:i] + "\\ud800" + text[i:],
            lambda i: text[:i] + "/* */" + text[i:],
            lambda i: text + text[i:],
            lambda i: "\ufeff" + text,
            lambda i: text.replace('"', "'"),
            lambda i: text.replace("}", ",}"),
        )
    )
    return change(dice.below(len(text)))


def _encoded(dice: _Dice, text: str, charset: str | None) -> bytes:
    """The text's bytes: as the header says, or not."""
    plain = text.encode("utf-8", "replace")
    if dice.chance(8):
        return dice.pick((plain, text.encode("utf-16"), b"\xff" + plain, plain + b"\xc3", b"\xef\xbb\xbf" + plain))
    try:
        return plain if charset is None else text.encode(charset)
    except (LookupError, UnicodeError):
        return plain


def _damaged_body(dice: _Dice, known: Knowledge) -> AbusiveRequest:
    """A good form for detection alone, sent as something else or damaged outside the photo."""
    model, photo = min(known.models), dice.pick(known.photos)
    good = _detection(TASK, model, photo).encode()
    photo_starts = good.body.index(photo)
    kind = dice.pick(("sent as something else", "cut", "bits flipped"))
    if kind == "sent as something else":
        sent = RawRequest(dice.pick(CONTENT_TYPES), good.body)
        return AbusiveRequest(sent, Expectation(frozenset({400, 422})))
    if kind == "cut":  # before the end of the last part, which the photo is: it never arrives
        sent = RawRequest(good.content_type, good.body[: dice.below(photo_starts + len(photo))])
        return AbusiveRequest(sent, Expectation(frozenset({400, 422})))
    flips = [dice.below(photo_starts * 8) for _ in range(dice.pick((1, 2, 3)))]
    shown_by = _flipped(_detection(FACE_TASK, FACE_MODEL, photo).encode(), flips)
    wanted = Wanted(known.photos.index(photo), frozenset({"detection"}), None, faces=False)
    return AbusiveRequest(_flipped(good, flips), Expectation(frozenset({200, 400, 422, 500}), wanted, shown_by))


def _detection(task: str, model: str, photo: bytes) -> Form:
    # of one length for Immich's task and for ours, so that a bit means the same in both
    entries = json.dumps({task: {"detection": {"modelName": model}}}).ljust(100).encode()
    return Form((Part("entries", entries), Part("image", photo, "image")))


def _flipped(request: RawRequest, bits: list[int]) -> RawRequest:
    body = bytearray(request.body)
    for bit in bits:
        body[bit // 8] ^= 1 << bit % 8
    return RawRequest(request.content_type, bytes(body))
