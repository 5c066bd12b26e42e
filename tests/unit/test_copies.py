from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from drawn_dogs import DrawnPhoto, draw_dog
from immich_dog_plugin import copies
from immich_dog_plugin.copies import is_copy, originals
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.pictures import shrink, thumbnail


@pytest.fixture(scope="module")
def drawn() -> DrawnPhoto:
    return draw_dog(1, 0, size=(200, 150))


@pytest.fixture(scope="module")
def photo(drawn: DrawnPhoto) -> ImageArray:
    """As large as photos are, so that what Immich makes of it is smaller."""
    return np.asarray(cv2.resize(drawn.image, (2400, 1800), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def saved(image: ImageArray, kind: str, quality: int) -> ImageArray:
    content = io.BytesIO()
    Image.fromarray(image).save(content, kind, quality=quality)
    return np.asarray(Image.open(content).convert("RGB"))


def cut(image: ImageArray, left: float, top: float, share: float) -> ImageArray:
    height, width = image.shape[:2]
    x, y = round(left * width), round(top * height)
    return image[y : y + round(share * height), x : x + round(share * width)]


def moved(image: ImageArray, box: tuple[int, int, int, int], by: int) -> ImageArray:
    """What is in ``box`` that many pixels further left; the rest stays, as on a tripod."""
    x1, y1, x2, y2 = box
    frame = image.copy()
    frame[y1:y2, x1 - by : x2 - by] = image[y1:y2, x1:x2]
    return frame


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda image: saved(shrink(image, 250), "WEBP", 80), id="Immich's thumbnail"),
        pytest.param(lambda image: saved(shrink(image, 1440), "JPEG", 80), id="Immich's preview"),
        pytest.param(lambda image: saved(shrink(image, 800), "JPEG", 20), id="sent by a messenger"),
        pytest.param(lambda image: np.clip(image * 1.25, 0, 255).astype(np.uint8), id="brighter"),
        pytest.param(lambda image: np.clip(image * 1.7, 0, 255).astype(np.uint8), id="white burnt out"),
        pytest.param(lambda image: (255 * (image / 255) ** 1.4).astype(np.uint8), id="darker"),
        pytest.param(lambda image: image.mean(axis=2, keepdims=True).repeat(3, axis=2).astype(np.uint8), id="grey"),
        pytest.param(lambda image: cut(image, 0.02, 0.03, 0.95), id="a twentieth cut off"),
        pytest.param(lambda image: np.clip(cut(image, 0.01, 0, 0.97) * 1.2, 0, 255).astype(np.uint8), id="both"),
    ],
)
def test_a_photo_in_another_size_format_crop_or_light_is_a_copy(
    photo: ImageArray, edit: Callable[[ImageArray], ImageArray]
) -> None:
    pictures = [thumbnail(edit(photo)), thumbnail(photo)]
    assert originals(pictures.__getitem__, [1, 2]) == [1, 1]


def test_two_frames_of_a_burst_are_two_photos(photo: ImageArray, drawn: DrawnPhoto) -> None:
    x1, y1, x2, y2 = (int(value) for value in 12 * drawn.boxes[0])
    eyes = 12 * drawn.keypoints[0, :, :2]
    (left, top), (right, bottom) = eyes.min(axis=0).astype(int), eyes.max(axis=0).astype(int)
    turned = photo.copy()
    turned[y1:y2, x1:x2] = photo[y1:y2, x1:x2][:, ::-1]
    frames = {
        "the dog has turned round": turned,
        "the dog has made a step": moved(photo, (x1, y1, x2, y2), (x2 - x1) // 10),
        "the dog has turned its head": moved(photo, (left, top, right, bottom), (right - left) // 3),
    }
    for what, frame in frames.items():
        assert not is_copy(thumbnail(photo), thumbnail(frame)), what


@pytest.mark.parametrize("what", ["turned round", "made a step", "left"])
def test_a_small_dog_before_a_scene_that_stays_makes_two_photos(drawn: DrawnPhoto, what: str) -> None:
    x1, y1, x2, y2 = (int(value) for value in drawn.boxes[0])
    dog = cv2.resize(drawn.image[y1:y2, x1:x2], (240, 240))
    tones = np.random.default_rng(0).integers(40, 216, (9, 12, 3), dtype=np.uint8)
    scene = np.asarray(cv2.resize(tones, (1200, 900), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    one, other = scene.copy(), scene.copy()
    one[500:740, 500:740] = dog
    if what == "turned round":
        other[500:740, 500:740] = dog[:, ::-1]
    elif what == "made a step":
        other[500:740, 420:660] = dog
    assert not is_copy(thumbnail(one), thumbnail(other))
    assert not is_copy(thumbnail(other), thumbnail(one))


def test_the_same_scene_from_a_hand_that_moved_is_another_photo(photo: ImageArray) -> None:
    one, other = cut(photo, 0, 0, 0.96), cut(photo, 0.04, 0, 0.96)  # each shows what the other does not
    assert not is_copy(thumbnail(one), thumbnail(other))
    turn = cv2.getRotationMatrix2D((1200, 900), 2, 1.1)
    tilted = np.asarray(cv2.warpAffine(photo, turn, (2400, 1800)), dtype=np.uint8)
    assert not is_copy(thumbnail(photo), thumbnail(tilted))


def test_the_largest_copy_is_the_original_and_of_equals_the_first(photo: ImageArray) -> None:
    pictures = [thumbnail(shrink(photo, side)) for side in (250, 2400, 1440)]
    assert originals(pictures.__getitem__, [2, 3, 1]) == [1, 1, 1]
    assert originals(pictures.__getitem__, [3, 3, 3]) == [0, 0, 0]


def test_small_steps_do_not_join_two_photos(photo: ImageArray, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = {number: bytes([number]) for number in range(3)}
    alike = {(0, 1), (1, 2)}  # and 2 is no copy of 0
    monkeypatch.setattr(copies, "_signatures", lambda pictures, count: np.ones((count, 1), dtype=np.float32))
    monkeypatch.setattr(copies, "is_copy", lambda whole, part: (whole[0], part[0]) in alike)
    assert originals(pictures.__getitem__, [3, 2, 1]) == [0, 0, 2]


@pytest.mark.parametrize("block_rows", [1, 3, 256])
def test_candidates_are_the_same_in_blocks_of_any_size(block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_BLOCK_ROWS", block_rows)
    signatures = np.eye(7, dtype=np.float32)[[0, 1, 0, 2, 1, 0, 3]]
    assert sorted(copies._candidates(signatures)) == [(0, 2), (0, 5), (1, 4), (2, 5)]


def test_plain_pictures_are_no_copies_of_each_other() -> None:
    pictures = [thumbnail(np.full((90, 120, 3), tone, dtype=np.uint8)) for tone in (0, 90, 255)]
    assert originals(pictures.__getitem__, [1, 1, 1]) == [0, 1, 2]


def test_without_photos_there_are_no_copies() -> None:
    assert originals(lambda row: b"", []) == []


def test_a_camera_that_never_moves_costs_no_comparison_of_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = cv2.imencode(".jpg", np.random.default_rng(1).integers(0, 256, (108, 144, 3), dtype=np.uint8))[
        1
    ].tobytes()
    compared: list[tuple[bytes, bytes]] = []

    def none_is_a_copy(whole: bytes, part: bytes) -> bool:
        compared.append((whole, part))
        return False

    monkeypatch.setattr(copies, "is_copy", none_is_a_copy)
    assert copies.originals(lambda row: picture, [1] * 300) == list(range(300))
    assert 280 * 20 <= len(compared) <= 300 * 20
