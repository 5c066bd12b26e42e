"""The pictures a person looks at: thumbnails, and the photo with everything the pipeline saw in it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .geometry import KEYPOINT_NAMES, ImageArray, letterbox, resize
from .pipeline import Dog
from .pyramid import Pyramid
from .stages.embedder import Pictures

_THUMBNAIL_SIDE = 144
_THUMBNAIL_QUALITY = 80
_BOXED_SIDE = 320
_DEBUG_SIDE = 1024
_DEBUG_QUALITY = 85
_INSET_SIDE = 128
_BOX_COLOUR = (255, 140, 0)
_POINT_COLOURS = ((0, 200, 255), (0, 120, 255), (120, 255, 80), (0, 170, 60), (255, 60, 120))
_BACKGROUND = (24, 24, 24)
_TEXT_COLOUR = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def thumbnail(image: ImageArray | Pyramid) -> bytes:
    """A small JPEG, its longer side at most 144 pixels."""
    pixels = image.overview(_THUMBNAIL_SIDE) if isinstance(image, Pyramid) else image
    return jpeg(shrink(pixels, _THUMBNAIL_SIDE), _THUMBNAIL_QUALITY)


def boxed_thumbnail(photo: ImageArray, box: tuple[int, int, int, int]) -> bytes:
    """A JPEG of the photo, its longer side at most 320 pixels, with the box ``x1 y1 x2 y2`` of a dog in it."""
    canvas = shrink(photo, _BOXED_SIDE).copy()
    scale = canvas.shape[1] / photo.shape[1], canvas.shape[0] / photo.shape[0]
    x1, y1, x2, y2 = (round(value * factor) for value, factor in zip(box, (*scale, *scale), strict=True))
    cv2.rectangle(canvas, (x1, y1), (x2, y2), _BOX_COLOUR, 2)
    return jpeg(canvas, _THUMBNAIL_QUALITY)


def debug_picture(photo: Pyramid, dogs: Sequence[Dog], crops: Sequence[Pictures]) -> bytes:
    """A JPEG of the photo, at most 1024 pixels wide or high, with each dog's box, score and points.

    A strip below shows the crops that were embedded (``crops``, in the order of ``dogs``), numbered as the boxes are.
    """
    canvas = shrink(photo.overview(_DEBUG_SIDE), _DEBUG_SIDE).copy()
    scale = canvas.shape[1] / photo.width, canvas.shape[0] / photo.height
    for number, dog in enumerate(dogs):
        _draw_dog(canvas, number, dog, scale)
    strip = _strip(dogs, crops, canvas.shape[1])
    width = max(canvas.shape[1], strip.shape[1])
    rows = [_widen(canvas, width), _widen(strip, width)]
    return jpeg(np.concatenate(rows), _DEBUG_QUALITY)


def shrink(image: ImageArray, side: int) -> ImageArray:
    """The image with its longer side at most ``side`` pixels; a smaller one as it is."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    return resize(image, max(1, round(width * scale)), max(1, round(height * scale)))


def jpeg(image: ImageArray, quality: int) -> bytes:
    """An RGB image as JPEG."""
    _, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return content.tobytes()


def _draw_dog(canvas: ImageArray, number: int, dog: Dog, scale: tuple[float, float]) -> None:
    thickness = max(1, round(max(canvas.shape[:2]) / 400))
    x1, y1, x2, y2 = (round(float(value) * factor) for value, factor in zip(dog.box, (*scale, *scale), strict=True))
    cv2.rectangle(canvas, (x1, y1), (x2, y2), _BOX_COLOUR, thickness)
    _label(canvas, f"#{number} {dog.score:.2f} {dog.crop}", x1, y1)
    if dog.keypoints is None:
        return
    for (x, y, score), colour in zip(dog.keypoints, _POINT_COLOURS, strict=True):
        centre = round(float(x) * scale[0]), round(float(y) * scale[1])
        # A point the network is unsure about is drawn as a ring.
        cv2.circle(canvas, centre, 2 * thickness + 1, colour, cv2.FILLED if score >= 0.5 else 1, cv2.LINE_AA)


def _label(canvas: ImageArray, text: str, x: int, y: int) -> None:
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.45, 1)
    top = max(0, y - height - 6)
    cv2.rectangle(canvas, (x, top), (x + width + 6, top + height + 6), _BOX_COLOUR, cv2.FILLED)
    cv2.putText(canvas, text, (x + 3, top + height + 2), _FONT, 0.45, (0, 0, 0), 1, cv2.LINE_AA)


def _strip(dogs: Sequence[Dog], crops: Sequence[Pictures], width: int) -> ImageArray:
    """The crops side by side in as many rows as they need, or a line that says that there is no dog."""
    if not dogs:
        strip = np.full((28, 64, 3), _BACKGROUND, dtype=np.uint8)
        cv2.putText(strip, "no dog", (8, 18), _FONT, 0.4, _TEXT_COLOUR, 1, cv2.LINE_AA)
        return strip
    tiles = []
    for number, crop in ((number, crop) for number, of_dog in enumerate(crops) for crop in of_dog):
        tile = letterbox(crop, _INSET_SIDE, fill=_BACKGROUND[0])[0]
        _label(tile, f"#{number}", 0, 0)
        tiles.append(tile)
    columns = max(1, min(len(tiles), width // _INSET_SIDE))
    rows = [np.concatenate(tiles[start : start + columns], axis=1) for start in range(0, len(tiles), columns)]
    widest = max([*(row.shape[1] for row in rows), _legend().shape[1]])
    return np.concatenate([_widen(row, widest) for row in (*rows, _legend())])


def _legend() -> ImageArray:
    """Which colour is which point."""
    legend = np.full((20, 400, 3), _BACKGROUND, dtype=np.uint8)
    x = 8
    for name, colour in zip(KEYPOINT_NAMES, _POINT_COLOURS, strict=True):
        text = name.replace("_", " ")
        cv2.circle(legend, (x, 10), 4, colour, cv2.FILLED, cv2.LINE_AA)
        cv2.putText(legend, text, (x + 8, 14), _FONT, 0.38, _TEXT_COLOUR, 1, cv2.LINE_AA)
        x += 18 + cv2.getTextSize(text, _FONT, 0.38, 1)[0][0]
    return legend


def _widen(image: ImageArray, width: int) -> ImageArray:
    missing = width - image.shape[1]
    return np.asarray(
        cv2.copyMakeBorder(image, 0, 0, 0, missing, cv2.BORDER_CONSTANT, value=_BACKGROUND), dtype=np.uint8
    )
