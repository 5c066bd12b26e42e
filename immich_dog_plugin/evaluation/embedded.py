"""Photos of known dogs through the pipeline: one embedding each, and everything the figures need to know of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..copies import originals
from ..errors import EvaluationError, PhotoError
from ..geometry import FloatArray, largest_box
from ..imaging import megapixels, read_photo, taken
from ..manifest import CropSpec
from ..model_package import ModelPackage
from ..parallel import PhotoWorkers
from ..pictures import thumbnail
from ..pipeline import DogPipeline, choose_crop, cut, faces
from ..pyramid import Pyramid
from ..scan import Failure, LeftOut
from ..stages.embedder import Pictures
from .background import background_pictures
from .pairs import Counts, Floats, Mask
from .photos import LabelledPhoto

Texts = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class EmbeddedPhotos:
    """Photos with one embedding each; every array has a row per photo.

    Attributes:
        embeddings: ``(n, d)`` unit rows.
        labels: which dog.
        groups: which original photo; two cuts of one are no pair.
        sets: part of the data, ``""`` where there is one only.
        sessions: on which occasion, ``""`` where that is not known.
        dogs: how many the detector found. The largest is embedded, the whole photo where there is none.
        times: when it was taken in seconds, NaN where that is not known.
        keys: its file.
        pictures: JPEG of what was embedded, of body and face the body; empty where only embeddings are known.
        backgrounds: embeddings with the dog greyed out ``(n, d)`` by the name of the part; NaN where none was found, or
            nothing is seen around it.
        failures: photos and folders that could not be read.
        left_out: files that are no photos, and folders that hold none of their own.
    """

    embeddings: Floats
    labels: Texts
    groups: Texts
    sets: Texts
    sessions: Texts
    dogs: Counts
    times: NDArray[np.float64]
    keys: list[str]
    pictures: list[bytes] = field(default_factory=list)
    backgrounds: dict[str, Floats] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def found(self) -> Mask:
        """``(n,)``, whether the detector found a dog."""
        return self.dogs > 0


@dataclass(frozen=True, slots=True, eq=False)
class NamedDog:
    """The dog that a photo's name is taken to mean: the largest one found.

    Attributes:
        box: ``(4,)``; the whole photo where the pipeline found no dog.
        keypoints: ``(5, 3)``, ``None`` where no face is visible.
        dogs: how many the pipeline found.
    """

    box: FloatArray
    keypoints: FloatArray | None
    dogs: int


def named_dog(pipeline: DogPipeline, photo: Pyramid) -> NamedDog:
    """The largest of the dogs that the pipeline finds in a photo of one dog that is known."""
    dogs = pipeline(photo)
    if dogs:
        named = dogs[largest_box(np.array([dog.box for dog in dogs]))]
        return NamedDog(named.box, named.keypoints, len(dogs))
    whole = np.array([0, 0, photo.width, photo.height], dtype=np.float32)
    (face,) = faces(pipeline.keypoints, pipeline.keypoints(photo, whole[None]))
    return NamedDog(whole, face, 0)


def pictures_of(photo: Pyramid, dog: NamedDog, crop: CropSpec, side: int) -> Pictures:
    """What is embedded of a dog, cut as the pipeline does."""
    return cut(photo, dog.box, dog.keypoints, choose_crop(dog.keypoints, crop), crop, side)


def embed_photos(
    photos: Iterable[LabelledPhoto],
    pipeline: DogPipeline,
    package: ModelPackage,
    track: Callable[[int], None] = lambda failed: None,
    workers: int | None = None,
) -> EmbeddedPhotos:
    """Embed every photo, and once more without its dog; a photo that cannot be read is noted and the others still run.

    A photo's group is its ``group``, else the photo that it is a copy of, so that a copy is no pair with its original.
    Its session is its
    ``session``, else the day on which its EXIF says it was taken.

    Args:
        photos: with their dogs.
        pipeline: of ``package``.
        package: its crop rule cuts.
        track: told after each photo how many have failed so far.
        workers: photos that are worked on at once; by the machine where it is ``None``. The results are the same.

    Raises:
        EvaluationError: no photo could be read.
    """
    rows: list[_Row] = []
    failures: list[Failure] = []
    pool = PhotoWorkers(workers)
    with closing(pool.map(photos, lambda photo: _embed(photo, pool, pipeline, package))) as results:
        for photo, row in results:
            if isinstance(row, PhotoError):
                failures.append(Failure(photo.key, str(row)))
            else:
                rows.append(row)
            track(len(failures))
    if not rows:
        raise EvaluationError(f"None of the {len(failures)} photos can be read ({failures[0].reason})", "Check them")
    original = originals(lambda row: rows[row].whole, [row.pixels for row in rows])
    nothing = np.full(package.manifest.recognition.dimension, np.nan, dtype=np.float32)
    parts = sorted({part for row in rows for part in row.backgrounds})
    return EmbeddedPhotos(
        embeddings=np.stack([row.embedding for row in rows]),
        labels=np.array([row.photo.dog for row in rows]),
        groups=np.array([row.photo.group or rows[copied].digest for row, copied in zip(rows, original, strict=True)]),
        sets=np.array([row.photo.set for row in rows]),
        sessions=np.array([row.session for row in rows]),
        dogs=np.array([row.dogs for row in rows]),
        times=np.array([row.time for row in rows]),
        keys=[row.photo.key for row in rows],
        pictures=[row.picture for row in rows],
        backgrounds={part: np.stack([row.backgrounds.get(part, nothing) for row in rows]) for part in parts},
        failures=failures,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    photo: LabelledPhoto
    digest: str
    whole: bytes  # JPEG of the whole photo
    pixels: int
    session: str
    time: float
    picture: bytes
    embedding: FloatArray
    dogs: int
    backgrounds: dict[str, FloatArray]  # empty where no dog was found, or nothing is seen around it


def _embed(photo: LabelledPhoto, pool: PhotoWorkers, pipeline: DogPipeline, package: ModelPackage) -> _Row:
    try:
        content = photo.path.read_bytes()
    except OSError as error:
        raise PhotoError(f"it cannot be read ({error.strerror})", "Check that it exists and may be read") from error
    crop, side = package.manifest.crop, pipeline.embedder.side
    with pool.room(megapixels(content)):
        image = read_photo(content, "the file")
        whole = Pyramid(image)
        dog = named_dog(pipeline, whole)
        pictures = pictures_of(whole, dog, crop, side)
        greyed = background_pictures(image, dog.box, dog.keypoints, crop, side) if dog.dogs else {}
        embedding, *backgrounds = pipeline.embedder([pictures, *greyed.values()])
    time = taken(content)
    return _Row(
        photo=photo,
        digest=hashlib.sha256(content).hexdigest(),
        whole=thumbnail(image),
        pixels=image.shape[0] * image.shape[1],
        session=photo.session or (str(time.date()) if time else ""),
        time=time.timestamp() if time else np.nan,
        picture=thumbnail(pictures[0]),
        embedding=embedding,
        dogs=dog.dogs,
        backgrounds=dict(zip(greyed, backgrounds, strict=True)),
    )
