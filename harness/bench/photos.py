"""The photos of the bench: drawn or a user's own, as a telephone saves them and as Immich's server passes them on."""

from __future__ import annotations

import io
from math import sqrt
from pathlib import Path

import numpy as np
from PIL import Image

from drawn_dogs.photos import draw_dog, draw_group, draw_scene
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.scan import scan

PREVIEW = 1440  # pixels of the longer side: what Immich's server sends
ORIGINAL = 12.0  # megapixels of a telephone's photo
HUGE = (14_000, 13_000)  # pixels of a large scan or panorama: 182 megapixels
_NOISE = 6.0  # levels, standard deviation. With it a drawn photo of 12 megapixels is a file of 3 MB, as a telephone's
_JPEG_OF_A_TELEPHONE, _JPEG_OF_THE_SERVER = 92, 80  # quality


def drawn_photos() -> list[ImageArray]:
    """Twenty photos of one dog, two of two dogs, two without."""
    drawn = [draw_dog(number % 6, number) for number in range(20)]
    drawn += [draw_group([0, 1], 0), draw_group([2, 3], 1), draw_scene(0), draw_scene(1)]
    return [photo.image for photo in drawn]


def photos_in(folder: Path) -> list[ImageArray]:
    return [read_photo(photo.path) for photo in scan(folder).photos]


def as_preview(photo: ImageArray) -> bytes:
    """A photo as the JPEG preview that Immich's server would send."""
    return _jpeg(_resized(Image.fromarray(photo), PREVIEW / max(photo.shape[:2])), _JPEG_OF_THE_SERVER)


def as_original(photo: ImageArray, megapixels: float = ORIGINAL) -> bytes:
    """A photo as the JPEG of a telephone: enlarged to ``megapixels`` unless it has them, with a sensor's noise."""
    scale = sqrt(megapixels * 1e6 / (photo.shape[0] * photo.shape[1]))
    if scale <= 1:
        return _jpeg(Image.fromarray(photo), _JPEG_OF_A_TELEPHONE)
    pixels = np.asarray(_resized(Image.fromarray(photo), scale), dtype=np.float32)
    pixels += np.random.default_rng(0).standard_normal(pixels.shape, dtype=np.float32) * np.float32(_NOISE)
    return _jpeg(Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)), _JPEG_OF_A_TELEPHONE)


def as_huge(original: bytes, size: tuple[int, int] = HUGE) -> bytes:
    """A photo again and again beside itself, a JPEG of ``size`` (width, height)."""
    tile = Image.fromarray(read_photo(original))
    canvas = Image.new("RGB", size)
    for y in range(0, size[1], tile.height):
        for x in range(0, size[0], tile.width):
            canvas.paste(tile, (x, y))
    return _jpeg(canvas, _JPEG_OF_A_TELEPHONE)


def _resized(image: Image.Image, scale: float) -> Image.Image:
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
