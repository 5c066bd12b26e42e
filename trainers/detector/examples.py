"""Photos with the boxes of their dogs, and ultralytics' folders of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from immich_dog_plugin.geometry import FloatArray

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A photo and its dogs: boxes ``(n, 4)`` in its pixels, none for a photo without a dog."""

    file: Path
    name: str
    size: tuple[int, int]  # width, height
    boxes: FloatArray


def write(split: str, examples: Iterable[Example], out: Path) -> None:
    """Link each photo and write its boxes, one line ``0 cx cy w h`` (fractions of the photo) per dog."""
    for kind in ("images", "labels"):
        (out / kind / split).mkdir(parents=True, exist_ok=True)
    photos = boxes = 0
    for example in examples:
        link = out / "images" / split / f"{example.name}{example.file.suffix.lower()}"
        if not link.exists():
            link.symlink_to(example.file.absolute())
        share = example.boxes / np.tile(np.array(example.size, dtype=np.float32), 2)
        centred = np.concatenate([(share[:, :2] + share[:, 2:]) / 2, share[:, 2:] - share[:, :2]], axis=1)
        lines = [f"0 {cx:.6f} {cy:.6f} {w:.6f} {h:.6f}\n" for cx, cy, w, h in centred]
        (out / "labels" / split / f"{example.name}.txt").write_text("".join(lines))
        photos, boxes = photos + 1, boxes + len(lines)
    log.info("%s: %d photos, %d dogs", split, photos, boxes)
