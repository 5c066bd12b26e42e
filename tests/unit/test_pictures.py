from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.pictures import boxed_thumbnail, debug_picture, shrink, thumbnail
from immich_dog_plugin.pipeline import Dog
from immich_dog_plugin.pyramid import Pyramid


def _dog(box: tuple[float, float, float, float], keypoints: bool = True) -> Dog:
    points = np.tile(np.array([20, 20, 0.9], dtype=np.float32), (5, 1)) if keypoints else None
    return Dog(np.array(box, dtype=np.float32), 0.9, points, "body", np.ones(512, dtype=np.float32))


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("shape", [(3000, 4000), (1, 5000), (5000, 1), (1, 1), (30, 20)])
def test_a_thumbnail_is_small_whatever_the_photo(shape: tuple[int, int]) -> None:
    picture = _open(thumbnail(np.zeros((*shape, 3), dtype=np.uint8)))
    assert (picture.format, max(picture.size)) == ("JPEG", min(144, max(shape)))


def test_a_thumbnail_keeps_the_colours() -> None:
    red: ImageArray = np.full((300, 300, 3), (200, 30, 60), dtype=np.uint8)
    assert np.allclose(np.asarray(_open(thumbnail(red)))[70, 70], (200, 30, 60), atol=4)


def test_an_image_that_is_small_enough_is_left_as_it_is() -> None:
    image = np.zeros((10, 20, 3), dtype=np.uint8)
    assert shrink(image, 20) is image


def test_a_boxed_thumbnail_shows_the_box_where_the_dog_is() -> None:
    photo: ImageArray = np.zeros((320, 640, 3), dtype=np.uint8)
    picture = np.asarray(_open(boxed_thumbnail(photo, (100, 40, 500, 280)))).astype(int)
    assert picture.shape == (160, 320, 3)
    lit = np.argwhere(picture[..., 0] > 150)
    np.testing.assert_allclose((lit.min(axis=0), lit.max(axis=0)), ((20, 50), (140, 250)), atol=3)


def test_the_debug_picture_shows_the_box_where_the_dog_is_and_its_crops_below() -> None:
    photo: ImageArray = np.zeros((1000, 2048, 3), dtype=np.uint8)
    body: ImageArray = np.full((64, 64, 3), (0, 0, 255), dtype=np.uint8)
    face: ImageArray = np.full((64, 64, 3), (0, 255, 0), dtype=np.uint8)
    picture = np.asarray(_open(debug_picture(Pyramid(photo), [_dog((400, 400, 800, 800))], [(body, face)]))).astype(int)
    assert picture.shape[1] == 1024
    left_edge, inside = picture[300, 197:204].max(axis=0), picture[300, 300]
    assert left_edge[0] > 150 > inside[0]
    below = picture[500:]
    assert (below[..., 2] - below[..., 0] > 150).any()  # the blue body
    assert (below[..., 1] - below[..., 2] > 150).any()  # the green face


@pytest.mark.parametrize("shape", [(1, 1), (600, 3), (3, 600), (4000, 6000)])
@pytest.mark.parametrize("count", [0, 1, 9])
def test_photos_of_every_shape_can_be_drawn(shape: tuple[int, int], count: int) -> None:
    photo: ImageArray = np.zeros((*shape, 3), dtype=np.uint8)
    dogs = [_dog((0, 0, shape[1], shape[0]), keypoints=number % 2 == 0) for number in range(count)]
    picture = _open(debug_picture(Pyramid(photo), dogs, [(photo[:50, :50],)] * count))
    assert picture.width <= 1024
    assert picture.height <= 1024 + 128 * 9 + 40
