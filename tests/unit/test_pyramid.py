from __future__ import annotations

import numpy as np
import pytest

from immich_dog_plugin.geometry import crop_box, halved, resize
from immich_dog_plugin.pyramid import Pyramid


def photo_of(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_a_photo_that_is_small_enough_is_taken_as_it_is() -> None:
    photo = photo_of(300, 200)
    level, span = Pyramid(photo).level(300, 200, least=101)
    assert level is photo
    assert span == 1


@pytest.mark.parametrize(("least", "span"), [(100, 2), (51, 2), (50, 4), (25, 8)])
def test_the_coarsest_level_that_is_large_enough_is_taken(least: int, span: int) -> None:
    level, found = Pyramid(photo_of(300, 200)).level(300, 200, least)
    assert found == span
    assert level.shape == (200 // span, 300 // span, 3)
    assert min(level.shape[:2]) >= least


def test_every_level_is_made_once() -> None:
    pyramid = Pyramid(photo_of(320, 320))
    assert pyramid.level(320, 320, 80)[0] is pyramid.level(320, 320, 80)[0]
    assert Pyramid.of(pyramid) is pyramid


def test_a_whole_photo_is_resized_to_the_same_pixels_with_and_without_a_pyramid() -> None:
    photo = photo_of(640, 480)
    level, _ = Pyramid(photo).level(640, 480, 150)
    np.testing.assert_array_equal(resize(level, 200, 150), resize(photo, 200, 150))


def test_a_crop_of_a_coarser_level_shows_the_same_part_of_the_photo() -> None:
    photo = photo_of(640, 480)
    box = np.array([40, 40, 440, 360], dtype=np.float32)
    crop, corner, span = Pyramid(photo).crop(box, 0, least=160)
    assert (corner, span) == ((40, 40), 2)
    np.testing.assert_array_equal(crop, halved(crop_box(photo, box, 0)[0]))


def test_a_crop_holds_all_of_its_box_whatever_its_edges() -> None:
    photo = photo_of(641, 479)
    for x1, y1, x2, y2 in ((0, 0, 641, 479), (13.2, 7.9, 600.4, 478.6), (300, 1, 641, 479)):
        crop, (left, top), span = Pyramid(photo).crop(np.array([x1, y1, x2, y2], dtype=np.float32), 0, least=60)
        assert span > 1
        assert left <= x1
        assert top <= y1
        # The last odd row and column of a photo are on no coarser level.
        assert left + span * crop.shape[1] >= x2 - span
        assert top + span * crop.shape[0] >= y2 - span
        assert min(crop.shape[:2]) >= 60
