"""Dogs as faces: boxes, rows and what is left out; and what holds for whatever the models find."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immich_dog_plugin.errors import ModelPackageError
from immich_dog_plugin.geometry import KEYPOINT_NAMES, FloatArray
from immich_dog_plugin.people import (
    MIN_SIDE,
    Box,
    dog_rows,
    head_box,
    mapped_embedding,
    overlap,
    people_exponent,
)
from immich_dog_plugin.settings import PeopleBox
from tests.tiny_package import PEOPLE

SIZE = (1440, 1080)
EMBEDDING = orjson.dumps([round(1 / 512**0.5, 6)] * 512).decode()


def points(left: tuple[float, float], right: tuple[float, float], nose: tuple[float, float]) -> FloatArray:
    return np.array([(*left, 1), (*right, 1), (0, 0, 0), (0, 0, 0), (*nose, 1)], dtype=np.float32)


def dog(box: tuple[int, int, int, int], face: FloatArray | None = None, score: float = 0.9) -> dict[str, Any]:
    named = None if face is None else {name: list(map(float, p)) for name, p in zip(KEYPOINT_NAMES, face, strict=True)}
    corners = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
    return {"boundingBox": corners, "score": score, "embedding": EMBEDDING, "keypoints": named, "crop": "both"}


def human(box: Box) -> dict[str, Any]:
    corners = dict(zip(("x1", "y1", "x2", "y2"), np.float32(box), strict=True))
    return {"boundingBox": corners, "score": np.float32(0.8), "embedding": EMBEDDING}


def boxes(dogs: list[dict[str, Any]], humans: list[dict[str, Any]] | None = None, box: PeopleBox = "head") -> list[Box]:
    rows = dog_rows(dogs, humans or [], SIZE, box, 0.5)
    return [tuple(row["boundingBox"].values()) for row in rows]


FACE = points((500, 300), (600, 300), (550, 380))  # eyes 100 apart, the nose 80 below: 4.2 x 100 is more than 2.6 x 80
HEAD = (340, 130, 760, 550)
BODY = (300, 200, 1000, 900)


def test_a_head_is_a_square_round_eyes_and_nose() -> None:
    assert boxes([dog(BODY, FACE)]) == [HEAD]
    turned = points((540, 300), (560, 300), (550, 400))  # a turned head: 2.6 x 100 is more
    assert boxes([dog(BODY, turned)]) == [(420, 220, 680, 480)]


def test_a_dog_without_a_face_gets_its_body_and_the_setting_says_which_comes_first() -> None:
    assert boxes([dog(BODY)]) == [BODY]
    assert boxes([dog(BODY, FACE)], box="body") == [BODY]


def test_a_head_at_the_edge_is_moved_into_the_photo_and_one_larger_than_it_is_cut() -> None:
    assert head_box(points((10, 300), (110, 300), (60, 380)), *SIZE) == (0, 130, 420, 550)
    assert head_box(points((1400, 1000), (1420, 1000), (1410, 1010)), *SIZE) == (1356, 963, 1440, 1047)
    assert boxes([dog(BODY, points((200, 500), (700, 500), (450, 700)))]) == [(0, 0, 1440, 1080)]


def test_where_the_head_meets_a_human_the_body_is_taken_and_else_the_dog_is_left_out() -> None:
    on_the_head, on_the_body = human(HEAD), human(BODY)
    assert boxes([dog(BODY, FACE)], [on_the_head]) == [BODY]
    assert boxes([dog(BODY, FACE)], [on_the_head, on_the_body]) == []
    assert boxes([dog(BODY, FACE)], [on_the_body], box="body") == [HEAD]
    assert boxes([dog(BODY)], [on_the_body]) == []


def test_of_two_dogs_at_one_place_the_surer_stays() -> None:
    near = (310, 210, 1010, 910)
    assert boxes([dog(BODY), dog(near, score=0.5)]) == [BODY]
    assert boxes([dog(BODY), dog(near, FACE, score=0.5)]) == [BODY, HEAD]


def test_boxes_stay_clear_of_what_the_server_takes_for_one_face() -> None:
    first = (100, 100, 500, 500)
    apart, near = (260, 100, 660, 500), (248, 100, 648, 500)  # IoU 0.43 and 0.46; the server's limit is 0.5
    assert boxes([dog(first), dog(apart)]) == [first, apart]
    assert boxes([dog(first), dog(near)]) == [first]


def test_a_head_or_a_dog_of_a_few_pixels_is_nobodys_picture() -> None:
    small_face = points((500, 300), (504, 300), (502, 303))
    assert boxes([dog(BODY, small_face)]) == [BODY]
    assert boxes([dog((500, 300, 519, 400))]) == []
    assert boxes([dog((500, 300, 520, 320))]) == [(500, 300, 520, 320)]


@pytest.mark.parametrize(
    "values", [[0.1] * 511, [0.0] * 512, [None] * 512, [[0.1] * 512]], ids=["511", "0", "NaN", "2D"]
)
def test_an_embedding_that_immich_would_refuse_is_an_error(values: list[Any]) -> None:
    with pytest.raises(ModelPackageError, match="512 finite numbers that are not all zero"):
        mapped_embedding(json.dumps(values), 0.5)


def test_a_package_of_another_dimension_or_without_a_table_cannot_serve(tiny_package: Any) -> None:
    manifest = tiny_package.manifest
    with pytest.raises(ModelPackageError, match=r"tiny-v1 1\.0\.0 does not say how far apart"):
        people_exponent(manifest, 0.5)
    ready = manifest.model_copy(update={"people": PEOPLE})
    assert people_exponent(ready, 0.5) == pytest.approx(0.5)
    narrow = ready.model_copy(update={"recognition": ready.recognition.model_copy(update={"dimension": 256})})
    with pytest.raises(ModelPackageError, match="have 256 numbers, and Immich's server stores 512"):
        people_exponent(narrow, 0.5)


# Detections are drawn by a seed: hypothesis alone would need most of its time for 512 numbers a dog.
numbers = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000))
some = st.integers(0, 6)


@settings(max_examples=10 * settings.default.max_examples, deadline=None, database=None, derandomize=True)
@given(
    seed=numbers, size=sizes, dogs=some, humans=some, box=st.sampled_from(["head", "body"]), exponent=st.floats(0.15, 1)
)
def test_no_row_is_malformed_no_human_changes_and_no_two_boxes_are_one_face_to_immich(
    seed: int, size: tuple[int, int], dogs: int, humans: int, box: PeopleBox, exponent: float
) -> None:
    random = np.random.default_rng(seed)
    people = [human(_drawn_box(random, size, spill=0.2)) for _ in range(humans)]
    found = [_drawn_dog(random, size, people) for _ in range(dogs)]
    before = copy.deepcopy(people)
    rows = dog_rows(found, people, size, box, exponent)
    assert people == before
    assert len(rows) <= dogs
    for row in rows:
        assert set(row) == {"boundingBox", "embedding", "score"}
        x1, y1, x2, y2 = row["boundingBox"].values()
        assert all(type(corner) is int for corner in (x1, y1, x2, y2))
        assert 0 <= x1 <= x2 - MIN_SIDE
        assert x2 <= size[0]
        assert 0 <= y1 <= y2 - MIN_SIDE
        assert y2 <= size[1]
        vector = np.array(json.loads(row["embedding"]))
        assert vector.shape == (512,)
        assert np.isfinite(vector).all()
        assert abs(np.linalg.norm(vector) - 1) < 1e-5
    every = [tuple(float(c) for c in row["boundingBox"].values()) for row in people + rows]
    for number, row_box in enumerate(every[humans:], humans):
        assert all(overlap(row_box, other) <= 0.45 for other in every[:number])


def _drawn_box(random: np.random.Generator, size: tuple[int, int], spill: float = 0) -> Box:
    """Anywhere in the photo, some reaching out of it."""
    low, high = np.sort(random.uniform(-spill, 1 + spill, (2, 2)), axis=0) * size
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _drawn_dog(random: np.random.Generator, size: tuple[int, int], people: list[dict[str, Any]]) -> dict[str, Any]:
    """A dog anywhere, or just where a human is; its face, if any, may lie far outside of it."""
    drawn = _drawn_box(random, size)
    if people and random.random() < 0.5:
        drawn = tuple(float(c) for c in people[random.integers(len(people))]["boundingBox"].values())
    x1, y1, x2, y2 = (int(c) for c in np.clip(drawn, 0, (*size, *size)))
    face = None
    if random.random() < 0.6:
        face = np.column_stack([random.normal((x1, y1), np.add(size, 1) / 4, (5, 2)), np.ones(5)]).astype(np.float32)
    entry = dog((x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)), face, float(random.random()))
    values = random.normal(size=512) * (random.random(512) < random.uniform(0.01, 1))
    values[0] += 1e-3
    values = (values / np.linalg.norm(values)).astype(np.float32)
    return entry | {"embedding": orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode()}
