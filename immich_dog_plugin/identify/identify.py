"""A folder of photos in; groups, tables and a report out. The whole way on one screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..dog_names import Names, choose_names, contradicted
from ..html import require_jinja2
from ..model_package import ModelPackage
from ..parallel import PhotoWorkers
from ..pipeline import Dog, cut
from ..pyramid import Pyramid
from ..scan import STORE, Scan
from ..stages.embedder import Pictures
from .analyse import Analyser, analyse
from .collection import Collection
from .export import write_dogs, write_embeddings, write_similarity
from .grouping import Labels, group
from .neighbours import NameAccuracy, name_accuracy
from .out_folder import DEBUG, REPORT
from .report import Facts, write_report
from .store import Store
from .turned import FindDogs
from .verdicts import Verdicts


@dataclass(frozen=True, slots=True)
class Options:
    """What a user chooses.

    Attributes:
        formats: of the embeddings, keys of ``EMBEDDING_FORMATS``.
        min_score: least detection score that counts; the model package's by default.
        workers: photos that are worked on at once; by the machine where it is ``None``. The results are the same.
        retry: read also the photos over which an earlier run died.
        names: which folders' names are taken for dogs' names.
    """

    formats: Sequence[str] = ("npz",)
    min_score: float | None = None
    workers: int | None = None
    retry: bool = False
    names: Names = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a run found.

    Attributes:
        collection: the dogs.
        groups: ``(n,)``, the group of each.
        verdicts: what a cosine says, by the model package.
        accuracy: how often similarity finds the folder's name; ``None`` where it cannot be right or cannot be wrong.
        refused_names: folders whose names do not look like dogs' names and were not taken.
        neighbours_listed: how many neighbours of each dog ``similarity.csv`` holds, ``None`` if it holds every pair.
    """

    collection: Collection
    groups: Labels
    verdicts: Verdicts
    accuracy: NameAccuracy | None
    refused_names: tuple[str, ...]
    neighbours_listed: int | None


def require_packages() -> None:
    """Fail before the work starts, not after it.

    Raises:
        MissingPackageError: jinja2 is not installed.
    """
    require_jinja2("Writing report.html")


def identify(
    found: Scan,
    folder: Path,
    out: Path,
    pipeline: FindDogs,
    package: ModelPackage,
    options: Options,
    track: Callable[[int], None] = lambda failed: None,
) -> Result:
    """Find, embed and group the dogs of a folder and write everything to ``out``.

    Args:
        found: the photos of ``folder``, by ``scan``.
        folder: what the report calls the photos' place.
        out: made where it does not exist; ask ``check_out_folder`` first, for its outputs are overwritten. What an
            interrupted run left there is used.
        pipeline: finds the dogs of a photo.
        package: the model package of ``pipeline``: its thresholds, its crop rule and its fingerprint.
        options: the user's choices.
        track: told after each photo how many have failed so far.

    Raises:
        OutputError: the disk is full, or ``out`` cannot be written; photos done so far are kept.
    """
    manifest = package.manifest
    min_score = manifest.detection.min_score if options.min_score is None else options.min_score
    verdicts = Verdicts.of(manifest)

    def cut_dog(photo: Pyramid, dog: Dog) -> Pictures:
        return cut(photo, dog.box, dog.keypoints, dog.crop, manifest.crop, manifest.recognition.input.side)

    dimension = manifest.recognition.dimension
    workers = PhotoWorkers(options.workers)
    named = choose_names(found, options.names)
    with Store(out / STORE, package.fingerprint, min_score, dimension) as store:
        analyser = Analyser(pipeline, cut_dog, store, min_score, out / DEBUG, workers, retry=options.retry)
        collection = analyse(named.scan, analyser, workers, store, dimension, track)
        embeddings, photos = collection.embeddings, collection.photo_ids
        groups = group(embeddings, photos, manifest.thresholds.same_dog)
        names = [detection.name for detection in collection.detections]
        refused = named.refused
        if options.names == "auto" and contradicted(embeddings, photos, names, verdicts.same_from):
            refused = (*refused, *dict.fromkeys(name for name in names if name is not None))
            collection, names = collection.without_names(), [None] * len(names)
        accuracy = name_accuracy(embeddings, photos, names)
        write_embeddings(out, collection, options.formats)
        write_dogs(out, collection, groups)
        neighbours_listed = write_similarity(out, collection, manifest.calibration)
        facts = Facts(
            folder=str(folder),
            model=str(package),
            min_score=min_score,
            verdicts=verdicts,
            same_dog=manifest.thresholds.same_dog,
            threshold_source=manifest.thresholds.source,
            accuracy=accuracy,
            refused_names=refused,
        )
        write_report(out / REPORT, collection, groups, facts, store)
    return Result(collection, groups, verdicts, accuracy, refused, neighbours_listed)
