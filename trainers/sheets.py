"""Pictures with labels side by side, for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from immich_dog_plugin.files import whole_file
from immich_dog_plugin.geometry import ImageArray, letterbox

BACKGROUND = 24
WHITE, GREEN, RED = (235, 235, 235), (90, 220, 110), (255, 110, 90)
_LINE = 14  # height of a line of text in pixels
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A picture and the lines below it."""

    image: ImageArray
    lines: tuple[str, ...] = ()
    colour: tuple[int, int, int] = WHITE


def contact_sheet(tiles: Sequence[Tile], columns: int, side: int = 144, title: str = "") -> ImageArray:
    """The tiles row by row, each picture fitted into ``side`` x ``side`` pixels; ``title`` stands above them."""
    below = _LINE * max((len(tile.lines) for tile in tiles), default=0) + 4
    cells = [_cell(tile, side, below) for tile in tiles]
    columns = max(1, min(columns, len(cells)))
    cells += [np.full((side + below, side, 3), BACKGROUND, dtype=np.uint8)] * (-len(cells) % columns)
    rows = [np.concatenate(cells[start : start + columns], axis=1) for start in range(0, len(cells), columns)]
    heading = np.full((_LINE + 8 if title else 0, columns * side, 3), BACKGROUND, dtype=np.uint8)
    if title:
        _write(heading, title, 0, _LINE, WHITE, 0.45)
    return np.concatenate([heading, *rows])


def save_png(file: Path, image: ImageArray) -> None:
    """Write an RGB picture.

    Raises:
        OutputError: the folder cannot be written.
    """
    content = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    with whole_file(file) as partial:
        partial.write_bytes(content)


def _cell(tile: Tile, side: int, below: int) -> ImageArray:
    cell = np.full((side + below, side, 3), BACKGROUND, dtype=np.uint8)
    cell[2 : side - 2, 2 : side - 2] = letterbox(tile.image, side - 4, fill=BACKGROUND)[0]
    for number, line in enumerate(tile.lines):
        _write(cell, line, 0, side + _LINE * (number + 1) - 4, tile.colour, 0.36)
    return cell


def _write(canvas: ImageArray, text: str, x: int, y: int, colour: tuple[int, int, int], size: float) -> None:
    """OpenCV draws ASCII only: other letters become question marks."""
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(canvas, plain, (x + 3, y), _FONT, size, colour, 1, cv2.LINE_AA)
