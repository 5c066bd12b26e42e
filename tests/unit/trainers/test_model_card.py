from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from immich_dog_plugin.evaluation.embedded import EmbeddedPhotos
from immich_dog_plugin.evaluation.evaluate import Evaluation, evaluate
from immich_dog_plugin.manifest import Manifest, Thresholds
from immich_dog_plugin.model_package import ModelPackage
from trainers import model_card, recipe_text
from trainers.embedder.recipe import Recipe
from trainers.records import Counts, Record
from trainers.weaknesses import breeds_of, confusions, weaknesses_section

SHIPPED = Path("artifacts/dog-identification-v1").absolute()
SAME_DOG = 0.7
EARLIER = Record(
    command="python -m trainers.embedder.train",
    recipe=Recipe(loss="triplet", seed=11).state_dict(),
    data={"known dogs": {"mpdd": Counts(photos=1032, dogs=95)}},
    epochs=7,
    kept_epoch=5,
    validation={},
    minutes=61.5,
    versions={"python": "3.11.7", "torch": "9.8.7"},
    git_revision="0123abc",
)


@pytest.fixture
def unrecorded() -> Manifest:
    """The manifest of a package from before records."""
    manifest = ModelPackage.read(SHIPPED).manifest
    recorded = ("training", "evaluation")
    return manifest.model_copy(update={"metrics": {k: v for k, v in manifest.metrics.items() if k not in recorded}})


def with_metrics(manifest: Manifest, **metrics: Any) -> Manifest:
    """As it comes back from its file."""
    changed = manifest.model_copy(update={"metrics": {**manifest.metrics, **metrics}})
    return Manifest.model_validate_json(changed.model_dump_json())


def figures_of(eer: float) -> dict[str, Any]:
    figures = {"auc": 0.9, "eer": eer, "tar_at_1_percent": 0.8, "tar_at_01_percent": None, "top_1": 0.7}
    return {**figures, "dogs": 29, "photos": 295}


def embedder_record(**changes: Any) -> Record:
    values = {
        **EARLIER.model_dump(),
        "command": "python -m trainers.embedder.fit",
        "recipe": {**EARLIER.recipe, "share": 0.25},
        "epochs": 0,
        "kept_epoch": None,
        "validation": {"all": figures_of(0.0343)},
        "minutes": 2.0,
        "earlier": EARLIER,
    }
    return Record.model_validate({**values, **changes})


def section(card: str, title: str) -> str:
    return card.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def test_a_package_from_before_records_says_that_nothing_is_recorded(unrecorded: Manifest) -> None:
    card = model_card.model_card(unrecorded)
    assert section(card, "Recipe").count("Not recorded") == 3
    assert section(card, "With intervals").strip().startswith("Not recorded")
    assert section(card, "Weaknesses").strip().startswith("Not recorded")
    assert "YOLOv8n. Of COCO" not in card  # no word on how it was made: the trainers may have changed since


def test_the_recipe_is_what_the_records_say(unrecorded: Manifest) -> None:
    training = {"detection": None, "recognition": embedder_record().model_dump(mode="json")}
    recipe = section(model_card.model_card(with_metrics(unrecorded, training=training)), "Recipe")
    assert recipe.count("Not recorded") == 2
    embedder = recipe.split("### Embedder")[1]
    assert "Loss: triplets of known dogs, breeds as classes." in embedder
    fit, train = embedder.split(recipe_text.STARTS_FROM)
    assert "`python -m trainers.embedder.fit`: 2.0 minutes" in fit
    assert "options, those that differ from the run before it: share 0.25\n" in fit
    assert "| all | 29 | 295 | 0.900 | 0.034 | 0.800 | n/a | 0.700 |" in fit
    assert "`python -m trainers.embedder.train`: 7 epochs, of which epoch 5 is kept" in train
    assert "61.5 minutes; revision `0123abc`" in train
    assert "seed 11" in train
    assert "torch 9.8.7" in train
    assert "| known dogs | mpdd | 1,032 | 95 | n/a |" in train


