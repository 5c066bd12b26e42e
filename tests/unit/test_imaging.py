from __future__ import annotations

import contextlib
import importlib.util
import struct
import zlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from immich_dog_plugin.errors import PhotoError
from immich_dog_plugin.imaging import read_photo, taken
from tests.encoded import encoded, gradient

HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "JPEG"), ("CMYK", "JPEG"), ("L", "JPEG"), ("P", "PNG"), ("1", "PNG"), ("L", "TIFF")]
)
def test_every_mode_becomes_rgb(mode: str, kind: str) -> None:
    photo = read_photo(encoded(gradient(mode), kind))
    assert (photo.shape, photo.dtype) == ((30, 40, 3), np.uint8)
    assert photo[:, 35:].mean() > 200
    assert photo[:, :5].mean() < 55


def test_a_16_bit_photo_keeps_its_greys_instead_of_turning_white() -> None:
    values = np.tile(np.linspace(0, 65535, 40).astype(np.uint16), (30, 1))
    photo = read_photo(encoded(Image.fromarray(values), "PNG"))
    assert photo[0, 20, 0] == pytest.approx(131, abs=2)
    assert photo[0, 0, 0] == 0
    assert photo[0, 39, 0] == 255


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    image = Image.new(mode, (8, 8), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    assert (read_photo(encoded(image, "PNG")) == 255).all()


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    photo = read_photo(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert photo[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_stands_upright_whatever_its_exif_orientation(orientation: int) -> None:
    upright = np.zeros((20, 30, 3), dtype=np.uint8)
    upright[:8, :8] = (255, 0, 0)  # upper left corner
    turn_back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = Image.fromarray(upright)
    if orientation in turn_back:
        stored = stored.transpose(turn_back[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(read_photo(encoded(stored, "PNG", exif=exif)), upright)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"This is a text file, not a photo.", "not an image"),
        (encoded(gradient(), "JPEG")[:300], "damaged|not an image"),
        (encoded(gradient().resize((400, 300)), "JPEG")[:-600], "damaged"),
        (encoded(gradient().resize((400, 300)), "PNG")[:200], "damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "damaged|not an image"),
    ],
)
def test_a_bad_file_is_named_with_cause_and_cure(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "holiday.jpg"
    file.write_bytes(content)
    with pytest.raises(PhotoError, match=message) as caught:
        read_photo(file)
    assert "holiday.jpg" in caught.value.cause
    assert caught.value.cure


@pytest.mark.parametrize("seed", range(60))
def test_a_photo_with_flipped_bytes_is_either_read_or_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kind = ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP")[seed % 6]
    content = bytearray(encoded(gradient(), kind))
    for position in rng.integers(0, len(content), 8):
        content[position] = rng.integers(0, 256)
    with contextlib.suppress(PhotoError):  # anything else that is raised fails this test
        assert read_photo(bytes(content)).shape[2] == 3


def test_a_one_pixel_photo_is_a_photo() -> None:
    assert read_photo(encoded(Image.new("RGB", (1, 1), "red"), "PNG")).tolist() == [[[255, 0, 0]]]


def png_header(side: int) -> bytes:
    """A PNG that says it has ``side`` x ``side`` pixels and holds none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(("side", "megapixels"), [(30_000, 900), (16_000, 256), (10_100, 102)])
def test_a_huge_photo_is_refused_before_it_is_decoded(side: int, megapixels: int) -> None:
    with pytest.raises(PhotoError, match=rf"{megapixels} megapixels.*IMMICH_DOGS_MAX_MEGAPIXELS"):
        read_photo(png_header(side))


def test_the_size_limit_can_be_raised_above_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", "1000")
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(PhotoError, match="damaged"):  # past the limit: now its missing pixels are what is wrong
        read_photo(png_header(14_200))
    assert limit == Image.MAX_IMAGE_PIXELS  # which is the process's


def test_a_float_photo_from_0_to_1_keeps_its_greys() -> None:
    values = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (30, 1))
    photo = read_photo(encoded(Image.fromarray(values), "TIFF"))
    assert photo[0, 20, 0] == pytest.approx(131, abs=2)


def test_the_size_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", "0.001")
    with pytest.raises(PhotoError, match="IMMICH_DOGS_MAX_MEGAPIXELS"):
        read_photo(encoded(gradient(), "PNG"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024:05:06 07:08:09", datetime(2024, 5, 6, 7, 8, 9)),
        ("0000:00:00 00:00:00", None),  # a camera without a clock
        ("yesterday", None),
        (None, None),
    ],
)
def test_the_time_of_a_photo_is_its_cameras(text: str | None, expected: datetime | None) -> None:
    exif = Image.Exif()
    if text:
        exif.get_ifd(0x8769)[0x9003] = text
    assert taken(encoded(Image.new("RGB", (8, 8)), "JPEG", exif=exif)) == expected


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00MM\x00*\xff\xff\xff\xff"]
)
def test_a_damaged_header_has_no_time(content: bytes) -> None:
    assert taken(content) is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"gone\.jpg cannot be read \(No such file"):
        read_photo(tmp_path / "gone.jpg")
