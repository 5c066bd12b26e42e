from __future__ import annotations

import cv2
import numpy as np
import pytest

from immich_dog_plugin.geometry import (
    FLIP_ORDER,
    KEYPOINT_NAMES,
    FaceChipRule,
    crop_box,
    face_chip,
    largest_box,
    letterbox,
    resize,
    to_tensor,
    whole_box,
)


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_a_letterbox_keeps_proportions_and_centres_the_photo_on_grey() -> None:
    photo = np.full((100, 200, 3), 255, dtype=np.uint8)
    canvas, mapping = letterbox(photo, 64)
    assert canvas.shape == (64, 64, 3)
    assert (mapping.scale_x, mapping.scale_y, mapping.left, mapping.top) == (0.32, 0.32, 0, 16)
    assert (canvas[:16] == 114).all()
    assert (canvas[16:48] == 255).all()
    assert (canvas[48:] == 114).all()


@pytest.mark.parametrize("shape", [(100, 200), (333, 127), (1, 500), (640, 640), (4000, 3000), (7, 3)])
def test_points_come_back_from_the_letterbox_where_they_were(shape: tuple[int, int]) -> None:
    photo = np.zeros((*shape, 3), dtype=np.uint8)
    _, mapping = letterbox(photo, 416)
    points = np.random.default_rng(0).uniform(0, min(shape), (20, 2)).astype(np.float32)
    np.testing.assert_allclose(mapping.to_photo(mapping.to_canvas(points)), points, atol=0.01 * max(shape) / 416)


def test_of_an_odd_border_the_smaller_half_lies_left_and_above_as_ultralytics_has_it() -> None:
    # 200 x 65 at 0.32 are 64 x 20.8, so 21 rows: of the other 43, the upper 21
    canvas, mapping = letterbox(np.full((65, 200, 3), 255, dtype=np.uint8), 64)
    assert (mapping.left, mapping.top) == (0, 21)
    assert (canvas[:21] == 114).all()
    assert (canvas[21:42] == 255).all()
    assert (canvas[42:] == 114).all()
    _, mapping = letterbox(np.full((200, 65, 3), 255, dtype=np.uint8), 64)
    assert (mapping.left, mapping.top) == (21, 0)


def test_a_whole_box_lies_inside_the_photo_and_is_never_empty() -> None:
    assert whole_box(array(-5.2, 3.7, 9.1, 200.0), 50, 40) == (0, 3, 10, 40)
    assert whole_box(array(49.9, 39.9, 49.9, 39.9), 50, 40) == (49, 39, 50, 40)
    assert whole_box(array(80, 80, 90, 90), 50, 40) == (49, 39, 50, 40)


def test_padding_grows_a_box_by_its_longer_side_and_stops_at_the_border() -> None:
    photo = np.zeros((100, 100, 3), dtype=np.uint8)
    crop, corner = crop_box(photo, array(20, 40, 60, 60), 0.25)
    assert (crop.shape[:2], corner) == ((40, 60), (10, 30))
    crop, corner = crop_box(photo, array(0, 0, 40, 40), 0.25)
    assert (crop.shape[:2], corner) == ((50, 50), (0, 0))


