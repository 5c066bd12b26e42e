"""A decoded Pillow image of any mode as RGB bytes, strip by strip, so that no second copy of a large photo is made."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .geometry import ImageArray

_STRIP_PIXELS = 1 << 18
_DEEP_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})  # grey of more than 8 bits
_SAMPLES_PER_STRIP = 1 << 12


def to_rgb(image: Image.Image) -> ImageArray:
    """``(height, width, 3)`` RGB ``uint8``.

    Transparency is laid on white. Grey of more than 8 bits is scaled by the range that its values need: 10 to 16 bits
    of an integer, 0 to 1 or more of a float.
    """
    rgb = np.empty((image.height, image.width, 3), dtype=np.uint8)
    white = _white(image) if image.mode in _DEEP_MODES else 0.0
    for top, strip in _strips(image):
        if image.mode in _DEEP_MODES:
            rgb[top : top + strip.height] = _eight_bit(strip, white)[:, :, None]
        else:
            opaque = _on_white(strip)
            rgb[top : top + strip.height] = np.asarray(opaque if opaque.mode == "RGB" else opaque.convert("RGB"))
    return rgb


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in strips of about a quarter of a megapixel, each with its first row."""
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _white(image: Image.Image) -> float:
    """The value that becomes 255: one below a power of two, as the 1023, 4095 and 65535 of 10, 12 and 16 bits are.

    An integer's is that of its largest value. A float's is that of all but its brightest hundredth, because a
    reflection may be far brighter than white, which is 1; what is not finite does not count.
    """
    if image.mode == "F":
        finite = [values[np.isfinite(values)] for values in (_sample(strip) for _, strip in _strips(image))]
        values = np.concatenate(finite)
        return _full_range(float(np.percentile(values, 99)), least=1) if len(values) else 1.0
    return _full_range(max(float(np.asarray(strip).max()) for _, strip in _strips(image)), least=255)


def _full_range(value: float, least: int) -> float:
    """
    >>> [_full_range(value, least=255) for value in (7, 256, 1000, 65535)]
    [255.0, 511.0, 1023.0, 65535.0]
    """
    return max(2.0 ** math.ceil(math.log2(max(value, 0) + 1)) - 1, float(least))


def _sample(strip: Image.Image) -> NDArray[np.float32]:
    values = np.asarray(strip, dtype=np.float32).ravel()
    return values[:: max(1, len(values) // _SAMPLES_PER_STRIP)]


def _eight_bit(strip: Image.Image, white: float) -> NDArray[np.uint8]:
    """Grey of 16 or 32 bits to 8 bits. Pillow's own conversion clips at 255 instead, which leaves a white photo."""
    values = np.nan_to_num(np.asarray(strip, dtype=np.float32), nan=0, posinf=white, neginf=0)
    return np.asarray(np.clip(values * np.float32(255 / white), 0, 255), dtype=np.uint8)
