"""A photo from disk or memory as an upright RGB array, whatever its format and mode."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from .errors import PhotoError
from .geometry import ImageArray
from .settings import Settings

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
PHOTO_SUFFIXES = HEIF_SUFFIXES | {
    ".avif", ".bmp", ".gif", ".insp", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff",
    ".webp",
}  # fmt: skip
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def looks_like_photo(path: Path) -> bool:
    """Whether a file begins as a photo does, for those without a suffix; one that cannot be read does not."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return False
    if start[4:8] == b"ftyp":
        return start[8:12] in (*_HEIF_BRANDS, b"avif")
    return start.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8")) or start[8:12] == b"WEBP"


def read_photo(source: Path | bytes, name: str | None = None) -> ImageArray:
    """Decode a photo once: upright (EXIF), RGB, ``uint8`` of shape ``(height, width, 3)``.

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
    with _explained(name, content), _quiet_pillow, Image.open(io.BytesIO(content)) as image:
        _refuse_huge(image, name)
        image.seek(0)
        image.load()
        return from_pil(image)


def taken(content: bytes) -> datetime | None:
    """When a photo was taken by its camera's clock (EXIF ``DateTimeOriginal``); ``None`` where it does not say."""
    try:
        with _quiet_pillow, Image.open(io.BytesIO(content)) as image:
            text = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
            return datetime.strptime(str(text).rstrip("\0"), "%Y:%m:%d %H:%M:%S")
    # Without the tag, with zeros in it, or damaged in one of the many ways of a header.
    except (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, struct.error):
        return None


def megapixels(source: Path | bytes) -> float:
    """The size that a photo's header names, without decoding it; 0 where it cannot be read: ``read_photo`` says why."""
    try:
        with _quiet_pillow, Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return image.width * image.height / 1e6
    except Exception:  # of whatever kind: a header is read again by who decodes
        return 0.0


def from_pil(image: Image.Image) -> ImageArray:
    """An opened Pillow image as an upright RGB array ``(height, width, 3)``."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        image = _eight_bit(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits to 8 bits. Pillow's own conversion clips at 255 instead, which leaves a white photo."""
    values = np.asarray(image, dtype=np.float64)
    # A 16-bit photo spans 0..65535; one of mode "I" or "F" may as well span 0..255, and one of mode "F" 0..1.
    largest = values.max(initial=0)
    top = 65535.0 if largest > 255 else 1.0 if image.mode == "F" and largest <= 1 else 255.0
    return Image.fromarray(np.clip(values * (255 / top), 0, 255).astype(np.uint8))


def _refuse_huge(image: Image.Image, name: str) -> None:
    megapixels = image.width * image.height / 1e6
    limit = Settings().max_megapixels
    if megapixels > limit:
        raise PhotoError(
            f"{name} has {image.width} x {image.height} pixels ({megapixels:.0f} megapixels), the limit is {limit:.0f}",
            "Scale it down, or raise IMMICH_DOGS_MAX_MEGAPIXELS if the memory allows (about 8 MB per megapixel)",
        )


class _QuietPillow:
    """Without Pillow's own limit of size (ours is a setting) and its warnings of broken EXIF (then there is none).

    Both are the process's and not the thread's: the first thread that reads a photo sets them, the last one puts them
    back, or the limit would come back while another thread still reads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._undo = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._undo.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                self._undo.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
                Image.MAX_IMAGE_PIXELS = None
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._undo.close()


_quiet_pillow = _QuietPillow()


@contextmanager
def _explained(name: str, content: bytes) -> Iterator[None]:
    """Turn Pillow's many ways to fail into one error with cause and cure."""
    try:
        yield
    except UnidentifiedImageError as error:
        if content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS:
            raise PhotoError(
                f"{name} is a HEIC/HEIF photo and the package 'pillow-heif' is not installed",
                "Install it with: pip install pillow-heif",
            ) from error
        raise PhotoError(f"{name} is not an image that can be read", "Remove it, or convert it to JPEG") from error
    except MemoryError as error:
        raise PhotoError(f"{name} does not fit into the memory", "Scale it down") from error
    # Pillow's decoders raise many kinds on damaged data: OSError (truncated), SyntaxError (PNG), ValueError, and
    # struct.error or IndexError from its header readers. All of them mean the same to the user.
    except (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, EOFError, ArithmeticError) as error:
        raise PhotoError(f"{name} is damaged ({error})", "Copy it again from its source") from error


def _register_heif() -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return
    register_heif_opener()


_register_heif()
