from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from immich_dog_plugin.contract import as_answer
from immich_dog_plugin.errors import ModelPackageError
from immich_dog_plugin.geometry import KEYPOINT_NAMES, ImageArray
from immich_dog_plugin.imaging import open_photo, read_photo
from immich_dog_plugin.manifest import Crop, FaceChipSpec
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import Dog, DogPipeline, choose_crop, cut, embed_dogs
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.detector import Detections, Detector
from immich_dog_plugin.stages.embedder import Embedder
from immich_dog_plugin.stages.keypoints import KeypointEstimator
from immich_dog_plugin.stages.session import open_session
from tests.encoded import encoded
from tests.tiny_package import POINTS, red_dog_photo


def test_a_red_rectangle_is_found_where_it_is(tiny_pipeline: DogPipeline) -> None:
    (dog,) = tiny_pipeline(red_dog_photo([(64, 32, 96, 64)]))  # exactly one cell of the grid
    x1, y1, x2, y2 = dog.box
    assert (x1 + x2) / 2 == pytest.approx(80, abs=1)
    assert (y1 + y2) / 2 == pytest.approx(48, abs=1)
    assert (x2 - x1, y2 - y1) == pytest.approx((64, 64), abs=1)
    assert dog.score == pytest.approx(1.0, abs=0.01)


def test_a_photo_without_a_dog_gives_an_empty_list(tiny_pipeline: DogPipeline) -> None:
    assert tiny_pipeline(red_dog_photo([])) == []


def test_the_highest_score_comes_first_and_min_score_decides_what_counts(tiny_pipeline: DogPipeline) -> None:
    photo = red_dog_photo([(32, 32, 64, 48), (192, 96, 224, 128)])  # the first fills half of its cell
    assert [round(dog.score, 1) for dog in tiny_pipeline(photo, min_score=0.3)] == [1.0, 0.5]
    assert len(tiny_pipeline(photo, min_score=0.6)) == 1


def test_embeddings_have_512_numbers_and_unit_length(tiny_pipeline: DogPipeline) -> None:
    dogs = tiny_pipeline(red_dog_photo([(0, 16, 64, 48), (160, 112, 224, 176)]))
    assert dogs
    for dog in dogs:
        assert dog.embedding.shape == (512,)
        assert np.linalg.norm(dog.embedding) == pytest.approx(1, abs=1e-5)


def test_a_visible_face_is_embedded_and_a_hidden_one_leaves_the_body(tiny_package: ModelPackage) -> None:
    red = red_dog_photo([(64, 48, 128, 112)])
    with_face = red.copy()
    with_face[..., 2] = np.where(red[..., 0] == 255, 255, red[..., 2])  # the tiny network sees a face in blue
    pipeline = DogPipeline.open(tiny_package)
    hidden, shown = pipeline(red)[0], pipeline(with_face)[0]
    assert hidden.crop == "body"
    assert hidden.keypoints is None
    assert shown.crop == "face"
    assert shown.keypoints is not None
    width, height = shown.box[2:] - shown.box[:2]
    np.testing.assert_allclose(shown.keypoints[:, :2], shown.box[:2] + POINTS * (width, height), atol=1)


def test_of_a_dog_embedded_by_body_and_face_each_gives_half_of_the_numbers(tiny_package: ModelPackage) -> None:
    with_face = red_dog_photo([(64, 48, 128, 112)])
    with_face[..., 2] = np.where(with_face[..., 0] == 255, 255, with_face[..., 2])
    with_face[::4] //= 2  # stripes, of which a chip shows others than the body
    stages, close_up = DogPipeline.open(tiny_package), FaceChipSpec(eye_distance=0.6, eye_height=0.4)

    def embedded(photo: ImageArray, *preference: Crop) -> Dog:
        crop = tiny_package.manifest.crop.model_copy(update={"preference": preference, "face": close_up})
        return DogPipeline(stages.detector, stages.keypoints, stages.embedder, crop)(photo)[0]

    both, body, face = (embedded(with_face, crop) for crop in ("both", "body", "face"))
    assert both.crop == "both"
    halves = np.concatenate([body.embedding[:256], face.embedding[256:]])
    np.testing.assert_allclose(both.embedding, halves / np.linalg.norm(halves), atol=1e-6)
    assert np.abs(both.embedding - body.embedding).max() > 0.01

    hidden = red_dog_photo([(64, 48, 128, 112)])
    assert embedded(hidden, "both", "body").crop == "body"
    np.testing.assert_array_equal(embedded(hidden, "both").embedding, embedded(hidden, "body").embedding)


def test_the_manifest_decides_the_crop(tiny_package: ModelPackage) -> None:
    points = np.ones((5, 3), dtype=np.float32)
    spec = tiny_package.manifest.crop
    assert choose_crop(points, spec) == "face"
    assert choose_crop(None, spec) == "body"
    assert choose_crop(points, spec.model_copy(update={"preference": ("body",)})) == "body"
    assert choose_crop(None, spec.model_copy(update={"preference": ("face",)})) == "body"


