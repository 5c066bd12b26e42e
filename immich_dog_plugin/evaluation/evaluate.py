"""All figures of photos of known dogs, each with its interval. Nothing is chosen here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..calibration import Calibration
from ..errors import EvaluationError
from ..manifest import Thresholds
from .background import Background, background_check
from .bootstrap import Interval, bootstrap_intervals, bootstrap_mean
from .embedded import EmbeddedPhotos, Texts
from .household import ARRIVALS, Arrival, Household, household
from .metrics import auc, eer, mean_margin, retrieval, stated, tar_at_far
from .open_set import Searches
from .pairs import DogPairs, Mask, Pairs
from .reliability import Reliability, reliability

ALL = "all"
SAME_SESSION, OTHER_SESSION = "one session", "two sessions"


@dataclass(frozen=True, slots=True)
class Verification:
    """Same dog or not, and which photo is the most similar.

    Attributes:
        photos, dogs, genuine_pairs, impostor_pairs: how many there are.
        tar_at_1_percent, tar_at_01_percent: ``None`` where the rate cannot be read off so few impostor pairs.
        margin: mean cosine of the genuine pairs minus that of the impostor pairs.
        top_1, top_5, mean_average_precision: of photos searched among all others.
    """

    photos: int
    dogs: int
    genuine_pairs: int
    impostor_pairs: int
    auc: Interval
    eer: Interval
    tar_at_1_percent: Interval | None
    tar_at_01_percent: Interval | None
    margin: Interval
    top_1: Interval
    top_5: Interval
    mean_average_precision: Interval


@dataclass(frozen=True, slots=True)
class Session:
    """Genuine pairs of one session, or of two, against all impostor pairs: the threshold is that of all.

    Attributes:
        genuine_pairs: how many there are.
        tar_at_1_percent, margin: as in ``Verification``; ``None`` without a pair.
    """

    genuine_pairs: int
    tar_at_1_percent: Interval | None
    margin: Interval | None


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What a threshold of the manifest does to these photos.

    Attributes:
        name: in the manifest.
        cosine: from which two dogs count as the same.
        genuine_accepted, impostor_accepted: shares of the pairs.
        identified: share of photos of a known dog that are given the right name (DIR).
        unknown_accepted: share of photos of an unknown dog that are given a name (FPIR).
        households: what Immich would make of it, by how the photos arrive.
    """

    name: str
    cosine: float
    genuine_accepted: Interval
    impostor_accepted: Interval
    identified: Interval
    unknown_accepted: Interval
    households: dict[Arrival, Household]


