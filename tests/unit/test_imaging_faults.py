from __future__ import annotations

import contextlib
import importlib.util
import struct
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from immich_dog_plugin import decoders, imaging
from immich_dog_plugin.errors import PhotoError
from immich_dog_plugin.imaging import looks_like_photo, megapixels, open_photo, read_photo, taken
from tests.encoded import encoded, gradient

HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None


def test_heic_without_its_reader_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaging, "HEIF_IS_READ", False)  # as where it is not installed
    monkeypatch.setattr(decoders, "_FORMATS", ("JPEG", "PNG"))
    with pytest.raises(PhotoError, match="pip install pillow-heif"):
        read_photo(b"\0\0\0\x18ftypheic" + b"\0" * 40)


@pytest.mark.skipif(not HAS_HEIF, reason="HEIC is read only where it is installed: pip install pillow-heif")
def test_heic_is_read_where_its_reader_is_installed() -> None:
    photo = read_photo(encoded(Image.new("RGB", (64, 64), (200, 30, 30)), "HEIF"))
    assert photo.shape == (64, 64, 3)
    assert abs(photo.mean(axis=(0, 1)) - (200, 30, 30)).max() < 12


@pytest.mark.skipif(not HAS_HEIF, reason="HEIC is read only where it is installed: pip install pillow-heif")
def test_a_damaged_heic_is_not_blamed_on_a_package_that_is_installed() -> None:
    with pytest.raises(PhotoError, match="is damaged") as caught:
        read_photo(b"\0\0\0\x18ftypheic\0\0\0\0mif1heicgarbage")
    assert "install" not in str(caught.value)
    assert "\n" not in caught.value.cause


def test_a_kind_of_heic_that_the_installed_reader_does_not_know_is_not_blamed_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imaging, "HEIF_IS_READ", True)
    monkeypatch.setattr(decoders, "_FORMATS", ("JPEG", "PNG"))
    with pytest.raises(PhotoError, match=r"not an image that can be read\. Leave it out, or convert it to JPEG"):
        read_photo(b"\0\0\0\x18ftypheic" + b"\0" * 40)


@pytest.mark.parametrize("error", [struct.error, KeyError, ZeroDivisionError, RuntimeError])
def test_exif_that_raises_anything_costs_no_photo(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail(self: object) -> None:
        raise error

    content = encoded(gradient(), "WEBP")
    monkeypatch.setattr(Image.Image, "getexif", fail)
    assert read_photo(content).shape == (30, 40, 3)
    assert taken(content) is None


def odd_exif(*tags: bytes, data: bytes = b"") -> bytes:
    """EXIF of raw 12-byte tags, its orientation 6, its data behind them."""
    entries = [*tags, struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)]
    entries.sort(key=lambda tag: struct.unpack("<H", tag[:2]))
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4) + data


ODD_EXIF = {
    "a width in letters": odd_exif(struct.pack("<HHI", 0x100, 2, 4) + b"400\0"),
    "a negative latitude": odd_exif(
        struct.pack("<HHII", 0x8825, 4, 1, 38),
        data=struct.pack("<HHHII", 1, 2, 10, 3, 56) + bytes(4) + struct.pack("<6i", -33, 1, -52, 1, -7, 1),
    ),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "MPO"])
@pytest.mark.parametrize("odd", ODD_EXIF)
def test_metadata_that_cannot_be_written_back_cost_no_photo(kind: str, odd: str) -> None:
    stored = np.zeros((20, 32, 3), dtype=np.uint8)
    stored[:, :16] = 250
    photo = read_photo(encoded(Image.fromarray(stored), kind, exif=ODD_EXIF[odd]))
    assert photo.shape == (32, 20, 3)
    assert photo[:12].mean() > 200
    assert photo[20:].mean() < 50


