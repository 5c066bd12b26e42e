"""What the detector finds is answered only where it is a dog."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.dog_classifier import DogClassifier
from immich_dog_plugin.errors import ModelPackageError
from immich_dog_plugin.evaluation.embedded import named_dog
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from immich_dog_plugin.pyramid import Pyramid
from tests.tiny_package import red_dog_photo

# Whoever shows a face is a dog, with a probability of 0.88; nobody else is, with one of 0.12.
FACES_ONLY = DogClassifier(weights=(0.0,) * 512, face_weight=4.0, intercept=-2.0, min_probability=0.5, source="a test")


def two_dogs() -> ImageArray:
    """Two cells of the tiny network's grid: left one that shows its face and is cut by the photo's edge, right a whole
    one from behind."""
    photo = red_dog_photo([(0, 64, 32, 96), (160, 64, 192, 96)])
    photo[:, :96, 2] = 200  # the tiny network sees a face in blue
    return photo


@pytest.fixture
def with_classifier(tiny_package: ModelPackage) -> DogPipeline:
    manifest = tiny_package.manifest.model_copy(update={"dog_classifier": FACES_ONLY})
    return DogPipeline.open(ModelPackage(tiny_package.path, manifest))


def test_the_probability_is_the_logistic_function_of_weights_face_and_intercept() -> None:
    classifier = DogClassifier((2.0, -1.0), face_weight=0.5, intercept=-1.0, min_probability=0.5, source="a test")
    embeddings = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    found = classifier.probability(embeddings, np.array([False, False, True]))
    # log odds by hand: 2 - 1, -1 - 1, 2 - 1 + 0.5 - 1
    np.testing.assert_allclose(found, [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(2)), 1 / (1 + np.exp(-0.5))], rtol=1e-6)


def test_no_detections_have_no_probabilities() -> None:
    assert FACES_ONLY.probability(np.zeros((0, 512), np.float32), np.zeros(0, dtype=bool)).shape == (0,)


def test_what_is_no_dog_is_left_out_and_the_rest_is_as_it_was(
    tiny_pipeline: DogPipeline, with_classifier: DogPipeline
) -> None:
    everything, dogs = tiny_pipeline(two_dogs()), with_classifier(two_dogs())
    kept = [dog for dog in everything if dog.crop != "body"]
    assert 0 < len(kept) < len(everything)
    for dog, before in zip(dogs, kept, strict=True):
        np.testing.assert_array_equal(dog.box, before.box)
        np.testing.assert_array_equal(dog.embedding, before.embedding)
        assert dog.score == before.score


def test_a_probability_at_the_least_is_a_dog(tiny_package: ModelPackage) -> None:
    def count(min_probability: float) -> int:
        # All alike: log odds of zero.
        even = replace(FACES_ONLY, face_weight=0.0, intercept=0.0, min_probability=min_probability)
        manifest = tiny_package.manifest.model_copy(update={"dog_classifier": even})
        return len(DogPipeline.open(ModelPackage(tiny_package.path, manifest))(two_dogs()))

    assert count(0.5) > count(0.51) == 0


def test_a_photo_without_a_detection_has_no_dog(with_classifier: DogPipeline) -> None:
    assert with_classifier(red_dog_photo([])) == []


def test_a_photo_is_not_named_after_what_is_no_dog(tiny_pipeline: DogPipeline, with_classifier: DogPipeline) -> None:
    photo = Pyramid(two_dogs())
    anything, dog = named_dog(tiny_pipeline, photo), named_dog(with_classifier, photo)
    assert anything.box[0] > 100  # the whole one
    assert dog.box[0] == 0
    assert (anything.dogs, dog.dogs) == (2, 1)


def test_where_nothing_is_a_dog_the_whole_photo_has_the_name(tiny_package: ModelPackage) -> None:
    nothing = replace(FACES_ONLY, intercept=-50.0)
    manifest = tiny_package.manifest.model_copy(update={"dog_classifier": nothing})
    named = named_dog(DogPipeline.open(ModelPackage(tiny_package.path, manifest)), Pyramid(two_dogs()))
    np.testing.assert_array_equal(named.box, [0, 0, 256, 192])
    assert named.dogs == 0


def test_a_manifest_keeps_its_classifier_and_refuses_one_of_another_embedder(
    tiny_package: ModelPackage, tmp_path: Path
) -> None:
    package_copy = Path(shutil.copytree(tiny_package.path, tmp_path / "tiny-v1"))
    file = package_copy / "manifest.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(manifest | {"dog_classifier": asdict(FACES_ONLY)}))
    assert ModelPackage.read(package_copy).manifest.dog_classifier == FACES_ONLY
    file.write_text(json.dumps(manifest | {"dog_classifier": asdict(FACES_ONLY) | {"weights": [0.0] * 256}}))
    with pytest.raises(ModelPackageError, match="256 weights for 512 numbers"):
        ModelPackage.read(package_copy)


def test_another_classifier_makes_another_fingerprint(tiny_package: ModelPackage) -> None:
    manifest = tiny_package.manifest.model_copy(update={"dog_classifier": FACES_ONLY})
    assert ModelPackage(tiny_package.path, manifest).fingerprint != tiny_package.fingerprint
