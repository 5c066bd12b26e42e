"""What the store knows of a folder's photos, put together: files of one photo, its copies, its dogs and their names."""

from __future__ import annotations

import numpy as np

from ..copies import originals
from ..geometry import largest_box
from ..scan import Failure, LeftOut, PhotoFile
from .collection import Collection, Detection, Photo
from .store import Store, StoredDog

_LIKE = 0.5  # cosine: far below the same dog, because a small copy blurs it


def collect(
    files_of: dict[int, list[PhotoFile]],
    store: Store,
    dimension: int,
    left_out: list[LeftOut],
    failures: list[Failure],
    computed: int,
) -> Collection:
    """The photos and dogs of ``files_of``, a store's id of each content to the files that have it, in their order.

    Args:
        files_of: the files that could be read.
        store: knows their dogs.
        dimension: length of an embedding.
        left_out, failures, computed: as in ``Collection``.
    """
    detections: list[Detection] = []
    embeddings = []
    photos = []
    conflicts = []
    turned = store.turned()
    for id, copies in _with_copies(files_of, store).items():
        files = files_of[id]
        names = [file.name for file in [*files, *copies] if file.name is not None]
        keys, others = (tuple(file.key for file in some) for some in (files, copies))
        photo = Photo(id, keys, names[0] if names else None, others, turned[id])
        photos.append(photo)
        if len(set(names)) > 1:
            conflicts.append(photo)
        dogs = store.dogs(id)
        detections += _detections(photo, dogs)
        embeddings += [stored.dog.embedding for stored in dogs]
    return Collection(
        detections=detections,
        embeddings=np.stack(embeddings) if embeddings else np.empty((0, dimension), dtype=np.float32),
        photos=photos,
        failures=failures,
        left_out=left_out,
        contents=len(files_of),
        computed=computed,
        conflicts=conflicts,
    )


def _with_copies(files_of: dict[int, list[PhotoFile]], store: Store) -> dict[int, list[PhotoFile]]:
    """Each photo that is no copy of another, by its id, and the files that hold copies of it."""
    ids, pixels = list(files_of), store.pixels()
    found = originals(lambda row: store.photo_thumbnail(ids[row]), [pixels[id] for id in ids])
    copies: dict[int, list[PhotoFile]] = {id: [] for row, id in enumerate(ids) if found[row] == row}
    for row, original in enumerate(found):
        if row == original:
            continue
        if _shows_the_dogs_of(store.dogs(ids[row]), store.dogs(ids[original])):
            copies[ids[original]] += files_of[ids[row]]
        else:  # as large as a thumbnail, a small dog in the grass is hardly more than noise
            copies[ids[row]] = []
    return {id: copies[id] for id in ids if id in copies}


def _shows_the_dogs_of(copy: list[StoredDog], original: list[StoredDog]) -> bool:
    """Whether every dog of a copy may be one of the original's."""
    if not copy or not original:
        return not copy
    cosines = np.stack([one.dog.embedding for one in copy]) @ np.stack([one.dog.embedding for one in original]).T
    return bool((cosines.max(axis=1) >= _LIKE).all())


def _detections(photo: Photo, dogs: list[StoredDog]) -> list[Detection]:
    boxes = [stored.dog.box.astype(float) for stored in dogs]
    named = largest_box(np.stack(boxes)) if boxes else None
    return [
        Detection(
            id=stored.id,
            photo=photo,
            number=stored.number,
            name=photo.name if index == named else None,
            box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            score=stored.dog.score,
            crop=stored.dog.crop,
        )
        for index, (stored, box) in enumerate(zip(dogs, boxes, strict=True))
    ]
