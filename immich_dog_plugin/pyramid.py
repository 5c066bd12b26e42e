"""A photo and its halvings, which the stages of the pipeline share: most of resizing is reading the photo."""

from __future__ import annotations

import numpy as np

from .geometry import FloatArray, ImageArray, grown_box, halved
from .imaging import PhotoSource


class Pyramid:
    """A photo and its halvings, each made when it is first asked for: from an array, or decoded at its scale from a
    file. Boxes and points are in pixels of the whole photo, whichever level they are looked at on.

    Attributes:
        width, height: of the whole photo in pixels.
    """

    def __init__(self, photo: ImageArray | PhotoSource) -> None:
        self._levels: dict[int, ImageArray] = {}
        if isinstance(photo, np.ndarray):
            self._levels[1] = photo
            self._source = None
            self.height, self.width = photo.shape[:2]
        else:
            self._source = photo
            self.height, self.width = photo.height, photo.width

    def level(self, width: float, height: float, least: int) -> tuple[ImageArray, int]:
        """The coarsest level on which ``width`` x ``height`` photo pixels are still ``least`` pixels wide and high.

        Returns it and how many photo pixels one of its pixels spans, which is a power of two. A photo that is too large
        to be decoded whole has no finer level than fits into the memory.
        """
        span = 1 << max(0, int(min(width, height) // least).bit_length() - 1)
        if self._source is not None:
            span = max(span, self._source.spans[0])
        return self._at(span), span

    def crop(self, box: FloatArray, padding: float, least: int) -> tuple[ImageArray, tuple[int, int], int]:
        """Cut ``box``, grown on every side by ``padding`` times its longer side, out of the level that ``least`` names.

        Returns the crop (a view), the photo coordinates ``(x, y)`` of its upper left corner, and the photo pixels that
        one of its pixels spans.
        """
        x1, y1, x2, y2 = grown_box(box, padding, self.width, self.height)
        level, span = self.level(x2 - x1, y2 - y1, least)
        # The last odd row or column of a photo, alone in its box, is on no coarser level.
        left, top = min(x1 // span, level.shape[1] - 1), min(y1 // span, level.shape[0] - 1)
        return level[top : -(-y2 // span), left : -(-x2 // span)], (left * span, top * span), span

    def warp_source(self, extent: float, least: int) -> tuple[ImageArray, int]:
        """What a square of ``extent`` photo pixels is warped from to ``least`` pixels, and its span.

        The photo itself where its pixels are there, because warping shrinks by any factor; of one that would have to be
        decoded for it, the coarsest level that suffices.
        """
        if self._source is None or self._source.spans == (1,):
            return self._at(1), 1
        return self.level(extent, extent, least)

    def overview(self, side: int) -> ImageArray:
        """The coarsest level whose longer side is at least three quarters of ``side``: the photo for a person."""
        longer = max(self.width, self.height)
        return self.level(longer, longer, -(-side * 3 // 4))[0]

    def _at(self, span: int) -> ImageArray:
        """The level of one span, halved from the next finer one that is there, else decoded."""
        if span not in self._levels:
            finer = max((made for made in self._levels if made < span), default=0)
            if self._source is not None and finer == 0:
                decoded = max(scale for scale in self._source.spans if scale <= span)
                self._levels[decoded] = self._source.pixels(decoded)
            if span not in self._levels:
                self._levels[span] = halved(self._at(span // 2))
        return self._levels[span]
