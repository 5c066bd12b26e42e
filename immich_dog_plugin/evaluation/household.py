"""What Immich's People page would make of a home's dogs: the server's own assignment rules on random homes.

Modelled, after ``handleRecognizeFaces``, ``handleQueueRecognizeFaces`` (server/src/services/person.service.ts) and
``searchFaces`` (server/src/repositories/search.repository.ts) of Immich v3.0.3; 2.7.5 has the same rules:

- a face looks for its ``min_faces`` nearest faces, itself included, and keeps those within ``max_distance``; faces
  that came with it or will be recognised later are already among them;
- if only itself is left it stays without a person, and is not deferred;
- ``min_faces`` matches make it a core face; any other is put at the end of the queue once;
- it takes the person of the nearest match that has one, else of the nearest face at all that has one, if that is within
  ``max_distance``; a core face that finds none becomes a new person; any other stays without;
- each night all faces without a person are queued again.

Left out: human faces (they share the search, but lie far from dogs), further dogs in a photo, birth dates, archived and
hidden photos (never core), corrections by hand, and what the vector index misses as it searches approximately. Immich
compares cosine distances with its ``maxDistance`` of 0.5, onto which whoever puts dogs on the People page has to map a
threshold of the embedder: here ``max_distance`` is in the embedder's own cosine distance, ``1 - threshold``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import EvaluationError
from .bootstrap import Interval, bootstrap_mean
from .embedded import EmbeddedPhotos
from .pairs import Floats

HOMES = 300
MAX_DOGS = 6
MIN_FACES = 3  # Immich's default
NOBODY = -1

Numbers = NDArray[np.int64]
Arrival = Literal["one by one", "all at once"]
ARRIVALS: tuple[Arrival, ...] = get_args(Arrival)


class People:
    """The faces of one owner and the persons they were given.

    Args:
        distances: cosine distance of every two faces, ``(n, n)``.
        max_distance: largest cosine distance of a match.
        min_faces: matches, itself included, that make a core face.

    Attributes:
        person: ``(n,)``, the person of each face by number, ``NOBODY`` where there is none.
    """

    def __init__(self, distances: Floats, max_distance: float, min_faces: int = MIN_FACES) -> None:
        self._distances = distances.copy()
        np.fill_diagonal(self._distances, -1)  # a face finds itself first, whatever rounding says
        self._max_distance = max_distance
        self._min_faces = min_faces
        self._known: Numbers = np.empty(0, dtype=np.int64)
        self._persons = 0
        self.person: Numbers = np.full(len(distances), NOBODY, dtype=np.int64)

    def add(self, faces: Sequence[int]) -> None:
        """New photos: their faces are stored together, then recognised one by one."""
        self._known = np.append(self._known, np.array(faces, dtype=np.int64))
        self._recognise_all(faces)

    def night(self) -> None:
        """The nightly job: every face without a person once more."""
        self._recognise_all(self._known[self.person[self._known] == NOBODY].tolist())

    def _recognise_all(self, faces: Sequence[int]) -> None:
        queue = deque((face, False) for face in faces)
        while queue:
            face, deferred = queue.popleft()
            if self._recognise(face, deferred):
                queue.append((face, True))

    def _recognise(self, face: int, deferred: bool) -> bool:
        """Give a face its person, if it has one; returns whether it is to be deferred."""
        matches = self._matches(face, self._known, self._min_faces)
        if self._min_faces > 1 and len(matches) <= 1:
            return False
        core = len(matches) >= self._min_faces
        if not core and not deferred:
            return True
        with_person = [match for match in matches if self.person[match] != NOBODY]
        if not with_person:
            with_person = self._matches(face, self._known[self.person[self._known] != NOBODY], 1)
        if with_person:
            self.person[face] = self.person[with_person[0]]
        elif core:
            self.person[face] = self._persons
            self._persons += 1
        return False

    def _matches(self, face: int, among: Numbers, count: int) -> list[int]:
        """The nearest ``count`` of some faces, nearest first, as far as they are within the distance."""
        distances = self._distances[face, among]
        nearest = np.argsort(distances, kind="stable")[:count]
        return [int(match) for match in among[nearest[distances[nearest] <= self._max_distance]]]


@dataclass(frozen=True, slots=True)
class DogOutcome:
    """What became of one dog's photos in one home; exactly one of the first four is true.

    Attributes:
        one_person: all its photos that have a person share one, which holds no other dog.
        never_grouped: no photo of it has a person.
        merged: a person of it also holds photos of another dog.
        split: it has several persons, and shares none.
        photos: how many photos of it there are, those in which it was not found among them.
        strays: photos without a person.
        wrong: photos in a person most of whose photos show another dog.
    """

    one_person: bool
    never_grouped: bool
    merged: bool
    split: bool
    photos: int
    strays: int
    wrong: int


def outcomes(person: Numbers, dog: Numbers) -> dict[int, DogOutcome]:
    """The outcome of each dog of a home.

    Args:
        person: ``(n,)``, the person of each photo or ``NOBODY``.
        dog: ``(n,)``, which dog each photo shows.

    >>> outcomes(np.array([0, 0, -1, 1, 1]), np.array([7, 7, 7, 8, 8]))[7].one_person
    True
    """
    found = {}
    dogs_of = {one: dog[person == one] for one in np.unique(person[person != NOBODY]).tolist()}
    for name in np.unique(dog).tolist():
        own = person[dog == name]
        persons = np.unique(own[own != NOBODY]).tolist()
        shared = any((dogs_of[one] != name).any() for one in persons)
        # Of a person that two dogs share evenly, either may be the one it stands for: neither photo is wrong.
        wrong = sum(
            int((own == one).sum()) for one in persons if (dogs_of[one] == name).sum() < _most_photos(dogs_of[one])
        )
        found[name] = DogOutcome(
            one_person=len(persons) == 1 and not shared,
            never_grouped=not persons,
            merged=shared,
            split=len(persons) > 1 and not shared,
            photos=len(own),
            strays=int((own == NOBODY).sum()),
            wrong=wrong,
        )
    return found


def _most_photos(dogs: Numbers) -> int:
    return int(np.unique(dogs, return_counts=True)[1].max())


@dataclass(frozen=True, slots=True)
class Household:
    """Shares over dogs in homes, with intervals over dogs.

    The intervals draw dogs, not homes: homes are made of the same few dogs, and more of them would make an interval
    over homes as narrow as one likes.

    Attributes:
        one_person, never_grouped, merged, split: of the dogs; these four add up to 1.
        strays: of the photos, those without a person.
        wrong: of the photos, those in a person most of whose photos show another dog.
    """

    one_person: Interval
    never_grouped: Interval
    merged: Interval
    split: Interval
    strays: Interval
    wrong: Interval


def household(
    photos: EmbeddedPhotos, max_distance: float, *, arrival: Arrival = "one by one", homes: int = HOMES, seed: int = 0
) -> Household:
    """Simulate homes of 1 to 6 dogs at one distance.

    A home's dogs come from one set, for dogs on differently made photos are told apart too easily. It gets one photo of
    a dog and group, for two cuts of one photo would find each other. A photo in which no dog was found has no face.

    Args:
        photos: of the dogs.
        max_distance: ``1 - threshold``.
        arrival: ``one by one``: each photo is uploaded when it is taken and the nightly job runs before the next;
            ``all at once``: a library that was there before, recognised photo by photo, then one nightly job.
        homes: how many.
        seed: of the homes and the draws; the same homes for every distance and both arrivals.

    Raises:
        EvaluationError: no photo.
    """
    if not len(photos.labels):
        raise EvaluationError("There is no photo to put into a home", "Give photos of at least one dog")
    _, dog = np.unique(photos.labels, return_inverse=True)
    distances = 1 - photos.embeddings @ photos.embeddings.T
    of_dogs: list[int] = []
    results: list[DogOutcome] = []
    for rows in random_homes(photos, dog, homes, seed):
        seen = rows[photos.found[rows]]
        people = People(distances[np.ix_(seen, seen)], max_distance)
        faces = range(len(seen))
        for batch in [[face] for face in faces] if arrival == "one by one" else [faces]:
            people.add(batch)
            people.night()
        person = np.full(len(rows), NOBODY, dtype=np.int64)
        person[photos.found[rows]] = people.person
        of_home = outcomes(person, dog[rows])
        of_dogs += of_home.keys()
        results += of_home.values()
    labels = np.array(of_dogs)

    def share(name: str) -> Interval:
        return bootstrap_mean([getattr(result, name) for result in results], labels, seed=seed)

    def photo_share(name: str) -> Interval:
        sizes = [result.photos for result in results]
        counts = np.concatenate([np.arange(result.photos) < getattr(result, name) for result in results])
        return bootstrap_mean(counts, np.repeat(labels, sizes), seed=seed)

    return Household(
        one_person=share("one_person"),
        never_grouped=share("never_grouped"),
        merged=share("merged"),
        split=share("split"),
        strays=photo_share("strays"),
        wrong=photo_share("wrong"),
    )


def random_homes(photos: EmbeddedPhotos, dog: Numbers, homes: int, seed: int) -> Iterator[Numbers]:
    """Rows of the photos of each home, in the order of time where all times are known, else in random order.

    Args:
        photos: of the dogs.
        dog: ``(n,)``, whose each is, as a number from 0.
        homes: how many.
        seed: of the choice.
    """
    random = np.random.default_rng(seed)
    set_of = dict(zip(dog.tolist(), photos.sets.tolist(), strict=True))
    for _ in range(homes):
        # A set is drawn as often as it has dogs: draw a dog, then its company.
        first = random.choice(list(set_of))
        company = [other for other, name in set_of.items() if name == set_of[first] and other != first]
        count = min(int(random.integers(1, MAX_DOGS + 1)), 1 + len(company))
        chosen = [first, *random.choice(company, count - 1, replace=False)] if count > 1 else [first]
        rows = random.permutation(np.flatnonzero(np.isin(dog, chosen)))
        _, one_cut = np.unique(np.stack([dog[rows].astype(str), photos.groups[rows]]), axis=1, return_index=True)
        rows = rows[np.sort(one_cut)]
        times = photos.times[rows]
        yield rows if np.isnan(times).any() else rows[np.argsort(times, kind="stable")]
