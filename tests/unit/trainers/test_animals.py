"""Which animals are answered as dogs: measured by kind, and decided by a classifier that is fitted here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.dog_classifier import DogClassifier
from trainers import dog_classifier
from trainers.animals import CROPS, Candidates, best_scores, lines, wilson
from trainers.detector.prepare import is_held_out
from trainers.dog_classifier import choose, figures_at, fit, with_least
from trainers.kinds import CAT, DOG, OTHER, Folders, held_out_photos
from trainers.runs import TrainingError

# Dogs look right, other animals left; at (0.2, 0) the probability is 0.65.
RIGHT = DogClassifier((3.0952, 0.0), face_weight=0.0, intercept=0.0, min_probability=0.5, source="a test")


def candidates(*found: tuple[float, float]) -> Candidates:
    """Of one photo: score and how far right each looks, surest first; at ``(10 * number, 0, 10 * number + 10, 10)``."""
    boxes = [(10 * number, 0, 10 * number + 10, 10) for number in range(len(found))]
    return Candidates(
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array([score for score, _ in found], dtype=np.float32),
        np.zeros(len(found), dtype=bool),
        np.array([(right, 0) for _, right in found], dtype=np.float32).reshape(-1, 2),
    )


def test_the_best_score_is_that_of_the_surest_dog_and_not_of_another_animal() -> None:
    photo = candidates((0.9, -1.0), (0.6, 1.0), (0.4, 1.0))
    assert photo.best(RIGHT) == pytest.approx(0.6)
    assert photo.best(None) == pytest.approx(0.9)


def test_a_photo_without_a_dog_has_a_best_score_of_zero() -> None:
    assert best_scores([candidates(), candidates((0.9, -1.0))], RIGHT).tolist() == [0, 0]
    assert candidates().best(None) == 0


def test_only_what_has_its_middle_in_the_place_is_inside() -> None:
    photo = candidates((0.9, 1.0), (0.6, 1.0), (0.4, 1.0))
    assert photo.inside((10, 0, 20, 10)).best(None) == pytest.approx(0.6)
    assert len(photo.inside((5, 0, 25, 10))) == 2  # the first middle lies on the edge, the third does too and is out
    assert len(photo.inside((0, 6, 30, 10))) == 0


def test_the_classifier_tells_the_surest_candidates_of_each_kind_apart() -> None:
    random = np.random.default_rng(0)
    found = {
        kind: [candidates((0.9, sign + 0.1 * random.normal()), (0.2, -sign)) for _ in range(30)]
        for kind, sign in ((DOG, 1.0), (CAT, -1.0), (OTHER, -1.0))
    }
    found[CAT] += [candidates()] * 5
    fitted = fit(found)
    right, left = fitted.probability(np.float32([[1, 0], [-1, 0]]), np.zeros(2, dtype=bool))
    assert right > 0.95
    assert left < 0.05
    assert "30 of 35 photos of cats" in fitted.source


def test_without_other_animals_nothing_can_be_fitted() -> None:
    with pytest.raises(TrainingError, match="nothing to tell apart"):
        fit({DOG: [candidates((0.9, 1.0))] * 4, CAT: [candidates()]})


def held_out(cats: list[Candidates], others: list[Candidates], dogs: list[Candidates]) -> dict[str, list[Candidates]]:
    return {DOG: dogs, CROPS: dogs, CAT: cats, OTHER: others}


def test_chosen_is_what_finds_most_dogs_with_few_enough_cats_and_other_animals() -> None:
    # Of 100 cats one may pass: the two that look like a dog with 0.65 have to be dropped, by score or by probability.
    cats = [candidates((0.33, 0.2))] * 2 + [candidates()] * 98
    dogs = [candidates((0.27, 1.0))] * 3 + [candidates((0.9, 0.2))] * 1
    least, chosen = choose(RIGHT, held_out(cats, [candidates()] * 50, dogs))
    # By score the three small dogs would go, by probability (0.7) one.
    assert least == 0.25
    assert chosen.min_probability == 0.7
    assert chosen.weights == RIGHT.weights
    dogs = [candidates((0.27, 1.0))] * 1 + [candidates((0.9, 0.2))] * 3
    least, chosen = choose(RIGHT, held_out(cats, [candidates()] * 50, dogs))
    assert least == 0.4  # the largest of those that find as many
    assert chosen.min_probability <= 0.6


def test_other_animals_count_as_well_as_cats() -> None:
    others = [candidates((0.33, 0.2))] * 2 + [candidates()] * 50  # 3.8 %
    least, chosen = choose(RIGHT, held_out([candidates()] * 50, others, [candidates((0.27, 1.0))]))
    assert (least, chosen.min_probability) == (0.25, 0.7)


def test_where_too_many_pass_at_every_score_nothing_is_chosen() -> None:
    with pytest.raises(TrainingError, match="at every score"):
        choose(RIGHT, held_out([candidates((0.99, 1.0))], [candidates()], [candidates((0.9, 1.0))]))


def test_the_figures_count_photos_at_the_chosen_score() -> None:
    found = {DOG: [candidates((0.9, 1.0)), candidates((0.3, 1.0))], CAT: [candidates((0.9, -1.0))], OTHER: []}
    assert figures_at(found, RIGHT, 0.35) == {DOG: {"photos": 2, "with_dog": 1}, CAT: {"photos": 1, "with_dog": 0}}


def test_the_table_names_the_animals_that_are_taken_for_dogs(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {DOG: [Path("dogs/1.jpg")], OTHER: [Path("goat/1.jpg"), Path("goat/2.jpg"), Path("ape/3.jpg")]}
    monkeypatch.setattr("trainers.animals.held_out_photos", lambda folders: files)
    found = {DOG: [candidates((0.9, 1.0))], OTHER: [candidates((0.5, 1.0))] * 2 + [candidates((0.5, -1.0))]}
    table = list(lines(found, RIGHT, 0.4, Folders()))
    assert table[-1] == "other animals, taken for dogs: 2 goat"
    assert "| other animals | 3 | 2 | 2 | 2 | 2 | 2 | 2 | 66.7 % (20.8 to 93.9) |" in table


def test_another_least_probability_changes_nothing_else() -> None:
    assert with_least(RIGHT, 0.7) == DogClassifier(RIGHT.weights, 0.0, 0.0, min_probability=0.7, source="a test")
    assert dog_classifier.MIN_PROBABILITIES[0] < RIGHT.min_probability < dog_classifier.MIN_PROBABILITIES[-1]


def test_held_out_photos_are_sorted_by_what_their_folder_or_class_says(tmp_path: Path) -> None:
    folders = Folders(*(tmp_path / name for name in ("breeds", "pets", "cat_breeds", "other", "samples")))
    names = [f"pets/{kind}/{n}.jpg" for kind in ("dogs", "cats") for n in range(60)]
    names += [f"other/{kind}/{n}.jpg" for kind in ("goat", "wolf") for n in range(60)]
    names += ["cat_breeds/train/1.jpg", "cat_breeds/test/2.jpg"]
    samples = {
        "n01440764_tench": "other animals, unseen source",
        "n02085620_Chihuahua": None,
        "n02113978_Mexican_hairless": None,
        "n02114367_timber_wolf": "wild dogs, unseen source",
        "n02119022_red_fox": "other animals, unseen source",
        "n02123045_tabby": "cats, unseen source",
        "n02125311_cougar": "other animals, unseen source",
        "n02655020_puffer": "other animals, unseen source",
        "n02666196_abacus": "scenes, unseen source",
        "n03218198_dogsled": None,
    }
    for name in [*names, *(f"samples/{sample}.JPEG" for sample in samples)]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = held_out_photos(folders, dogs=4)
    assert found["cats, second source"] == [tmp_path / "cat_breeds/test/2.jpg"]
    for kind, folder in ((DOG, "dogs"), (CAT, "cats"), (OTHER, "goat")):
        assert found[kind]
        assert all(file.parent.name == folder and is_held_out(file) for file in found[kind])
    assert len(found[DOG]) <= 4
    for sample, kind in samples.items():
        assert [name for name, files in found.items() if tmp_path / f"samples/{sample}.JPEG" in files] == [kind][
            : kind is not None
        ]


def test_wilsons_interval_of_none_and_of_all_stays_within_the_share() -> None:
    # By hand: 1.96^2 / (n + 1.96^2) for none of 10.
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1), abs=1e-4)