@dataclass(frozen=True, slots=True)
class OpenSet:
    """Known dogs named while no more than a share of the unknown are.

    Attributes:
        known, unknown: how many photos were searched.
        dir_at_10_percent, dir_at_1_percent: DIR at that FPIR, ``None`` where it cannot be read off so few photos.
    """

    known: int
    unknown: int
    dir_at_10_percent: Interval | None
    dir_at_1_percent: Interval | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every figure.

    Attributes:
        found: share of the photos in which the detector finds a dog; ``None`` where only embeddings are known.
        sets: by name, ``ALL`` first; a set without a pair of one dog and one of two dogs is left out.
        open_set: rejection of unknown dogs.
        sessions: ``SAME_SESSION`` and ``OTHER_SESSION``.
        thresholds: of the manifest; empty without one.
        reliability: of the probability of the same dog; ``None`` without a calibration.
        backgrounds: with the dog and without it, on the photos that show something around it; empty where that gives no
            pairs.
    """

    found: Interval | None
    sets: dict[str, Verification]
    open_set: OpenSet
    sessions: dict[str, Session]
    thresholds: list[AtThreshold]
    reliability: Reliability | None
    backgrounds: dict[str, Background]


def evaluate(
    photos: EmbeddedPhotos, thresholds: Thresholds | None, calibration: Calibration | None = None
) -> Evaluation:
    """Measure everything.

    Args:
        photos: of at least two dogs.
        thresholds: of the manifest of the embedder; without them no threshold is judged and no household simulated.
        calibration: of the same manifest.

    Raises:
        EvaluationError: there is no pair of one dog, or none of two dogs.
    """
    pairs = DogPairs.of(photos.embeddings, photos.labels, photos.groups)
    searches = Searches.of(photos.embeddings, photos.labels, photos.groups)
    return Evaluation(
        found=bootstrap_mean(photos.found, photos.labels) if photos.pictures else None,
        sets=_by_set(photos),
        open_set=_open_set(searches),
        sessions=_sessions(pairs, photos.sessions),
        thresholds=_at_thresholds(photos, pairs, searches, _named(thresholds)) if thresholds else [],
        reliability=reliability(pairs, calibration) if calibration else None,
        backgrounds=_backgrounds(photos),
    )


def _named(thresholds: Thresholds) -> dict[str, float]:
    """The thresholds by name, least strict first."""
    cosines = {
        "far_1_percent": thresholds.far_1_percent,
        "same_dog": thresholds.same_dog,
        "far_01_percent": thresholds.far_01_percent,
    }
    return {name: cosine for name, cosine in cosines.items() if cosine is not None}


def _by_set(photos: EmbeddedPhotos) -> dict[str, Verification]:
    everything = np.ones(len(photos.labels), dtype=np.bool_)
    names = np.unique(photos.sets).tolist()
    found = {ALL: _verification(photos, everything)}
    for name in names if len(names) > 1 else []:
        with suppress(EvaluationError):  # a set of one dog has no figures of its own
            found[name] = _verification(photos, photos.sets == name)
    return found


def _verification(photos: EmbeddedPhotos, chosen: Mask) -> Verification:
    embeddings, labels, groups = photos.embeddings[chosen], photos.labels[chosen], photos.groups[chosen]
    pairs = DogPairs.of(embeddings, labels, groups)
    found = retrieval(embeddings, labels, groups)
    searched = labels[found.queries]
    figures = bootstrap_intervals(
        {"auc": auc, "eer": eer, "1 %": _tar(0.01), "0.1 %": _tar(0.001), "margin": mean_margin}, pairs
    )
    impostors = len(pairs.impostor)
    return Verification(
        photos=len(labels),
        dogs=pairs.dogs,
        genuine_pairs=len(pairs.genuine),
        impostor_pairs=impostors,
        auc=figures["auc"],
        eer=figures["eer"],
        tar_at_1_percent=figures["1 %"] if stated(0.01, impostors) else None,
        tar_at_01_percent=figures["0.1 %"] if stated(0.001, impostors) else None,
        margin=figures["margin"],
        top_1=bootstrap_mean(found.rank < 1, searched),
        top_5=bootstrap_mean(found.rank < 5, searched),
        mean_average_precision=bootstrap_mean(found.average_precision, searched),
    )


def _tar(far: float) -> Callable[[Pairs], float]:
    return partial(tar_at_far, far=far)


def _open_set(searches: Searches) -> OpenSet:
    figures = bootstrap_intervals({"10 %": _tar(0.1), "1 %": _tar(0.01)}, searches)
    unknown = len(searches.unmated)
    return OpenSet(
        known=len(searches.mated),
        unknown=unknown,
        dir_at_10_percent=figures["10 %"] if stated(0.1, unknown) else None,
        dir_at_1_percent=figures["1 %"] if stated(0.01, unknown) else None,
    )


def _sessions(pairs: DogPairs, sessions: Texts) -> dict[str, Session]:
    """A pair counts where the sessions of both photos are known."""
    first, second = sessions[pairs.genuine_photos]
    known = (first != "") & (second != "")
    chosen = {SAME_SESSION: known & (first == second), OTHER_SESSION: known & (first != second)}
    return {name: _session(pairs.only_genuine(keep)) for name, keep in chosen.items()}


def _session(pairs: DogPairs) -> Session:
    if not len(pairs.genuine):
        return Session(0, None, None)
    figures = bootstrap_intervals({"tar": _tar(0.01), "margin": mean_margin}, pairs)
    tar = figures["tar"] if stated(0.01, len(pairs.impostor)) else None
    return Session(len(pairs.genuine), tar, figures["margin"])


def _at_thresholds(
    photos: EmbeddedPhotos, pairs: DogPairs, searches: Searches, cosines: Mapping[str, float]
) -> list[AtThreshold]:
    accepted: dict[tuple[str, str], Callable[[Pairs], float]] = {}
    for name, cosine in cosines.items():
        accepted[name, "genuine"] = partial(_genuine_accepted, cosine)
        accepted[name, "impostor"] = partial(_impostor_accepted, cosine)
    of_pairs, of_searches = bootstrap_intervals(accepted, pairs), bootstrap_intervals(accepted, searches)
    return [
        AtThreshold(
            name=name,
            cosine=cosine,
            genuine_accepted=of_pairs[name, "genuine"],
            impostor_accepted=of_pairs[name, "impostor"],
            identified=of_searches[name, "genuine"],
            unknown_accepted=of_searches[name, "impostor"],
            households={arrival: household(photos, 1 - cosine, arrival=arrival) for arrival in ARRIVALS},
        )
        for name, cosine in cosines.items()
    ]


def _genuine_accepted(cosine: float, pairs: Pairs) -> float:
    return pairs.genuine_scores.share_at_least(cosine)


def _impostor_accepted(cosine: float, pairs: Pairs) -> float:
    return pairs.impostor_scores.share_at_least(cosine)


def _backgrounds(photos: EmbeddedPhotos) -> dict[str, Background]:
    if not photos.backgrounds:
        return {}
    shown = np.all([np.isfinite(part).all(axis=1) for part in photos.backgrounds.values()], axis=0)
    parts = {name: part[shown] for name, part in photos.backgrounds.items()}
    try:
        return background_check(photos.embeddings[shown], parts, photos.labels[shown], photos.groups[shown])
    except EvaluationError:  # too few photos show anything but their dog
        return {}