@pytest.mark.parametrize("angle", [0, 30, -75, 150])
@pytest.mark.parametrize("eye_distance", [8, 40, 400])
def test_a_face_chip_is_upright_with_the_eyes_where_the_rule_says(angle: float, eye_distance: float) -> None:
    side, rule = 100, FaceChipRule(eye_distance=0.4, eye_height=0.35)
    photo = np.zeros((2400, 2400, 3), dtype=np.uint8)
    across = eye_distance / 2 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    left, right = np.array([1200, 1200]) - across, np.array([1200, 1200]) + across
    radius = max(1, round(eye_distance / 8))
    for eye, colour in ((left, (255, 0, 0)), (right, (0, 255, 0))):
        cv2.circle(photo, tuple(int(v) for v in eye.round()), radius, colour, -1)
    points = np.zeros((5, 3), dtype=np.float32)
    points[0, :2], points[1, :2] = left, right
    chip = face_chip(photo, points, side, rule)
    assert chip.shape == (side, side, 3)
    for channel, x in ((0, 30), (1, 70)):
        weights = chip[:, :, channel].astype(float)
        rows, columns = np.indices(weights.shape)
        found = (columns * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()
        # Half a pixel of the photo is lost by drawing on whole pixels, half a pixel of the chip by reading it.
        assert found == pytest.approx((x, 35), abs=0.6 + 0.5 * 0.4 * side / eye_distance)


@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_a_photo_that_is_shrunk_first_gives_the_chip_to_a_hundredth_of_a_pixel(shrink: int) -> None:
    side, rule = 64, FaceChipRule(eye_distance=0.4, eye_height=0.5)
    size = side * 2 * shrink  # of the photo, which the chip shows whole: a chip's pixel spans twice the shrinking
    x, y = size / 2, size / 2
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    bump = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * (size / 10) ** 2))
    photo = np.repeat(bump.round().astype(np.uint8)[..., None], 3, axis=2)
    points = np.array([[x - 0.2 * size, y], [x + 0.2 * size, y], [0, 0], [0, 0], [0, 0]], dtype=np.float32)
    weights = face_chip(photo, points, side, rule)[8:-8, 8:-8, 0].astype(float)
    columns, rows = np.meshgrid(np.arange(8, side - 8), np.arange(8, side - 8))
    found = (columns * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()
    assert found == pytest.approx((side / 2, side / 2), abs=0.01)


def test_a_face_chip_is_cut_from_a_panorama_longer_than_opencv_turns() -> None:
    rng, rule = np.random.default_rng(0), FaceChipRule(eye_distance=0.3, eye_height=0.4)
    panorama = np.zeros((60, 40_000, 3), dtype=np.uint8)
    panorama[:, 30_000:30_100] = rng.integers(0, 255, (60, 100, 3))
    points = np.array([[40, 20], [60, 21], [35, 10], [65, 10], [50, 35]], dtype=np.float32)
    chip = face_chip(panorama, points + np.array((30_000, 0), dtype=np.float32), 48, rule)
    expected = face_chip(panorama[:, 30_000:30_100], points, 48, rule)
    np.testing.assert_allclose(chip.astype(int), expected, atol=2)


def test_a_face_chip_of_eyes_at_one_place_is_refused() -> None:
    with pytest.raises(ValueError, match="same place"):
        face_chip(np.zeros((10, 10, 3), dtype=np.uint8), np.ones((5, 3), dtype=np.float32), 8, FaceChipRule(0.3, 0.4))


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    assert abs(resize(stripes, 8, 8).astype(int) - 100).max() <= 1


def test_a_panorama_is_averaged_too_though_its_height_has_nothing_to_halve() -> None:
    stripes = np.zeros((20, 4000, 3), dtype=np.uint8)
    stripes[:, np.arange(4000) // 7 % 2 == 0] = 200  # of 7 pixels, which one halving does not mix
    assert abs(resize(stripes, 8, 8).astype(int) - 100).max() <= 1
    assert abs(resize(stripes.transpose(1, 0, 2), 8, 8).astype(int) - 100).max() <= 1


def test_the_largest_box_is_the_one_of_most_pixels_not_the_widest_or_the_tallest() -> None:
    wide, tall, large, small = (0, 0, 100, 10), (0, 0, 10, 120), (50, 50, 95, 95), (3, 3, 40, 40)
    for order in ((wide, tall, large, small), (large, small, tall, wide), (small, wide, large, tall)):
        assert order[largest_box(np.array(order, dtype=np.float32))] == large


def test_a_tensor_is_channels_first_scaled_and_normalised() -> None:
    image = np.zeros((2, 3, 3), dtype=np.uint8)
    image[0, 1] = (255, 51, 0)
    tensor = to_tensor([image, image], mean=(0.5, 0.1, 0.0), std=(0.5, 0.2, 1.0))
    assert tensor.shape == (2, 3, 2, 3)
    assert tensor.dtype == np.float32
    np.testing.assert_allclose(tensor[1, :, 0, 1], [1.0, 0.5, 0.0], atol=1e-6)


def test_flipping_swaps_left_and_right_and_keeps_the_nose() -> None:
    swapped = [KEYPOINT_NAMES[index] for index in FLIP_ORDER]
    assert swapped == ["right_eye", "left_eye", "right_ear", "left_ear", "nose"]
