"""Stage 3: which dog is it? A unit vector that is close for the same dog and far for another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ModelPackageError
from ..geometry import FloatArray, ImageArray, letterbox, resize, to_tensor
from ..manifest import InputSpec, RecognitionSpec
from .session import Session, run

Pictures = tuple[ImageArray, ...]  # of one dog: its body or its face, or its body and then its face


class Embedder:
    """Embeds dogs, all pictures of a photo's dogs in one batch."""

    def __init__(self, session: Session, spec: RecognitionSpec) -> None:
        self._session = session
        self._spec = spec

    @property
    def side(self) -> int:
        """Side of the graph's input in pixels."""
        return self._spec.input.side

    def __call__(self, dogs: Sequence[Pictures]) -> FloatArray:
        """Embeddings ``(n, dimension)`` of unit length for ``n`` dogs, their pictures of any size.

        Of a dog with two pictures the first half of the numbers is the body's, the second half the face's. Of a dog
        whose face is hidden the body gives both.

        Raises:
            ModelPackageError: the graph's embedding has another length than the manifest says, or is not finite.
        """
        if not dogs:
            return np.empty((0, self._spec.dimension), dtype=np.float32)
        canvases = [embedder_input(picture, self._spec.input) for pictures in dogs for picture in pictures]
        rows = run(self._session, self._spec, to_tensor(canvases, self._spec.input.mean, self._spec.input.std))
        if rows.shape != (len(canvases), self._spec.dimension):
            raise ModelPackageError(
                f"The recognition model answers shape {rows.shape} where its manifest promises "
                f"({len(canvases)}, {self._spec.dimension})",
                "Use a model package whose manifest and models belong together",
            )
        embeddings = joined(rows, [len(pictures) for pictures in dogs])
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            # One row that is not finite would make Immich's server drop every face of the photo.
            raise ModelPackageError(
                "The recognition model answers numbers that are not finite, or all of them zero",
                "Verify it with: immich-dogs models",
            )
        return np.asarray(embeddings / lengths, dtype=np.float32)


def joined(rows: FloatArray, pictures: Sequence[int]) -> FloatArray:
    """One row a dog ``(n, d)`` from one a picture ``(m, d)``; each of the ``n`` dogs has one picture or two.

    >>> joined(np.float32([[1, 2], [3, 4], [5, 6]]), [2, 1])
    array([[1., 4.],
           [5., 6.]], dtype=float32)
    """
    last = np.cumsum(pictures) - 1
    half = rows.shape[1] // 2
    return np.hstack([rows[last - np.array(pictures) + 1, :half], rows[last, half:]])


def embedder_input(crop: ImageArray, spec: InputSpec) -> ImageArray:
    """A crop as the canvas ``(side, side, 3)`` that the recognition graph expects."""
    if spec.resize == "letterbox":
        return letterbox(crop, spec.side)[0]
    return resize(crop, spec.side, spec.side)