def test_all_dogs_of_a_photo_go_through_each_graph_in_one_batch(tiny_package: ModelPackage) -> None:
    class Counting:
        def __init__(self, stage: str) -> None:
            self.session = open_session(tiny_package.path / stage / "model.onnx")
            self.batches: list[int] = []

        def run(self, names, feed, options=None):  # type: ignore[no-untyped-def]
            self.batches.append(len(next(iter(feed.values()))))
            return self.session.run(names, feed, options)

    manifest = tiny_package.manifest
    detection, keypoint, recognition = Counting("detection"), Counting("keypoint"), Counting("recognition")
    pipeline = DogPipeline(
        Detector(detection, manifest.detection),
        KeypointEstimator(keypoint, manifest.keypoint),
        Embedder(recognition, manifest.recognition),
        manifest.crop,
    )
    dogs = pipeline(red_dog_photo([(0, 32, 32, 64), (96, 32, 128, 64), (192, 96, 224, 128)]))
    assert len(dogs) == 3
    assert (detection.batches, keypoint.batches, recognition.batches) == ([1], [3], [3])


def test_an_answer_keeps_the_contract(tiny_pipeline: DogPipeline) -> None:
    photo = red_dog_photo([(224, 160, 256, 192)])  # its box would reach over the border
    (dog,) = tiny_pipeline(photo)
    answer = as_answer(dog, photo.shape[1], photo.shape[0])
    box = answer["boundingBox"]
    assert all(type(value) is int for value in box.values())
    assert 0 <= box["x1"] < box["x2"] <= 256
    assert 0 <= box["y1"] < box["y2"] <= 192
    embedding = json.loads(answer["embedding"])
    np.testing.assert_allclose(embedding, dog.embedding, atol=1e-7)
    assert answer["keypoints"] is None
    assert answer["crop"] == "body"
    points = np.array([[1, 2, 0.9]] * 5, dtype=np.float32)
    named = as_answer(replace(dog, keypoints=points, crop="face"), 256, 192)["keypoints"]
    assert tuple(named) == KEYPOINT_NAMES
    assert named["nose"] == [1.0, 2.0, 0.9]


def test_an_embedding_of_another_length_than_the_manifest_says_is_refused(tiny_package: ModelPackage) -> None:
    spec = tiny_package.manifest.recognition.model_copy(update={"dimension": 128})
    embedder = Embedder(open_session(tiny_package.model_path("recognition")), spec)
    with pytest.raises(ModelPackageError, match=r"shape \(1, 512\).*promises \(1, 128\)"):
        embedder([(red_dog_photo([]),)])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_an_embedding_that_is_not_finite_is_refused(tiny_package: ModelPackage, value: float) -> None:
    class Broken:
        def run(self, names, feed, options=None):  # type: ignore[no-untyped-def]
            return [np.full((1, 512), value, dtype=np.float32)]

    with pytest.raises(ModelPackageError, match="not finite"):
        Embedder(Broken(), tiny_package.manifest.recognition)([(red_dog_photo([]),)])


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (3, 2000)])
def test_extreme_shapes_pass_through(tiny_pipeline: DogPipeline, size: tuple[int, int]) -> None:
    photo = np.full((size[1], size[0], 3), (255, 0, 0), dtype=np.uint8)
    dogs = tiny_pipeline(photo, min_score=0.01)
    assert len(dogs) > 0
    for dog in dogs:
        assert (dog.box >= 0).all()
        assert (dog.box <= (*size, *size)).all()
        assert np.linalg.norm(dog.embedding) == pytest.approx(1, abs=1e-5)


def test_a_photo_of_one_pixel_passes_through_and_a_dog_in_it_is_embedded(
    tiny_pipeline: DogPipeline, tiny_package: ModelPackage
) -> None:
    photo = Pyramid(np.full((1, 1, 3), (255, 0, 0), dtype=np.uint8))
    assert tiny_pipeline(photo, min_score=0.01) == []  # a cell of the tiny network is less than a pixel here
    found = Detections(np.array([[0, 0, 1, 1]], dtype=np.float32), np.array([0.9], dtype=np.float32))
    points = tiny_pipeline.keypoints(photo, found.boxes)
    assert points.shape == (1, 5, 3)
    assert not tiny_pipeline.keypoints.has_face(points[0])
    (dog,) = embed_dogs(photo, found, [None], tiny_pipeline.embedder, tiny_package.manifest.crop)
    assert np.linalg.norm(dog.embedding) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_gives_the_dogs_of_its_pixels_in_pixels_of_the_whole_photo(
    tiny_pipeline: DogPipeline, kind: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.fromarray(red_dog_photo([(64, 32, 96, 64), (192, 96, 224, 128)])).resize((2048, 1536))
    content = encoded(photo.transpose(Image.Transpose.ROTATE_90), kind, exif=exif)
    expected = tiny_pipeline(read_photo(content))
    dogs = tiny_pipeline(open_photo(content))
    assert len(dogs) == len(expected) == 2
    for dog, same in zip(dogs, expected, strict=True):
        np.testing.assert_allclose(dog.box, same.box, atol=8)
        assert dog.embedding @ same.embedding > 0.98


def test_a_face_chip_of_a_file_shows_what_the_chip_of_its_pixels_shows(tiny_package: ModelPackage) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC), "JPEG", quality=95)
    points = np.array([[620, 410], [930, 470], [500, 300], [1000, 300], [760, 600]], dtype=np.float32)
    box, crop = np.array([300, 200, 1300, 1100], dtype=np.float32), tiny_package.manifest.crop
    source = Pyramid(open_photo(content))
    assert source.warp_source(316 / crop.face.eye_distance, 64)[1] > 1
    (chip,) = cut(source, box, points, "face", crop, 64)
    (expected,) = cut(Pyramid(read_photo(content)), box, points, "face", crop, 64)
    difference = np.abs(chip.astype(int) - expected)
    assert difference.mean() < 1.5
    moved = np.abs(np.roll(chip, 1, axis=1).astype(int) - expected)
    assert moved.mean() > 3 * difference.mean()  # a pixel aside it would not be the same
