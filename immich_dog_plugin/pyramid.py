"""A photo and its halvings, which the stages of the pipeline share: most of resizing is reading the photo."""

from __future__ import annotations

from typing import Self

import numpy as np

from .geometry import FloatArray, ImageArray, grown_box, halved


class Pyramid:
    """A photo ``(height, width, 3)`` and its halvings, each made when it is first asked for.

    Attributes:
        photo: as it was given.
    """

    def __init__(self, photo: ImageArray) -> None:
        self.photo = photo
        self._levels = [photo]

    @classmethod
    def of(cls, photo: ImageArray | Self) -> Self:
        """The pyramid of a photo, or the one that is there already."""
        return cls(photo) if isinstance(photo, np.ndarray) else photo

    def level(self, width: int, height: int, least: int) -> tuple[ImageArray, int]:
        """The coarsest level on which ``width`` x ``height`` photo pixels are still ``least`` pixels wide and high.

        Returns it and how many photo pixels one of its pixels spans, which is a power of two.
        """
        number = max(0, (min(width, height) // least).bit_length() - 1)
        while len(self._levels) <= number:
            self._levels.append(halved(self._levels[-1]))
        return self._levels[number], 2**number

    def crop(self, box: FloatArray, padding: float, least: int) -> tuple[ImageArray, tuple[int, int], int]:
        """Cut ``box``, grown on every side by ``padding`` times its longer side, out of the level that ``least`` names.

        Returns the crop (a view), the photo coordinates ``(x, y)`` of its upper left corner, and the photo pixels that
        one of its pixels spans.
        """
        x1, y1, x2, y2 = grown_box(box, padding, self.photo.shape[1], self.photo.shape[0])
        level, span = self.level(x2 - x1, y2 - y1, least)
        left, top = x1 // span, y1 // span
        return level[top : -(-y2 // span), left : -(-x2 // span)], (left * span, top * span), span


Photo = ImageArray | Pyramid
