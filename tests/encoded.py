"""Small drawn photos as files of any format."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(mode: str = "RGB") -> Image.Image:
    row = np.linspace(0, 255, 40, dtype=np.uint8)
    return Image.fromarray(np.stack([np.tile(row, (30, 1))] * 3, axis=2)).convert(mode)
