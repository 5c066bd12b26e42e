"""The generator of requests, and the rules that say what each must be answered."""

from __future__ import annotations

import json
from collections import Counter
from email import message_from_bytes
from itertools import islice
from typing import Any

import pytest

from harness.abuse.expectation import Knowledge, Wanted, expect
from harness.abuse.form import Form, Part
from harness.abuse.requests import AbusiveRequest, abusive_requests
from immich_dog_plugin.contract import TASK, request_entries

PHOTOS = (b"photo 0", b"photo 1")
KNOWN = Knowledge(PHOTOS, frozenset({"tiny-v1"}))
IMAGE = Part("image", PHOTOS[1], "image")
ALL = frozenset({"detection", "keypoint", "recognition"})
NAME = {"modelName": "tiny-v1"}


def form(entries: Any, *others: Part) -> Form:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return Form((Part("entries", text), *others))


def dogs(**types: Any) -> dict[str, Any]:
    return {TASK: types}


def test_a_form_is_encoded_as_every_mail_parser_reads_it() -> None:
    sent = Form((Part("entries", b"{}"), Part("image", b"\0\r\n--x\xff", "a.png", "image/png")), "latin-1").encode()
    message = message_from_bytes(b"Content-Type: " + sent.content_type.encode() + b"\r\n\r\n" + sent.body)
    entries, image = message.get_payload()
    assert message.get_param("charset") == "latin-1"
    assert (entries.get_param("name", header="content-disposition"), entries.get_payload(decode=True)) == (
        "entries",
        b"{}",
    )
    assert (image.get_filename(), image.get_content_type()) == ("a.png", "image/png")
    assert image.get_payload(decode=True) == b"\0\r\n--x\xff"


@pytest.mark.parametrize(
    ("case", "status"),
    [
        (form(request_entries("tiny-v1"), IMAGE), 200),
        (form(request_entries("tiny-v1", 0.25), IMAGE), 200),
        (form({}, IMAGE), 200),
        (form({}, Part("text", b"a dog")), 200),
        (form(dogs(detection=NAME, keypoint=NAME), IMAGE), 200),
        (form(dogs(detection=NAME | {"options": {"photo": 1, "minScore": None}}), IMAGE), 200),
        (form(b'{"dog-identification":{"detection":1,"detection":{"modelName":"tiny-v1"}}}', IMAGE), 200),
        # the form
        (Form((IMAGE,)), 422),
        (form(b"", IMAGE), 422),
        (Form((Part("entries", b"{}", "entries.json"), IMAGE)), 422),
        (form({}, IMAGE, Part("text", b"a dog", "text.txt")), 422),
        (form({}), 400),
        (form({}, Part("text", b"")), 400),
        (form({}, Part("image", b"")), 400),
        (form({}, *[Part("more", b"")] * 1000, IMAGE), 400),
        (form(b" " * (1 << 20) + b" ", IMAGE), 400),
        (Form((Part("entries", b"xn--a" + b"x" * 80), IMAGE), "idna"), 400),
        (form({}, Part("image", b"", "image")), 500),
        (form({}, Part("image", b"/etc/passwd")), 500),
        (form({}, IMAGE, Part("image", b"not an image", "image")), 500),
        (form({}, Part("image", b"not an image", "image"), IMAGE), 200),
        (Form((Part("entries", b'{"\\ud800":1}'), IMAGE), "unicode_escape"), 500),
        # the JSON
        (form(b"{", IMAGE), 422),
        (form(b"[]", IMAGE), 422),
        (form(b"NaN", IMAGE), 422),
        (form("{}".encode("utf-16"), IMAGE), 422),
        (Form((Part("entries", "{}".encode("utf-16")), IMAGE), "utf-16"), 200),
        (form({TASK: 1}, IMAGE), 422),
        (form(dogs(detection={}), IMAGE), 422),
        (form(dogs(detection={"modelName": 1}), IMAGE), 422),
        (form(dogs(detection={"modelName": "../tiny-v1"}), IMAGE), 422),
        (form(dogs(detection=[]), IMAGE), 500),
        (form(dogs(smell=NAME), IMAGE), 500),
        (form({"weather": {"detection": NAME}}, IMAGE), 500),
        (form(dogs(keypoint={"modelName": "nobody"}, smell=NAME), IMAGE), 422),
        # the run
        (form(dogs(recognition=NAME, detection=NAME), IMAGE), 400),
        (form(dogs(keypoint=NAME), IMAGE), 400),
        (form(dogs(detection=NAME), Part("text", b"a dog")), 400),
        (form(dogs(detection=NAME | {"options": {"minScore": 2}}), IMAGE), 422),
        (form(dogs(detection=NAME | {"options": {"minScore": True}}), IMAGE), 422),
        (form(dogs(detection=NAME | {"options": None}), IMAGE), 500),
        (form(dogs(detection=NAME | {"options": {"ttl": 1}}), IMAGE), 500),
        (form(dogs(detection=NAME | {"options": {"func": 1}}), IMAGE), 500),
        (form(dogs(keypoint=NAME | {"options": {"func": 1}}), IMAGE), 400),
        (form(dogs(keypoint=NAME | {"options": {"ttl": 1}}), IMAGE), 500),
    ],
)
def test_the_rules_say_what_a_form_must_be_answered(case: Form, status: int) -> None:
    expected = expect(case, KNOWN)
    assert expected.statuses == {status}
    assert (expected.wanted is not None) == (status == 200)
    assert (expected.shown_by is not None) == (status == 500)


def test_what_a_good_answer_must_hold_is_known() -> None:
    entries = {"facial-recognition": {"detection": {"modelName": "buffalo_l"}}, **request_entries("tiny-v1", 0.25)}
    assert expect(form(entries, IMAGE), KNOWN).wanted == Wanted(1, ALL, 0.25, faces=True)
    assert expect(form({}, Part("text", b"a dog")), KNOWN).wanted == Wanted(None, frozenset(), None, faces=False)


def draw(number: int) -> list[AbusiveRequest]:
    return list(islice(abusive_requests(0, KNOWN), number))


def test_the_same_seed_draws_the_same_requests() -> None:
    assert draw(30) == draw(30)
    assert draw(30) != list(islice(abusive_requests(1, KNOWN), 30))


def test_every_kind_of_answer_is_provoked() -> None:
    drawn = draw(1000)
    counts = Counter(min(request.expected.statuses) for request in drawn)
    assert min(counts[status] for status in (200, 400, 422, 500)) >= 50
    assert len({request.sent for request in drawn}) == 1000


def test_an_error_of_immichs_own_comes_with_a_request_that_shows_it() -> None:
    for request in draw(300):
        if 500 in request.expected.statuses:
            assert request.expected.shown_by is not None
            assert b"dog-identification" not in request.expected.shown_by.body
        assert (request.expected.wanted is not None) == (200 in request.expected.statuses)
