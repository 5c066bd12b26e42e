"""What README and the error message say of memory, measured on photos of 12 megapixels in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from immich_dog_plugin.imaging import MB_PER_MEGAPIXEL

SIZE = (4000, 3000)
# The process says what it took above its start in MB, and how many pixels wide the photo is.
READ = """
import sys
from pathlib import Path
from immich_dog_plugin.decoders import _formats
from immich_dog_plugin.imaging import open_photo

def peak_mb():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6

_formats()  # imports Pillow's plugins
before = peak_mb()
source = open_photo(Path(sys.argv[1]))
width = source.pixels(source.spans[0]).shape[1]
print(peak_mb() - before, width)
"""


def image(mode: str) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    photo = Image.fromarray(noise).resize(SIZE)
    if mode == "I;16":
        return Image.fromarray(np.asarray(photo)[..., 0].astype(np.uint16) * 257)
    return photo.convert(mode)


def read(file: Path, **environment: str) -> tuple[float, int]:
    done = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, check=True, env=environment)
    taken, width = done.stdout.split()
    return float(taken), int(width)


@pytest.mark.parametrize(
    ("mode", "kind", "options", "most"),
    [
        ("RGB", "JPEG", {}, 9),
        ("RGB", "JPEG", {"turned": True}, 10),
        ("RGB", "JPEG", {"turned": True, "progressive": True, "subsampling": 0}, 14),
        ("RGBA", "PNG", {"turned": True, "compress_level": 1}, 12),
        ("I;16", "PNG", {"compress_level": 1}, 12),
        ("F", "TIFF", {}, 16),
        ("RGBA", "WEBP", {"turned": True, "method": 0}, MB_PER_MEGAPIXEL),
        ("RGB", "JPEG2000", {}, MB_PER_MEGAPIXEL),
    ],
)
def test_a_megapixel_takes_no_more_than_is_said(
    tmp_path: Path, mode: str, kind: str, options: dict[str, Any], most: float
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = {"exif": exif} if options.pop("turned", False) else {}
    image(mode).save(tmp_path / "photo", kind, **options, **turned)
    taken, width = read(tmp_path / "photo")
    assert width in SIZE
    assert taken / 12 <= most


def test_a_jpeg_above_the_limit_takes_what_the_limit_allows(tmp_path: Path) -> None:
    image("RGB").save(tmp_path / "photo.jpg")
    taken, width = read(tmp_path / "photo.jpg", IMMICH_DOGS_MAX_MEGAPIXELS="4")
    assert width == 2000
    assert taken <= 4 * 10
