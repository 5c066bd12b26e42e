from __future__ import annotations

import io
from collections import Counter

import pytest
from PIL import Image

from harness.abuse import images
from harness.abuse.images import DAMAGES, FORMATS, abusive_image, picture

# What a file of the format says instead of the mode that was written into it.
READ_AS = {
    ("JPEG", "YCbCr"): "RGB",
    ("WEBP", "RGBA"): "RGB",  # the noise has no transparent pixel
    ("AVIF", "RGBA"): "RGB",
    ("GIF", "L"): "P",
    ("GIF", "1"): "L",
    ("BMP", "RGBA"): "RGB",
}


@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name, modes in FORMATS.items() for mode in modes])
def test_every_format_is_written_in_every_mode_that_it_has(name: str, mode: str) -> None:
    if name not in images._writable():
        assert images._encoded(name, [picture(1, mode, (32, 32))], {})
        return
    with Image.open(io.BytesIO(images._encoded(name, [picture(1, mode, (32, 32))], {}))) as image:
        assert (image.size, image.mode) == ((32, 32), READ_AS.get((name, mode), mode))
        image.load()


def test_an_image_is_made_from_its_seed_and_number_alone() -> None:
    assert [abusive_image(0, number) for number in (3, 1, 2)] == [abusive_image(0, number) for number in (3, 1, 2)]
    assert abusive_image(0, 1).content != abusive_image(1, 1).content


def test_every_damage_and_every_format_occurs() -> None:
    words = Counter(word for number in range(150) for word in abusive_image(0, number).what.split())
    assert all(words[damage.__name__.lstrip("_")] for damage in DAMAGES)
    assert all(words[name] for name in FORMATS)
    assert words["EXIF"]
    assert words["x4"]


def test_a_bomb_is_small_until_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "BOMB_SIDE", 4000)
    bomb = abusive_image(0, images.BOMB_EVERY - 1)
    assert bomb.what.endswith("bomb")
    assert len(bomb.content) < 4000
    with Image.open(io.BytesIO(bomb.content)) as image:
        assert image.size == (4000, 4000)
