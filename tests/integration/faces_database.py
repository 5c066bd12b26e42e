"""What Immich's server does with an answer for faces, on PostgreSQL with pgvector.

In lines of our own, after v2.7.5 and v3.0.3, as far as faces, persons and embeddings go. Videos, albums, permissions
and the queues themselves are left out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from immich_dog_plugin.people import overlap

TABLES = """
create extension if not exists vector;
drop table if exists face_search, asset_face, person;
create table person (
    id uuid primary key, name text not null default '', "isHidden" boolean not null default false, number serial);
create table asset_face (
    id uuid primary key, asset text not null, person uuid references person on delete set null,
    width integer not null, height integer not null,
    x1 integer not null, y1 integer not null, x2 integer not null, y2 integer not null, number serial);
create table face_search (
    face uuid primary key references asset_face on delete cascade, embedding vector(512) not null);
"""
MATCH = 0.5  # the IoU above which a box is a face that is there already


@dataclass(frozen=True)
class Face:
    """A row of the table of faces."""

    id: uuid.UUID
    person: uuid.UUID | None
    box: tuple[float, float, float, float]


class FacesDatabase:
    """One user's faces. All faces are the models' own; none was drawn by hand.

    Args:
        connection: in autocommit, so that a statement that fails changes nothing and the next one is answered.
        max_distance, min_faces: the server's settings.
    """

    def __init__(
        self, connection: psycopg.Connection[tuple[Any, ...]], max_distance: float = 0.5, min_faces: int = 3
    ) -> None:
        self.connection = connection
        self.max_distance = max_distance
        self.min_faces = min_faces
        connection.execute(TABLES)

    def faces(self, asset: str | None = None) -> list[Face]:
        """The faces of one photo or of all."""
        rows = self.connection.execute(
            "select id, person, x1, y1, x2, y2 from asset_face where %s::text is null or asset = %s order by number",
            (asset, asset),
        )
        return [Face(row[0], row[1], row[2:]) for row in rows]

    def persons(self) -> dict[uuid.UUID, str]:
        """The name of each person."""
        return dict(self.connection.execute("select id, name from person order by number").fetchall())

    def refresh(self, answers: Mapping[str, bytes]) -> None:
        """Detection of all photos, then recognition of what is new, then of what was put off.

        Args:
            answers: of the service, by photo.
        """
        new = [face for asset, answer in answers.items() for face in self._detect(asset, json.loads(answer))]
        put_off = [face for face in new if not self._recognise(face, was_put_off=False)]
        for face in put_off:
            self._recognise(face, was_put_off=True)

    def _detect(self, asset: str, answer: Mapping[str, Any]) -> list[uuid.UUID]:
        """Match, then add, embed and remove in one statement; returns the new faces."""
        there = self.faces(asset)
        left_over = {face.id for face in there}
        added: list[tuple[uuid.UUID, list[str]]] = []
        embedded: list[tuple[uuid.UUID, str]] = []
        for row in answer["facial-recognition"]:
            corners = [row["boundingBox"][corner] for corner in ("x1", "y1", "x2", "y2")]
            match = next((face for face in there if overlap(face.box, tuple(corners)) > MATCH), None)
            if match is not None and match.id in left_over:
                left_over.remove(match.id)  # it keeps its old embedding
            elif match is not None:
                embedded.append((match.id, row["embedding"]))
            else:
                face = uuid.uuid4()
                added.append((face, [_as_javascript_writes(corner) for corner in corners]))
                embedded.append((face, row["embedding"]))
        self.connection.execute(
            """
            with removed as (delete from asset_face where id = any(%(removed)s)),
            added as (
                insert into asset_face (id, asset, width, height, x1, y1, x2, y2)
                select id, %(asset)s, %(width)s, %(height)s, x1::integer, y1::integer, x2::integer, y2::integer
                from unnest(%(ids)s::uuid[], %(x1)s::text[], %(y1)s::text[], %(x2)s::text[], %(y2)s::text[])
                    as new (id, x1, y1, x2, y2))
            insert into face_search (face, embedding)
            select face, embedding::vector
                from unnest(%(faces)s::uuid[], %(embeddings)s::text[]) as new (face, embedding)
            """,
            {
                "asset": asset,
                "width": answer["imageWidth"],
                "height": answer["imageHeight"],
                "removed": list(left_over),
                "ids": [face for face, _ in added],
                "faces": [face for face, _ in embedded],
                "embeddings": [embedding for _, embedding in embedded],
                **{name: [box[place] for _, box in added] for place, name in enumerate(("x1", "y1", "x2", "y2"))},
            },
        )
        return [face for face, _ in added]

    def _recognise(self, face: uuid.UUID, was_put_off: bool) -> bool:
        """Find or make the person of a face; ``False``: it is to be tried again when all others are done."""
        nearest = self._nearest(face, self.min_faces)
        if self.min_faces > 1 and len(nearest) <= 1:
            return True  # nobody but itself
        is_core = len(nearest) >= self.min_faces
        if not is_core and not was_put_off:
            return False
        person = next((known for known in nearest if known is not None), None)
        if person is None:
            person = next(iter(self._nearest(face, 1, with_person=True)), None)
        if person is None and is_core:
            person = uuid.uuid4()
            self.connection.execute("insert into person (id) values (%s)", (person,))
        if person is not None:
            self.connection.execute("update asset_face set person = %s where id = %s", (person, face))
        return True

    def _nearest(self, face: uuid.UUID, count: int, with_person: bool = False) -> Sequence[uuid.UUID | None]:
        """The persons of the nearest faces, itself among them, as far as the distance allows."""
        rows = self.connection.execute(
            """
            select person from (
                select asset_face.person, face_search.embedding <=> own.embedding as distance
                from asset_face join face_search on face_search.face = asset_face.id
                cross join (select embedding from face_search where face = %s) as own
                where not %s or asset_face.person is not null
                order by distance limit %s) as near
            where distance <= %s order by distance
            """,
            (face, with_person, count, self.max_distance),
        )
        return [person for (person,) in rows]


def _as_javascript_writes(number: float) -> str:
    """A number of JSON on its way through the server: 30.0 is 30 there, and 30.5 is no integer to the database."""
    return str(int(number)) if float(number).is_integer() else str(number)