def test_a_tiff_with_a_latitude_that_cannot_be_written_back_stands_upright() -> None:
    stored = np.full((20, 32), 10, dtype=np.uint8)
    stored[:, :16] = 250
    values = {256: 32, 257: 20, 258: 8, 259: 1, 262: 1, 273: 8, 274: 6, 277: 1, 278: 20, 279: 640, 34853: 800}
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    directory = struct.pack("<H", len(values)) + tags + bytes(4)  # behind the pixels, and ends before the GPS tags
    place = struct.pack("<HHHII", 1, 2, 10, 3, 818) + bytes(4) + struct.pack("<6i", -33, 1, -52, 1, -7, 1)
    content = b"II*\0" + struct.pack("<I", 648) + stored.tobytes() + directory
    content += bytes(800 - len(content)) + place
    photo = read_photo(content)
    assert photo.shape == (32, 20, 3)
    assert (photo[:16] == 250).all()


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0rubbish", b"Exif\0\0"])
def test_a_photo_whose_exif_cannot_be_read_lies_as_it_is(exif: bytes) -> None:
    assert read_photo(encoded(Image.new("RGB", (30, 20)), "JPEG", exif=exif)).shape == (20, 30, 3)


@pytest.mark.parametrize(
    "error", [RuntimeError("of colour\nplanes"), AssertionError(), struct.error("x"), BaseException()]
)
def test_whatever_a_decoder_raises_is_said_of_the_photo_in_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(self: object) -> None:
        raise error

    content = encoded(gradient(), "PNG")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(PhotoError, match=r"a\.png is damaged \(.+\)\. Copy") as caught:
        read_photo(content, "a.png")
    assert "\n" not in caught.value.cause


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_who_ends_the_program_while_a_photo_is_read_ends_it(
    monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def fail(self: object) -> None:
        raise stop

    content = encoded(gradient(), "PNG")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(stop):
        read_photo(content)


@pytest.mark.parametrize("kind", ["EPS", "PPM", "TGA", "ICO", "PCX", "PDF"])
def test_a_format_that_is_no_photo_is_not_opened_whatever_it_is_called(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a photo started a program"))
    file = tmp_path / "holiday.jpg"
    file.write_bytes(encoded(gradient(), kind))
    with pytest.raises(PhotoError, match=r"holiday\.jpg is not an image that can be read. Leave it out, or convert"):
        read_photo(file)
    assert not looks_like_photo(file)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "MPO", "JPEG2000"])
