"""Which photos are copies of another: the same shot in another size, format or compression, slightly cropped or edited.

A perceptual hash cannot decide this: it says the same of two frames of a burst, of which a library has many, and
something else of a crop. So a comparison of 16 x 16 grey pixels finds candidates, and both pictures laid over each
other decide: a copy shows the same in every part of the picture, and nothing beyond the edge of the larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from .geometry import FloatArray

_CANDIDATE_SIDE = 16
# Cutting a twentieth off, or brightening, leaves a correlation of 0.9 and more; photos of two scenes seldom reach it.
_CANDIDATE = 0.9
_BLOCK_ROWS = 256
_MOST_CANDIDATES = 20  # of a photo: of a camera that never moves every photo is a candidate of every other

_SIDE = 96  # pixels of the pictures that are laid over each other
_BLUR = 1.0  # pixels; less would compare how each program resizes and compresses
_PARTS = 8  # each side is divided by
_LEAST_SIZE = 0.8  # of a crop, of either side of the whole
_TURN = 0.01  # rotation and shear that rounding explains; a hand turns the camera further
_BEYOND = 0.01  # of a side: how far a crop may seem to reach out of its whole by rounding
_LIKE = 0.82  # least correlation of a part that shows anything
_PLAIN = 7.0  # grey levels: a part that differs by less than this is the same whatever its correlation


def originals(pictures: Callable[[int], bytes], sizes: Sequence[int]) -> list[int]:
    """For each photo which one it is a copy of: the largest one that shows the same; itself where there is none.

    Args:
        pictures: the JPEG of a photo by its row, about 144 pixels wide or high, upright.
        sizes: pixels of each photo; of equals the first is the original.

    Returns:
        A row for each of ``sizes``; no row leads to a copy.
    """
    count = len(sizes)
    found = list(range(count))
    order = sorted(range(count), key=lambda row: (-sizes[row], row))
    place = {row: number for number, row in enumerate(order)}
    partners: dict[int, list[int]] = {}
    signatures = _signatures(pictures, count)
    for first, second in _candidates(signatures):
        larger, smaller = sorted((first, second), key=place.__getitem__)
        partners.setdefault(smaller, []).append(larger)
    for row in order:
        for larger in sorted(partners.get(row, ()), key=place.__getitem__):
            # A copy of a copy is compared with the original itself, so that no chain of small steps joins two photos.
            if found[larger] == larger and is_copy(pictures(larger), pictures(row)):
                found[row] = larger
                break
    return found


def is_copy(whole: bytes, part: bytes) -> bool:
    """Whether ``part`` shows what ``whole`` shows, or a little less of it; both are JPEGs."""
    first, second = (cv2.GaussianBlur(_grey(jpeg, _SIDE), (0, 0), _BLUR) for jpeg in (whole, part))
    transform = np.eye(2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    try:
        # Maximises the correlation, so that brightness and contrast do not count (Evangelidis and Psarakis, "Parametric
        # image alignment using enhanced correlation coefficient maximization", TPAMI 2008).
        _, found = cv2.findTransformECC(second, first, transform, cv2.MOTION_AFFINE, criteria, None, 1)  # type: ignore[call-overload]
    except cv2.error:  # it does not converge: they have nothing in common
        return False
    if not _is_crop(np.asarray(found, dtype=np.float32)):
        return False
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(first, found, (_SIDE, _SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    # The tones of the one in place of the other's, by rank: what an edit has lightened is as white as there.
    toned = np.asarray(np.interp(laid, np.sort(laid, axis=None), np.sort(second, axis=None)), dtype=np.float32)
    shown = np.asarray(second, dtype=np.float32)
    return all(_same(one, other) for one, other in zip(_parts(toned), _parts(shown), strict=True))


def _is_crop(transform: FloatArray) -> bool:
    """Whether an affine map ``(2, 3)`` from a photo into another, both ``_SIDE`` pixels, stays in it and is upright."""
    (across, shear, x), (turn, down, y) = transform.tolist()
    if abs(shear) > _TURN or abs(turn) > _TURN:
        return False
    return all(
        scale >= _LEAST_SIZE and start >= -_BEYOND * _SIDE and start + scale * (_SIDE - 1) <= (1 + _BEYOND) * _SIDE
        for scale, start in ((across, x), (down, y))
    )


def _same(one: FloatArray, other: FloatArray) -> bool:
    """Whether two parts show the same, whatever their brightness and contrast."""
    a, b = one - one.mean(), other - other.mean()
    spread, other_spread = float(np.sqrt((a * a).mean())), float(np.sqrt((b * b).mean()))
    if max(spread, other_spread) < _PLAIN:
        return True
    product = float((a * b).mean())
    return product >= _LIKE * spread * other_spread or float(np.sqrt(((a - b) ** 2).mean())) < _PLAIN


def _parts(image: FloatArray) -> Iterator[FloatArray]:
    side = _SIDE // _PARTS
    for top in range(0, _SIDE, side):
        for left in range(0, _SIDE, side):
            yield image[top : top + side, left : left + side]


def _candidates(signatures: FloatArray) -> Iterator[tuple[int, int]]:
    """Pairs of rows that look alike at first sight, of each row the likest, in blocks: never one large matrix."""
    for start in range(0, len(signatures), _BLOCK_ROWS):
        block = signatures[start : start + _BLOCK_ROWS]
        likeness = np.triu(block @ signatures[start:].T, k=1)  # each pair once
        kept = min(_MOST_CANDIDATES, likeness.shape[1])
        columns = np.argpartition(-likeness, kept - 1, axis=1)[:, :kept]
        rows, best = np.nonzero(np.take_along_axis(likeness, columns, axis=1) >= _CANDIDATE)
        yield from zip((rows + start).tolist(), (columns[rows, best] + start).tolist(), strict=True)


def _signatures(pictures: Callable[[int], bytes], count: int) -> FloatArray:
    """``(count, 256)`` float32 of mean 0 and length 1: a product is the correlation of two small grey pictures."""
    signatures = np.empty((count, _CANDIDATE_SIDE**2), dtype=np.float32)
    for row in range(count):
        values = _grey(pictures(row), _CANDIDATE_SIDE).ravel()
        values = values - values.mean()
        signatures[row] = values / max(float(np.linalg.norm(values)), 1e-6)
    return signatures


def _grey(jpeg: bytes, side: int) -> FloatArray:
    """A JPEG as ``(side, side)`` grey float32, squashed; a damaged one is black, which is like no other."""
    image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_GRAYSCALE) if jpeg else None
    if image is None:
        return np.zeros((side, side), dtype=np.float32)
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)
