from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from immich_dog_plugin.errors import EvaluationError
from immich_dog_plugin.evaluation.background import AROUND, WITH_DOG
from immich_dog_plugin.evaluation.embedded import EmbeddedPhotos
from immich_dog_plugin.evaluation.evaluate import ALL, OTHER_SESSION, SAME_SESSION, evaluate
from immich_dog_plugin.evaluation.metrics import verification_figures
from immich_dog_plugin.manifest import Thresholds

THRESHOLDS = Thresholds(same_dog=0.8, far_1_percent=0.6, far_01_percent=0.9, source="a test")


def some_photos(dogs: int = 12, each: int = 5, noise: float = 0.7) -> EmbeddedPhotos:
    """Photos of two sets, with sessions of two photos each; the background tells nothing."""
    random = np.random.default_rng(5)
    labels = np.repeat(np.arange(dogs), each)
    count = len(labels)

    def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    return EmbeddedPhotos(
        embeddings=unit(random.normal(size=(dogs, 16))[labels] + noise * random.normal(size=(count, 16))),
        labels=np.array([f"dog {label}" for label in labels]),
        groups=np.array([f"photo {row}" for row in range(count)]),
        sets=np.where(labels < dogs // 2, "street", "sofa"),
        sessions=np.array([f"day {row % each // 2}" for row in range(count)]),
        dogs=np.ones(count, dtype=np.int64),
        times=np.full(count, np.nan),
        keys=[f"{row}.jpg" for row in range(count)],
        pictures=[b"jpeg"] * count,
        backgrounds={AROUND: unit(random.normal(size=(count, 16)))},
    )


def test_the_figures_of_all_photos_are_those_of_the_metrics() -> None:
    photos = some_photos()
    found = evaluate(photos, None).sets[ALL]
    expected = verification_figures(photos.embeddings, photos.labels, photos.groups)
    for name, value in expected.items():
        own = getattr(found, {"map": "mean_average_precision"}.get(name, name))
        assert (own if isinstance(own, int) or own is None else own.value) == pytest.approx(value)


def test_each_set_has_its_own_figures_and_a_set_of_one_dog_none() -> None:
    photos = some_photos()
    sets = photos.sets.copy()
    sets[photos.labels == "dog 0"] = "alone"
    found = evaluate(replace(photos, sets=sets), None).sets
    assert list(found) == [ALL, "sofa", "street"]
    sofa = sets == "sofa"
    assert found["sofa"].auc.value == pytest.approx(
        verification_figures(photos.embeddings[sofa], photos.labels[sofa], photos.groups[sofa])["auc"]
    )
    assert list(evaluate(replace(photos, sets=np.full(60, "one")), None).sets) == [ALL]


def test_genuine_pairs_of_one_session_and_of_two_are_told_apart_and_unknown_sessions_count_in_neither() -> None:
    photos = some_photos(dogs=6)
    found = evaluate(photos, None).sessions
    # Of a dog's five photos two pairs are of one day, and 10 - 2 of two.
    assert (found[SAME_SESSION].genuine_pairs, found[OTHER_SESSION].genuine_pairs) == (6 * 2, 6 * 8)
    unknown = photos.sessions.copy()
    unknown[photos.labels == "dog 0"] = ""
    found = evaluate(replace(photos, sessions=unknown), None).sessions
    assert (found[SAME_SESSION].genuine_pairs, found[OTHER_SESSION].genuine_pairs) == (5 * 2, 5 * 8)


def test_photos_of_one_session_that_look_alike_raise_only_the_figures_of_one_session() -> None:
    photos = some_photos()
    embeddings = photos.embeddings.copy()
    embeddings[1::5] = embeddings[0::5]  # the second photo of the first day is the first again
    found = evaluate(replace(photos, embeddings=embeddings), None).sessions
    one, two = found[SAME_SESSION].margin, found[OTHER_SESSION].margin
    assert one is not None
    assert two is not None
    assert one.value > two.value + 0.1


def test_without_known_sessions_there_are_no_figures_of_sessions() -> None:
    photos = some_photos()
    found = evaluate(replace(photos, sessions=np.full(60, "")), None).sessions
    assert found[SAME_SESSION].tar_at_1_percent is found[OTHER_SESSION].margin is None


def test_the_thresholds_are_judged_by_pairs_searches_and_households() -> None:
    photos = some_photos()
    found = evaluate(photos, THRESHOLDS).thresholds
    assert [(at.name, at.cosine) for at in found] == [
        ("far_1_percent", 0.6),
        ("same_dog", 0.8),
        ("far_01_percent", 0.9),
    ]
    cosines = photos.embeddings @ photos.embeddings.T
    same = photos.labels[:, None] == photos.labels[None, :]
    once = np.triu(np.ones_like(same), k=1)
    for at in found:
        assert at.genuine_accepted.value == pytest.approx((cosines[once & same] >= at.cosine).mean())
        assert at.impostor_accepted.value == pytest.approx((cosines[once & ~same] >= at.cosine).mean())
        nearest_other = np.where(same, -1, cosines).max(axis=1)
        assert at.unknown_accepted.value == pytest.approx((nearest_other >= at.cosine).mean())
        assert set(at.households) == {"one by one", "all at once"}
    never = [at.households["all at once"].never_grouped.value for at in found]
    assert never == sorted(never)  # a stricter threshold groups no more dogs
    assert never[0] < never[-1]


def test_without_thresholds_none_is_judged() -> None:
    assert evaluate(some_photos(dogs=6), None).thresholds == []


def test_the_background_check_leaves_photos_without_a_dog_out() -> None:
    photos = some_photos()
    dogs = photos.dogs.copy()
    dogs[::5] = 0
    background = photos.backgrounds[AROUND].copy()
    background[::5] = np.nan
    found = evaluate(replace(photos, dogs=dogs, backgrounds={AROUND: background}), None)
    assert found.found is not None
    assert found.found.value == 0.8
    assert 0.4 < found.backgrounds[AROUND].auc.value < 0.6
    seen = dogs > 0
    assert found.backgrounds[WITH_DOG].auc.value == pytest.approx(
        verification_figures(photos.embeddings[seen], photos.labels[seen], photos.groups[seen])["auc"]
    )


def test_where_no_photo_shows_anything_but_the_dog_there_is_no_background_check() -> None:
    assert evaluate(replace(some_photos(), backgrounds={AROUND: np.full((60, 16), np.nan)}), None).backgrounds == {}


def test_embeddings_alone_say_nothing_about_dogs_found_or_backgrounds() -> None:
    found = evaluate(replace(some_photos(), pictures=[], backgrounds={}), None)
    assert found.found is None
    assert found.backgrounds == {}


def test_one_dog_cannot_be_evaluated() -> None:
    with pytest.raises(EvaluationError, match="0 of different dogs"):
        evaluate(some_photos(dogs=1), None)
