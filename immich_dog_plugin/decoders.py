"""The decoders that may look at a photo, by name, and what a photo's metadata says about how it lies.

Nothing is changed that threads share but Python's filter of warnings, once.
"""

from __future__ import annotations

import io
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path

from PIL import ExifTags, Image, ImageFile

# Each of them decodes in this process. Pillow's others are no photos, and EPS would start Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "JPEG2000", "JXL")  # MPO is read as JPEG
_WEAK_SIGNATURES = frozenset({"BMP"})  # two letters: a text may begin with them
_PREFIX_BYTES = 16  # what Pillow's plugins know a file by
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""What makes a photo of an EXIF orientation upright."""


class UnknownFormatError(Exception):
    """No decoder takes the file for its own."""


def _plugin(module: str, register: str | None = None) -> bool:
    """Whether a package that teaches Pillow a format is installed; from then on Pillow knows it."""
    try:
        plugin = import_module(module)
    except ImportError:
        return False
    if register:
        getattr(plugin, register)()
    return True


HEIF_IS_READ = _plugin("pillow_heif", "register_heif_opener")
_JXL_IS_READ = _plugin("pillow_jxl")

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
PHOTO_SUFFIXES = HEIF_SUFFIXES | ({".jxl"} if _JXL_IS_READ else set()) | {
    ".avif", ".bmp", ".gif", ".insp", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff",
    ".webp",
}  # fmt: skip


def opened(content: bytes, span: int = 1) -> ImageFile.ImageFile:
    """What ``Image.open`` does, without Pillow's limit of size: it is one for the whole process, and ours is a setting.

    Args:
        content: of the file.
        span: 1, 2, 4 or 8 photo pixels to a pixel; only a JPEG can be decoded at more than 1.

    Raises:
        UnknownFormatError: none of the decoders takes it for its own.
        Exception: whatever a decoder raises.
    """
    _silence_pillow()
    refused: Exception = UnknownFormatError()
    for kind in _formats():
        if _accepts(kind, content[:_PREFIX_BYTES]):
            try:
                image = Image.OPEN[kind][0](io.BytesIO(content), "")
            except (SyntaxError, IndexError, TypeError) as error:  # as in Pillow: not of this format
                refused = error
            else:
                if span > 1:
                    image.draft(None, (max(1, image.width // span), max(1, image.height // span)))
                return image
    raise refused


def is_heif(content: bytes) -> bool:
    """Whether a file says that it is HEIC or HEIF."""
    return content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS


def looks_like_photo(path: Path) -> bool:
    """Whether a file begins as a photo does, for those without a suffix; one that cannot be read does not."""
    try:
        with path.open("rb") as file:
            prefix = file.read(_PREFIX_BYTES)
    except OSError:
        return False
    return any(_accepts(kind, prefix) for kind in _formats() if kind not in _WEAK_SIGNATURES)


def orientation_of(image: Image.Image) -> int:
    """1 to 8 as in EXIF; 1 where it does not say, or cannot be understood: metadata costs no photo."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(orientation) if orientation in TURNS else 1
    except Exception:
        return 1


def _formats() -> list[str]:
    """The formats of ours that this Pillow has a decoder for."""
    Image.init()  # does nothing the second time
    return [kind for kind in _FORMATS if kind in Image.OPEN]


def _accepts(kind: str, prefix: bytes) -> bool:
    accept = Image.OPEN[kind][1]
    if accept is None or not prefix:
        return False
    accepted = accept(prefix)
    return bool(accepted) and not isinstance(accepted, str)  # a text says why it is not


@cache
def _silence_pillow() -> None:
    """Pillow warns of broken metadata, which costs no photo here. ``catch_warnings`` would be no better: threads share
    what it changes. The service decodes no photo here, so there the warnings stay."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