def test_seeds_are_told_with_mean_and_spread_and_one_seed_is_told_as_one() -> None:
    three = {
        seed: {group: figures_of(eer) for group in ("all", "cross-session")}
        for seed, eer in zip((1, 2, 3), (0.1, 0.2, 0.3), strict=True)
    }
    text = recipe_text.stage_text("recognition", embedder_record(seeds=three))
    assert "0.200 ± 0.100" in text
    assert "whole photos of validation dogs" in text
    of_bodies = embedder_record(seeds=three)
    of_bodies = of_bodies.model_copy(update={"recipe": of_bodies.recipe | {"views_of": "dog"}})
    assert "bodies of validation dogs" in recipe_text.stage_text("recognition", of_bodies)
    assert recipe_text.ONE_SEED not in text
    assert recipe_text.stage_text("recognition", embedder_record()).count(recipe_text.ONE_SEED) == 1


def test_a_start_that_left_no_record_is_named() -> None:
    record = EARLIER.model_copy(update={"recipe": {"start": "runs/keypoints_192", "seed": 1}, "minutes": None})
    text = recipe_text.stage_text("keypoint", record)
    assert "Starts from `runs/keypoints_192`, of which there is no record." in text
    assert "time not recorded" in text


def photos() -> EmbeddedPhotos:
    """Two sets of six dogs with three photos each; in ``hard`` the first two dogs look alike."""
    random = np.random.default_rng(0)
    directions = np.linalg.qr(random.normal(size=(16, 12)))[0].T
    directions[7] = directions[6] + 0.3 * directions[7]
    vectors = np.repeat(directions, 3, axis=0) + 0.05 * random.normal(size=(36, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return EmbeddedPhotos(
        embeddings=vectors,
        labels=np.repeat([f"dog{number:02}" for number in range(12)], 3),
        groups=np.arange(36).astype(str),
        sets=np.repeat(["easy", "hard"], 18),
        sessions=np.full(36, ""),
        dogs=np.ones(36, dtype=np.int64),
        times=np.full(36, np.nan),
        keys=[str(number) for number in range(36)],
    )


@pytest.fixture(scope="module")
def measured() -> Evaluation:
    thresholds = Thresholds(same_dog=SAME_DOG, far_1_percent=SAME_DOG, source="made up")
    return evaluate(photos(), thresholds)


def test_the_dogs_that_are_confused_most_are_counted_by_hand() -> None:
    shown = photos()
    found = confusions(shown, SAME_DOG, {"dog06": "pug"})
    cosines = shown.embeddings[18:21] @ shown.embeddings[21:24].T
    assert found["most"] == [
        {
            "sets": ["hard", "hard"],
            "breeds": ["pug", None],
            "accepted": int((cosines >= SAME_DOG).sum()),
            "pairs": 9,
        }
    ]
    assert found["most"][0]["accepted"] == found["accepted"] > 0
    assert (found["dog_pairs"], found["dogs"], found["dogs_of_known_breed"]) == (1, 12, 1)


def test_the_card_tells_intervals_and_the_worst_set_first_and_names_no_dog(
    unrecorded: Manifest, measured: Evaluation
) -> None:
    test = {"figures": asdict(measured), "confusions": confusions(photos(), SAME_DOG, {})}
    manifest = with_metrics(unrecorded, evaluation={"protocol": "As measured.", "test": test})
    card = model_card.model_card(manifest)
    intervals = section(card, "With intervals")
    assert "**Households**" in intervals
    eer = measured.sets["hard"].eer
    assert f"{eer.value:.3f} ({eer.low:.3f} … {eer.high:.3f})" in intervals
    weak = section(card, "Weaknesses")
    assert weak.index("- hard, 6 dogs") < weak.index("- easy, 6 dogs")
    assert "| hard and hard | not known and not known |" in weak
    assert "which breeds are confused most was not measured" in weak
    assert "dog06" not in card


def test_known_breeds_are_told(measured: Evaluation) -> None:
    found = confusions(photos(), SAME_DOG, {f"dog{number:02}": "pug" for number in range(12)})
    text = weaknesses_section(measured, found)
    assert "| hard and hard | pug and pug |" in text
    assert "breed of" not in text


def test_breeds_are_read_where_the_index_has_them(tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    index.write_text("split,dog,file\ntest,rex,1.jpg\n")
    assert breeds_of(index) == {}
    index.write_text("split,dog,file,breed\ntest,rex,1.jpg,pug\ntest,bella,2.jpg,\n")
    assert breeds_of(index) == {"rex": "pug"}


def test_the_card_is_written_beside_the_manifest(tmp_path: Path, unrecorded: Manifest) -> None:
    model_card.write_model_card(tmp_path, unrecorded)
    assert (tmp_path / "MODEL_CARD.md").read_text() == model_card.model_card(unrecorded)
