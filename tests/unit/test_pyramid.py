from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from immich_dog_plugin.geometry import ImageArray, crop_box, halved, resize
from immich_dog_plugin.imaging import PhotoSource, open_photo, read_photo
from immich_dog_plugin.pyramid import Pyramid
from tests.encoded import encoded


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


class Decoding(PhotoSource):
    """A photo that counts how often it is decoded at which span."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content, "the photo")
        self.decoded: list[int] = []

    def pixels(self, span: int = 1) -> ImageArray:
        self.decoded.append(span)
        return super().pixels(span)


def smooth(width: int, height: int) -> Image.Image:
    return Image.fromarray(photo_of(width // 40, height // 40)).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(("orientation", "size"), [(1, (1601, 1203)), (6, (1600, 1200)), (8, (1600, 1200))])
def test_a_jpeg_is_decoded_no_larger_than_what_is_looked_at(orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(smooth(*size), "JPEG", quality=95, exif=exif)
    source, whole = Decoding(content), Pyramid(read_photo(content))
    pyramid = Pyramid(source)
    assert (pyramid.width, pyramid.height) == (whole.width, whole.height)
    for width, least in ((1200, 300), (1200, 100), (1200, 30), (500, 200)):
        level, span = pyramid.level(width, width, least)
        expected, same = whole.level(width, width, least)
        assert span == same
        assert level.shape == expected.shape
        assert np.abs(level.astype(int) - expected)[3:-3, 3:-3].max() < 8
    assert source.decoded == [4, 2]  # and 8 and 32 are halvings of the first
    pyramid.level(100, 100, 100)
    assert source.decoded == [4, 2, 1]


def test_a_file_that_cannot_be_scaled_is_decoded_once_and_halved() -> None:
    content = encoded(smooth(640, 480), "PNG")
    source = Decoding(content)
    pyramid = Pyramid(source)
    for least in (400, 200, 100, 30):
        np.testing.assert_array_equal(
            pyramid.level(480, 480, least)[0], Pyramid(read_photo(content)).level(480, 480, least)[0]
        )
    assert source.decoded == [1]


def test_a_photo_above_the_limit_has_no_finer_level_than_it_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", "0.1")
    pyramid = Pyramid(open_photo(encoded(smooth(640, 480), "JPEG")))
    level, span = pyramid.level(100, 100, 100)
    assert (span, level.shape) == (2, (240, 320, 3))
    crop, corner, span = pyramid.crop(np.array([100, 100, 140, 140], dtype=np.float32), 0, 192)
    assert (crop.shape, corner, span) == ((20, 20, 3), (100, 100), 2)


def test_a_box_in_the_last_odd_row_and_column_is_a_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", "0.1")
    pyramid = Pyramid(open_photo(encoded(smooth(641, 481), "JPEG")))
    crop, _, _ = pyramid.crop(np.array([640, 480, 641, 481], dtype=np.float32), 0, 192)
    assert crop.shape == (1, 1, 3)


def test_what_is_warped_comes_from_the_photo_where_it_is_there_and_else_from_the_level_that_suffices() -> None:
    content = encoded(smooth(640, 480), "JPEG")
    array = read_photo(content)
    level, span = Pyramid(array).warp_source(400, 100)
    assert level is array
    assert span == 1
    source = Decoding(content)
    level, span = Pyramid(source).warp_source(400, 100)
    assert (span, level.shape, source.decoded) == (4, (120, 160, 3), [4])


def test_the_overview_is_no_larger_than_a_person_needs() -> None:
    pyramid = Pyramid(photo_of(4000, 3000))
    assert pyramid.overview(1024).shape == (750, 1000, 3)
    assert pyramid.overview(144).shape == (93, 125, 3)
    assert Pyramid(photo_of(30, 20)).overview(144).shape == (20, 30, 3)