def test_a_photo_without_a_suffix_is_known_by_its_first_bytes(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "IMG_0001"
    file.write_bytes(encoded(gradient(), kind))
    assert looks_like_photo(file)
    assert read_photo(file).shape == (30, 40, 3)


@pytest.mark.parametrize(
    "content", [b"", b"BM is how this letter begins", b"%PDF-1.7", b"\x7fELF" + bytes(60), bytes(64)]
)
def test_other_files_without_a_suffix_do_not_look_like_photos(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert not looks_like_photo(file)
    assert not looks_like_photo(tmp_path / "gone")
    assert not looks_like_photo(tmp_path)


@pytest.mark.parametrize(("kind", "lost"), [("JPEG", 2), ("JPEG", 300), ("PNG", 40), ("PNG", 400), ("BMP", 900)])
def test_a_photo_cut_off_in_its_last_bytes_is_used_and_noted(kind: str, lost: int) -> None:
    rng = np.random.default_rng(0)
    content = encoded(Image.fromarray(rng.integers(30, 90, (240, 200, 3), dtype=np.uint8)), kind)
    source = open_photo(content[:-lost])
    photo = source.pixels()
    assert source.note is not None
    assert "missing" in source.note
    expected = read_photo(content)
    same = (photo == expected).all(axis=(1, 2)).mean()
    assert same > 0.85
    assert (same == 1) == (lost == 2)
    complete = open_photo(content)
    complete.pixels()
    assert complete.note is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_a_photo_of_which_a_large_part_is_missing_is_damaged(kind: str) -> None:
    rng = np.random.default_rng(0)
    content = encoded(Image.fromarray(rng.integers(30, 90, (120, 100, 3), dtype=np.uint8)), kind)
    with pytest.raises(PhotoError, match="damaged"):
        read_photo(content[: len(content) * 3 // 4])


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
def test_a_photo_of_ten_to_sixteen_bits_keeps_its_light(bits: int) -> None:
    values = np.tile(np.linspace(0, 2**bits - 1, 40).astype(np.uint16), (30, 1))
    photo = read_photo(encoded(Image.fromarray(values), "PNG"))
    assert photo[0, [0, 20, 39], 0] == pytest.approx([0, 131, 255], abs=2)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 40.0])
@pytest.mark.parametrize("white", [1.0, 255.0, 1023.0])
def test_a_float_photo_does_not_end_black_for_one_odd_value(odd: float, white: float) -> None:
    values = np.tile(np.linspace(0, white, 40, dtype=np.float32), (30, 1))
    values[3, 20] = odd
    photo = read_photo(encoded(Image.fromarray(values), "TIFF"))
    assert photo[0, [0, 20, 39], 0] == pytest.approx([0, 131, 255], abs=2)


def test_a_float_photo_of_odd_values_alone_is_black_and_no_fault() -> None:
    assert (read_photo(encoded(Image.fromarray(np.full((8, 8), np.nan, dtype=np.float32)), "TIFF")) == 0).all()


def test_a_tall_photo_is_the_same_in_strips_as_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [encoded(gradient(mode).resize((40, 333)), "PNG") for mode in ("RGB", "RGBA", "P", "L")]
    whole = [read_photo(content) for content in contents]
    monkeypatch.setattr("immich_dog_plugin.rgb._STRIP_PIXELS", 400)
    for content, expected in zip(contents, whole, strict=True):
        np.testing.assert_array_equal(read_photo(content), expected)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("span", [1, 2, 4, 8])
def test_a_jpeg_is_decoded_at_the_scale_that_is_asked_for(span: int, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(gradient().resize((403, 301)), "JPEG", exif=exif, quality=95)
    source = open_photo(content)
    width, height = (301, 403) if orientation == 6 else (403, 301)
    assert (source.width, source.height, source.orientation) == (width, height, orientation)
    scaled, whole = source.pixels(span), source.pixels()
    assert scaled.shape == (height // span, width // span, 3)
    inner = whole[: height // span * span, : width // span * span]
    averaged = inner.reshape(height // span, span, width // span, span, 3).mean(axis=(1, 3))
    assert np.abs(averaged - scaled)[2:-2, 2:-2].max() < 8


def test_a_jpeg_above_the_limit_is_decoded_smaller_and_a_png_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", "0.01")
    large = gradient().resize((160, 120))  # 0.02 megapixels
    source = open_photo(encoded(large, "JPEG"))
    assert source.spans == (2, 4, 8)
    assert source.pixels(2).shape == (60, 80, 3)
    with pytest.raises(PhotoError, match=r"160 x 120 pixels.*limit is 0\.01"):
        source.pixels()
    for content in (encoded(large, "PNG"), encoded(large, "JPEG", progressive=True)):
        with pytest.raises(PhotoError, match="IMMICH_DOGS_MAX_MEGAPIXELS"):
            open_photo(content)


def test_photos_are_read_by_many_threads_at_once() -> None:
    kinds = ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"] * 4
    read_photo(encoded(gradient(), "PNG"))  # from the first photo on, Pillow's warnings are left out
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    failures: list[BaseException] = []

    def read(kind: str) -> None:
        try:
            for cut in (None, -2):
                content = encoded(gradient().resize((300, 200)), kind)[:cut]
                with contextlib.suppress(PhotoError):
                    assert read_photo(content).shape == (200, 300, 3)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert limit == Image.MAX_IMAGE_PIXELS
    assert filters == list(warnings.filters)


def test_the_megapixels_that_decoding_takes_are_known_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("immich_dog_plugin.imaging.to_rgb", lambda _: pytest.fail("it was decoded"))
    photo = gradient().resize((400, 300))
    file = tmp_path / "photo.png"
    photo.save(file)
    assert megapixels(file) == pytest.approx(0.12)
    monkeypatch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", "0.05")
    assert megapixels(encoded(photo, "JPEG")) == pytest.approx(0.03)
    assert megapixels(b"no photo") == megapixels(tmp_path / "gone") == 0
