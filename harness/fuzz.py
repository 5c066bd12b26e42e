"""Damaged and odd photos against the reader: ``python -m harness.fuzz --minutes 60``.

Each is a small photo of a format that is read, with metadata of any kind, whose bytes were changed, cut or mixed with
those of another. Whatever comes of it must be pixels or a ``PhotoError``; no program may be started, and no more memory
taken than the setting allows.
"""

from __future__ import annotations

import argparse
import io
import os
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from immich_dog_plugin.errors import PhotoError
from immich_dog_plugin.imaging import MB_PER_MEGAPIXEL, open_photo, taken

# What the suffixes that are read stand for, each with the modes that a file of it can hold.
FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": ("RGB", "L", "CMYK"),
    "MPO": ("RGB",),
    "PNG": ("RGB", "RGBA", "P", "L", "LA", "1", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("P", "L"),
    "BMP": ("RGB", "L", "1"),
    "TIFF": ("RGB", "RGBA", "CMYK", "L", "I;16", "F"),
    "AVIF": ("RGB", "RGBA"),
    "HEIF": ("RGB",),
    "JPEG2000": ("RGB", "L"),
}
MAX_MEGAPIXELS = 4.0  # the setting while it runs: small, so that a reader that ignores it shows
_SPARE_MB = 64  # of the decoders themselves, whatever the photo
_PROGRAMS = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system")

_started: list[str] = []
_watching = False


class FuzzError(AssertionError):
    """The reader broke a promise."""


def _audit(event: str, _: tuple[Any, ...]) -> None:
    if _watching and event in _PROGRAMS:
        _started.append(event)


@cache
def _watch() -> None:
    sys.addaudithook(_audit)  # for good: Python has no way to take one back


@contextmanager
def _watched() -> Iterator[None]:
    global _watching  # noqa: PLW0603
    _watch()
    _started.clear()
    _watching = True
    try:
        yield
    finally:
        _watching = False


def peak_mb() -> float:
    """The largest resident memory of this process so far; ``ru_maxrss`` would count its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def check(content: bytes, baseline_mb: float | None = None) -> None:
    """Read a photo at all scales, and when it was taken.

    Args:
        content: of the file.
        baseline_mb: peak before the first photo; where it is given, memory is checked.

    Raises:
        FuzzError: a promise was broken.
        Exception: any but ``PhotoError`` breaks one too.
    """
    with _watched():
        taken(content)
        try:
            source = open_photo(content)
            for span in source.spans[::-1]:
                pixels = source.pixels(span)
                if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
                    raise FuzzError(f"the pixels are {pixels.dtype} {pixels.shape}")
        except PhotoError as error:
            if not error.cure or "\n" in str(error):
                raise FuzzError(f"not one line with a cure: {error}") from error
    if _started:
        raise FuzzError(f"the reader started a program: {_started}")
    promised = MAX_MEGAPIXELS * MB_PER_MEGAPIXEL + _SPARE_MB
    if baseline_mb is not None and peak_mb() - baseline_mb > promised:
        raise FuzzError(f"{peak_mb() - baseline_mb:.0f} MB were taken where {promised:.0f} are promised")


@cache
def photo(kind: str, mode: str, metadata: bytes, progressive: bool) -> bytes:
    """A file of noise, 48 x 32 pixels."""
    rng = np.random.default_rng(len(metadata))
    image = Image.fromarray(rng.integers(0, 256, (32, 48, 3), dtype=np.uint8))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    options: dict[str, Any] = {}
    if kind in ("JPEG", "PNG", "WEBP", "MPO") and metadata:
        options = {"exif": b"Exif\0\0" + metadata, "icc_profile": metadata}
    if kind in ("JPEG", "WEBP") and metadata:
        options["xmp"] = b'<x:xmpmeta><rdf tiff:Orientation="' + metadata + b'"/></x:xmpmeta>'
    if kind == "JPEG":
        options["progressive"] = progressive
    if kind == "TIFF" and mode in ("RGB", "L"):
        options["compression"] = "tiff_lzw" if progressive else "jpeg"
    if kind == "MPO":
        options |= {"save_all": True, "append_images": [image.transpose(Image.Transpose.ROTATE_180)]}
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _directory(tags: list[tuple[int, int, int, int]]) -> bytes:
    """EXIF with any tags of any type and count, in order or not."""
    return (
        b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(64)
    )


_TAGS = st.tuples(
    st.sampled_from((0x100, 0x101, 0x112, 0x11A, 0x128, 0x132, 0x8769, 0x8825, 0x9003)) | st.integers(0, 65535),
    st.integers(0, 14),
    st.sampled_from((0, 1, 2, 4, 1 << 16, (1 << 32) - 1)),
    st.integers(0, 9) | st.integers(0, (1 << 32) - 1),
)
_METADATA = st.one_of(st.just(b""), st.lists(_TAGS, max_size=6).map(_directory), st.binary(max_size=60))


@st.composite
def photos(draw: st.DrawFn) -> bytes:
    """Files: whole, damaged, cut off, or two in one."""
    Image.init()
    kind = draw(st.sampled_from([kind for kind in FORMATS if kind in Image.SAVE]))
    content = bytearray(photo(kind, draw(st.sampled_from(FORMATS[kind])), draw(_METADATA), draw(st.booleans())))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(content)) | st.integers(0, 64))
        match draw(st.sampled_from(("change", "zeros", "cut", "insert", "swap"))):
            case "change":
                new = draw(st.binary(min_size=1, max_size=8))
                content[at : at + len(new)] = new
            case "zeros":
                content[at : at + 256] = bytes(len(content[at : at + 256]))
            case "cut":
                del content[at:]
            case "insert":
                content[at:at] = draw(st.binary(min_size=1, max_size=40))
            case "swap":
                other = draw(st.sampled_from([kind for kind in FORMATS if kind in Image.SAVE]))
                content[at:] = photo(other, "RGB" if "RGB" in FORMATS[other] else "L", b"", False)[at:]
    return bytes(content)


def main() -> None:
    """Fuzz for some minutes; ``--out`` keeps the file that broke a promise, even where Python itself died of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ["IMMICH_DOGS_MAX_MEGAPIXELS"] = str(MAX_MEGAPIXELS)
    for kind, modes in FORMATS.items():
        if kind in Image.SAVE:
            check(photo(kind, modes[0], b"", False))  # the decoders' own memory
    baseline, until, count = peak_mb(), time.monotonic() + 60 * args.minutes, 0

    @settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(photos())
    def attempt(content: bytes) -> None:
        nonlocal count
        if time.monotonic() < until:
            (args.out / "last").write_bytes(content)
            check(content, baseline)
            count += 1

    while time.monotonic() < until:
        attempt()
    print(
        f"{count} files in {args.minutes:g} minutes, {peak_mb() - baseline:.0f} MB above the start; no promise broken"
    )


if __name__ == "__main__":
    main()
