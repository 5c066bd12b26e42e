"""The similarity heat map: every dog against every dog, ordered by group."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from ..geometry import FloatArray
from .grouping import UNGROUPED, Labels

_MAX_DOGS = 400
_MIN_LABEL_SHARE = 0.02  # of the height; a lower block has no room for its label
_LEVELS = 256


@dataclass(frozen=True, slots=True)
class Block:
    """A group's place on both axes, as fractions of the side; ``group`` is ``UNGROUPED`` for the rest."""

    group: int
    start: float
    end: float

    @property
    def has_room(self) -> bool:
        """Whether a label fits."""
        return self.end - self.start >= _MIN_LABEL_SHARE


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A PNG with a pixel for each pair, the blocks of its groups, and how many of the dogs it shows."""

    png: bytes
    blocks: list[Block]
    shown: int


def heat_map(embeddings: FloatArray, groups: Labels) -> HeatMap:
    """Draw the cosines (0 dark to 1 light). Of more than 400 dogs, 400 evenly spread over the groups are shown."""
    order = np.lexsort((np.arange(len(groups)), np.where(groups == UNGROUPED, len(groups), groups)))
    if len(order) > _MAX_DOGS:
        order = order[np.linspace(0, len(order) - 1, _MAX_DOGS).round().astype(int)]
    rows = embeddings[order]
    levels = np.clip(rows @ rows.T * (_LEVELS - 1), 0, _LEVELS - 1).astype(np.uint8)
    image = Image.fromarray(levels)
    image.putpalette(_palette().tobytes())
    content = io.BytesIO()
    image.save(content, "png", optimize=True)
    return HeatMap(content.getvalue(), _blocks(groups[order]), len(order))


def colour_stops(count: int) -> list[str]:
    """CSS colours from cosine 0 to 1, for the legend."""
    chosen = _palette()[np.linspace(0, _LEVELS - 1, count).round().astype(int)]
    return [f"rgb({red} {green} {blue})" for red, green, blue in chosen.tolist()]


def _palette() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Viridis ``(256, 3)`` RGB: even steps to the eye, also to a colour-blind one."""
    levels = np.arange(_LEVELS, dtype=np.uint8)[:, None]
    colours: np.ndarray[tuple[int, int], np.dtype[np.uint8]] = np.ascontiguousarray(
        cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
    )
    return colours


def _blocks(groups: Labels) -> list[Block]:
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1)).tolist() if len(groups) else []
    ends = [*starts[1:], len(groups)]
    return [
        Block(int(groups[start]), start / len(groups), end / len(groups))
        for start, end in zip(starts, ends, strict=True)
    ]
