"""Stage 3: which dog is it? A unit vector that is close for the same dog and far for another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ModelPackageError
from ..geometry import FloatArray, ImageArray, letterbox, resize, to_tensor
from ..model_package import InputSpec, RecognitionSpec
from .session import Session, run


class Embedder:
    """Embeds crops of dogs, all crops of a photo in one batch."""

    def __init__(self, session: Session, spec: RecognitionSpec) -> None:
        self._session = session
        self._spec = spec

    @property
    def side(self) -> int:
        """Side of the graph's input in pixels."""
        return self._spec.input.side

    def __call__(self, crops: Sequence[ImageArray]) -> FloatArray:
        """Embeddings ``(n, dimension)`` of unit length for ``n`` crops of any size.

        Raises:
            ModelPackageError: the graph's embedding has another length than the manifest says, or is not finite.
        """
        if not crops:
            return np.empty((0, self._spec.dimension), dtype=np.float32)
        canvases = [embedder_input(crop, self._spec.input) for crop in crops]
        embeddings = run(self._session, self._spec, to_tensor(canvases, self._spec.input.mean, self._spec.input.std))
        if embeddings.shape != (len(crops), self._spec.dimension):
            raise ModelPackageError(
                f"The recognition model answers shape {embeddings.shape} where its manifest promises "
                f"({len(crops)}, {self._spec.dimension})",
                "Use a model package whose manifest and models belong together",
            )
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            # One row that is not finite would make Immich's server drop every face of the photo.
            raise ModelPackageError(
                "The recognition model answers numbers that are not finite, or all of them zero",
                "Verify it with: immich-dogs models",
            )
        return np.asarray(embeddings / lengths, dtype=np.float32)


def embedder_input(crop: ImageArray, spec: InputSpec) -> ImageArray:
    """A crop as the canvas ``(side, side, 3)`` that the recognition graph expects."""
    if spec.resize == "letterbox":
        return letterbox(crop, spec.side)[0]
    return resize(crop, spec.side, spec.side)
