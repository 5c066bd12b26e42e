"""Images that a camera, a broken disk or a hostile client may send; each is made from a seed and its number alone."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

# Modes that a file of the format can hold, and so those that a decoder can meet.
FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": ("RGB", "L", "CMYK", "YCbCr"),
    "PNG": ("RGB", "RGBA", "P", "L", "LA", "1", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("P", "L", "1"),
    "TIFF": ("RGB", "RGBA", "CMYK", "L", "LA", "P", "PA", "1", "I", "F", "I;16", "YCbCr", "LAB"),
    "BMP": ("RGB", "RGBA", "L", "P", "1"),
    "AVIF": ("RGB", "RGBA"),
    "JPEG2000": ("RGB", "RGBA", "L", "LA"),
    "ICO": ("RGBA",),
    "PPM": ("RGB", "L", "1"),
    "TGA": ("RGB", "RGBA", "L", "P"),
    "DDS": ("RGB", "RGBA", "L"),
    "SGI": ("RGB", "L"),
    "PCX": ("RGB", "L", "P", "1"),
    "MPO": ("RGB",),
    "HEIF": ("RGB", "RGBA"),
}
ANIMATED = ("GIF", "PNG", "WEBP", "TIFF")
WITH_EXIF = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "MPO")
WITH_ANY_EXIF = ("JPEG", "PNG", "WEBP", "MPO")  # the writers of the others refuse to write nonsense
ORIENTATION = 0x0112
# Not in every build of Pillow: then only the beginning of such a file is sent, which is what most decoders get to see.
FILE_STARTS = {
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(200),
    "HEIF": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
    "JPEG2000": b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 " + bytes(200),
    "WEBP": b"RIFF\xff\0\0\0WEBPVP8 " + bytes(200),
}
NO_IMAGES = (
    b"", b"\0", b"\xff" * 1000, b"not an image", b"<html></html>", b"%PDF-1.4\n", b"PK\x03\x04" + bytes(100),
    b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', b"#!/bin/sh\n", b"\x7fELF",
    b"http://127.0.0.1:9/photo.jpg", b"/etc/passwd", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"BM",
)  # fmt: skip
BOMB_EVERY = 1000  # a bomb fills hundreds of megabytes while it is decoded
BOMB_SIDE = 9_900  # 98 megapixels, below the setting's limit and Pillow's


@dataclass(frozen=True, slots=True)
class AbusiveImage:
    """One file.

    Attributes:
        what: its number, format, mode, size and what was done to it.
    """

    what: str
    content: bytes


def abusive_image(seed: int, number: int) -> AbusiveImage:
    """The same file for the same seed and number, as long as Pillow encodes it the same."""
    dice = random.Random(f"{seed} {number}")
    if number % BOMB_EVERY == BOMB_EVERY - 1:
        return AbusiveImage(f"{number} bomb", _bomb(BOMB_SIDE))
    if dice.random() < 0.03:
        return AbusiveImage(f"{number} no image", dice.choice(NO_IMAGES))
    name = dice.choice(list(FORMATS))
    mode = dice.choice(FORMATS[name])
    size = _size(dice)
    frames = dice.choice((1, 1, 2, 4)) if name in ANIMATED and mode in ("RGB", "RGBA", "P") else 1
    extras = _exif(dice, name) if name in WITH_EXIF and dice.random() < 0.3 else {}
    whole = _encoded(name, [picture(dice.randrange(1 << 30), mode, size) for _ in range(frames)], extras)
    damage = dice.choice(DAMAGES)
    what = f"{number} {name} {mode} {size[0]}x{size[1]} x{frames}{' EXIF' * bool(extras)} {damage.__name__.lstrip('_')}"
    return AbusiveImage(what, damage(whole, dice))


def picture(seed: int, mode: str, size: tuple[int, int]) -> Image.Image:
    """Noise with a red rectangle in it, in a mode of Pillow's."""
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = (255, 0, seed % 256)
    image = Image.fromarray(pixels)
    match mode:
        case "I;16":
            return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
        case "LAB":
            return Image.frombytes("LAB", size, pixels.tobytes())
        case "PA":
            return image.convert("P").convert("PA")
        case _:
            return image.convert(mode)


def _size(dice: random.Random) -> tuple[int, int]:
    if dice.random() < 0.85:
        return dice.randint(1, 160), dice.randint(1, 160)
    slim = dice.choice((1, 2, 3)), dice.choice((1, 100, 1000, 10_000, 32_767, 32_768, 60_000))
    return slim if dice.random() < 0.5 else slim[::-1]


def _exif(dice: random.Random, name: str) -> dict[str, Any]:
    if name in WITH_ANY_EXIF and dice.random() < 0.3:
        return {"exif": b"Exif\0\0" + dice.randbytes(dice.choice((4, 60, 6000)))}
    exif = Image.Exif()
    exif[ORIENTATION] = dice.choice((1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 60_000))
    return {"exif": exif}


def _encoded(name: str, frames: Sequence[Image.Image], extras: dict[str, Any]) -> bytes:
    first, *others = frames
    too_large = {"ICO": 256, "WEBP": 16_383, "TGA": 65_535, "AVIF": 8192, "HEIF": 8192, "PCX": 16_383}.get(name)
    if name not in _writable() or (too_large and max(first.size) > too_large):
        return FILE_STARTS.get(name, b"") or _encoded("PNG", [first.convert("RGB")], {})
    buffer = io.BytesIO()
    options = {"save_all": True, "append_images": others} if others else {}
    first.save(buffer, name, **options, **extras)
    return buffer.getvalue()


@cache
def _writable() -> frozenset[str]:
    """The formats that Pillow writes here."""
    Image.init()
    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
    return frozenset(Image.SAVE)


@cache
def _bomb(side: int) -> bytes:
    """A photo of a few kilobytes that fills hundreds of megabytes."""
    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def _whole(content: bytes, _: random.Random) -> bytes:
    return content


def _cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content) + 1)]


def _bits_flipped(content: bytes, dice: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(dice.choice((1, 3, 30))):
        bit = dice.randrange(len(damaged) * 8)
        damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def _header_changed(content: bytes, dice: random.Random) -> bytes:
    """A number near the beginning, where sizes, offsets and lengths stand, becomes an extreme one."""
    at = dice.randrange(min(64, len(content)))
    number = dice.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff", b"\0\0\x20\0"))
    return content[:at] + number[: dice.choice((2, 4))] + content[at + 4 :]


def _header_of_another(content: bytes, dice: random.Random) -> bytes:
    start = dice.choice([start for start in NO_IMAGES if len(start) < 12])
    return start + content[len(start) :]


def _overwritten(content: bytes, dice: random.Random) -> bytes:
    at, length = dice.randrange(len(content)), dice.choice((4, 64, 1024))
    filling = dice.choice((bytes(length), b"\xff" * length, dice.randbytes(length)))
    return content[:at] + filling + content[at + length :]


def _piece_lost(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content))
    return content[:at] + content[at + dice.choice((1, 4, 100)) :]


def _piece_doubled(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content))
    return content[: at + dice.choice((4, 100))] + content[at:]


def _more_behind_it(content: bytes, dice: random.Random) -> bytes:
    return content + dice.choice((dice.randbytes(500), content, b"<?php ?>"))


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _whole, _whole, _cut, _bits_flipped, _header_changed, _header_of_another, _overwritten, _piece_lost, _piece_doubled,
    _more_behind_it,
)  # fmt: skip
