"""A photo from disk or memory as an upright RGB array, whatever its format and mode.

Nothing else in the project opens a photo: whatever a decoder raises becomes an error with cause and cure here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from .decoders import (
    HEIF_IS_READ,
    PHOTO_SUFFIXES,
    TURNS,
    UnknownFormatError,
    is_heif,
    looks_like_photo,
    opened,
    orientation_of,
)
from .errors import PhotoError
from .geometry import ImageArray
from .rgb import to_rgb
from .settings import PhotoLimit

__all__ = ["PHOTO_SUFFIXES", "PhotoSource", "looks_like_photo", "megapixels", "open_photo", "read_photo", "taken"]

MB_PER_MEGAPIXEL = 22  # what decoding takes at most; tests/unit/test_imaging_memory.py measures it

_SCALED = frozenset({"JPEG", "MPO"})  # what libjpeg decodes can be scaled meanwhile,
_SPANS = (1, 2, 4, 8)  # with so many photo pixels to a pixel
_MOST_MISSING = 0.1  # of a photo's rows: one that lacks more is damaged, one that lacks less is used
_END_OF_JPEG = b"\xff\xd9"
_JPEG_FILL = 128  # libjpeg's mid-grey where a file ends early


class PhotoSource:
    """An opened photo: what its header says, and its pixels at the scale that they are needed at.

    Attributes:
        content: of the file.
        name: what errors call it.
        format, mode: Pillow's names, such as ``JPEG`` and ``RGB``.
        orientation: 1 to 8 as in EXIF, 1 where the file does not say or cannot be understood.
        width, height: of the whole photo, upright, in pixels.
        spans: photo pixels to a pixel that it can be decoded at, finest first.
        note: what is wrong with a photo that is used all the same, known once it is decoded; ``None`` with most.

    Raises:
        PhotoError: as ``open_photo``.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        self.note: str | None = None
        self.content = content
        self._whole: ImageArray | None = None
        with _explained(name, content):
            image = opened(content)
            self.format = image.format or ""
            self.mode = image.mode
            self.spans = _spans(image, name)
            # A PNG may say behind its pixels how it lies, and asking it decodes them.
            self.orientation = 1 if image.format == "PNG" else orientation_of(image)
            self.width, self.height = image.size if self.orientation < 5 else image.size[::-1]
            if self.format not in _SCALED:
                self._whole = self._decode(1)
                self.height, self.width = self._whole.shape[:2]

    def pixels(self, span: int = 1) -> ImageArray:
        """Upright RGB ``uint8`` of shape ``(height // span, width // span, 3)``; a JPEG is decoded anew each time.

        Sides that are no multiple of ``span`` (no camera makes such) lie up to one of these pixels apart from those of
        the whole photo where it was turned: libjpeg counts from the corner that comes first in the file.

        Raises:
            PhotoError: truncated, damaged, or too large for this span.
        """
        if self._whole is not None and span == 1:
            return self._whole
        if span not in self.spans:
            raise _too_large(self.name, self.width, self.height)
        with _explained(self.name, self.content):
            pixels = self._decode(span)
        return pixels[: max(1, self.height // span), : max(1, self.width // span)]

    def _decode(self, span: int) -> ImageArray:
        image, missing = _loaded(self.content, span)
        if missing is not None:
            self.note = f"its end is missing ({missing:.0%} of its rows)" if missing else "its last bytes are missing"
        left = orientation_of(image)  # the TIFF reader turns by itself
        if image.format == "PNG":
            self.orientation = left
        if left != 1:
            image = image.transpose(TURNS[left])  # and the photo as it lay is gone before its pixels are copied
        return to_rgb(image)


def open_photo(source: Path | bytes, name: str | None = None) -> PhotoSource:
    """Open a photo; a JPEG's pixels are decoded when they are asked for.

    The first frame of an animation counts. Transparency is laid on white, 16-bit is scaled down, CMYK and palettes
    are converted.

    Args:
        source: a file, or its content.
        name: what errors call the photo; the path by default.

    Raises:
        PhotoError: empty, truncated, not an image, too large, HEIC without pillow-heif, or unreadable.
    """
    name = name or (str(source) if isinstance(source, Path) else "the photo")
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise PhotoError(f"{name} cannot be read ({error.strerror})", "Check that it exists and may be read") from error
    if not content:
        raise PhotoError(f"{name} is empty (0 bytes)", "Copy it again from its source")
    return PhotoSource(content, name)


def read_photo(source: Path | bytes, name: str | None = None) -> ImageArray:
    """Decode a photo whole: upright, RGB, ``uint8`` of shape ``(height, width, 3)``; see ``open_photo``.

    Raises:
        PhotoError: as ``open_photo``.
    """
    return open_photo(source, name).pixels()


def megapixels(source: Path | bytes) -> float:
    """How many megapixels decoding a photo takes at once, by its header; 0 where it cannot be read, and
    ``open_photo`` says why. A JPEG above the limit is decoded smaller."""
    try:
        image = opened(source if isinstance(source, bytes) else source.read_bytes())
        return image.width * image.height / 1e6 / _spans(image, "")[0] ** 2
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # of whatever kind: who decodes reads the header again
        return 0.0


def taken(content: bytes) -> datetime | None:
    """When a photo was taken by its camera's clock (EXIF ``DateTimeOriginal``); ``None`` where it does not say."""
    try:
        text = opened(content).getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        return datetime.strptime(str(text).rstrip("\0"), "%Y:%m:%d %H:%M:%S")
    # Without the tag, with zeros in it, or damaged in one of the many ways of a header.
    except Exception:
        return None


def _spans(image: Image.Image, name: str) -> tuple[int, ...]:
    """The spans at which a photo fits into the memory.

    libjpeg never holds what a smaller scale does not need, but all coefficients of a progressive photo.

    Raises:
        PhotoError: there is none.
    """
    limit = PhotoLimit().max_megapixels
    scaled = image.format in _SCALED
    whole = not scaled or bool(image.info.get("progressive"))
    megapixels = image.width * image.height / 1e6
    spans = tuple(span for span in (_SPANS if scaled else (1,)) if megapixels <= limit * (1 if whole else span**2))
    if not spans:
        raise _too_large(name, image.width, image.height)
    return spans


def _too_large(name: str, width: int, height: int) -> PhotoError:
    return PhotoError(
        f"{name} has {width} x {height} pixels ({width * height / 1e6:.0f} megapixels), "
        f"the limit is {PhotoLimit().max_megapixels:g}",
        "Scale it down, or raise IMMICH_DOGS_MAX_MEGAPIXELS if the memory allows "
        f"(up to {MB_PER_MEGAPIXEL} MB per megapixel)",
    )


def _loaded(content: bytes, span: int) -> tuple[Image.Image, float | None]:
    """A decoded image, and which share of its rows is missing: ``None`` of a whole file."""
    image = opened(content, span)
    try:
        image.load()
        return image, None
    except OSError:
        if image.format in _SCALED and image.mode in ("RGB", "L"):
            # With an end libjpeg decodes what is there, down to the last block, and fills the rest with grey.
            image = opened(content + _END_OF_JPEG, span)
            image.load()
            fill = _JPEG_FILL
        elif (
            image.format in ("PNG", "BMP")
            and getattr(image, "_im", None) is not None
            and not image.info.get("interlace")
        ):
            image.tile = []  # what was decoded is there, the rest is zero
            fill = 0
        else:
            raise
        missing = _flat(np.asarray(image), fill)
        if missing > _MOST_MISSING:
            raise
        return image, missing


def _flat(values: NDArray[Any], fill: int) -> float:
    """The share of rows at the end (of a BMP at the beginning) that are nothing but ``fill``."""
    real = np.flatnonzero((values.reshape(len(values), -1) != fill).any(axis=1))
    return 1.0 if len(real) == 0 else max(int(real[0]), len(values) - 1 - int(real[-1])) / len(values)


@contextmanager
def _explained(name: str, content: bytes) -> Iterator[None]:
    """Turn whatever a decoder raises into one error with cause and cure: no list of their exceptions is ever whole."""
    try:
        yield
    except (PhotoError, KeyboardInterrupt, SystemExit):
        raise
    except UnknownFormatError as error:
        if is_heif(content) and not HEIF_IS_READ:
            raise PhotoError(
                f"{name} is a HEIC/HEIF photo and the package 'pillow-heif' is not installed",
                "Install it with: pip install pillow-heif",
            ) from error
        raise PhotoError(f"{name} is not an image that can be read", "Leave it out, or convert it to JPEG") from error
    except MemoryError as error:
        raise PhotoError(f"{name} does not fit into the memory", "Scale it down") from error
    except BaseException as error:  # a decoder in Rust panics with an exception that is no Exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PhotoError(f"{name} is damaged ({reason})", "Copy it again from its source") from error
