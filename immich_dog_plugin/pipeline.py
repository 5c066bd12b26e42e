"""The way of a photo: detector -> keypoints -> crop -> embedder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from .geometry import FloatArray, ImageArray, face_chip
from .manifest import Crop, CropSpec
from .model_package import ModelPackage
from .pyramid import Photo, Pyramid
from .stages.detector import Detections, Detector
from .stages.embedder import Embedder, Pictures
from .stages.keypoints import KeypointEstimator
from .stages.session import open_stage


@dataclass(frozen=True, slots=True, eq=False)
class Dog:
    """One dog in one photo.

    Attributes:
        box: ``(4,)`` float32, ``x1 y1 x2 y2`` in photo pixels.
        score: the detector's, 0..1.
        keypoints: ``(5, 3)`` float32, x, y in photo pixels and score, in the order of ``KEYPOINT_NAMES``;
            ``None`` where no face is visible.
        crop: the part that was embedded.
        embedding: ``(512,)`` float32 of unit length.
    """

    box: FloatArray
    score: float
    keypoints: FloatArray | None
    crop: Crop
    embedding: FloatArray


class DogPipeline:
    """Finds every dog of a photo and embeds it: the same code in Immich, on a folder and in a job.

    Attributes:
        detector, keypoints, embedder: the stages, for whoever measures one of them alone.
    """

    def __init__(self, detector: Detector, keypoints: KeypointEstimator, embedder: Embedder, crop: CropSpec) -> None:
        self.detector = detector
        self.keypoints = keypoints
        self.embedder = embedder
        self._crop = crop

    @classmethod
    def open(cls, package: ModelPackage) -> Self:
        """Load the three graphs of a model package with ONNX Runtime."""
        manifest = package.manifest
        return cls(
            Detector(open_stage(package, "detection"), manifest.detection),
            KeypointEstimator(open_stage(package, "keypoint"), manifest.keypoint),
            Embedder(open_stage(package, "recognition"), manifest.recognition),
            manifest.crop,
        )

    def __call__(self, photo: ImageArray, min_score: float | None = None) -> list[Dog]:
        """The dogs of one photo ``(height, width, 3)`` RGB, largest score first; an empty list without a dog."""
        pyramid = Pyramid(photo)
        detections = self.detector(pyramid, min_score)
        keypoints = self.keypoints(pyramid, detections.boxes)
        return embed_dogs(pyramid, detections, faces(self.keypoints, keypoints), self.embedder, self._crop)


def faces(estimator: KeypointEstimator, keypoints: FloatArray) -> list[FloatArray | None]:
    """Keypoints ``(n, 5, 3)`` as one ``(5, 3)`` a dog, ``None`` where the dog shows no face."""
    return [points if estimator.has_face(points) else None for points in keypoints]


def embed_dogs(
    photo: Photo,
    detections: Detections,
    keypoints: Sequence[FloatArray | None],
    embedder: Embedder,
    crop: CropSpec,
) -> list[Dog]:
    """Cut every detected dog as the manifest prefers and embed all crops in one batch."""
    pyramid = Pyramid.of(photo)
    chosen = [choose_crop(points, crop) for points in keypoints]
    pictures = [
        cut(pyramid, box, points, choice, crop, embedder.side)
        for box, points, choice in zip(detections.boxes, keypoints, chosen, strict=True)
    ]
    return [
        Dog(box, float(score), points, choice, embedding)
        for box, score, points, choice, embedding in zip(
            detections.boxes, detections.scores, keypoints, chosen, embedder(pictures), strict=True
        )
    ]


def choose_crop(keypoints: FloatArray | None, spec: CropSpec) -> Crop:
    """The first crop of the manifest's preference that this dog allows; a body is always there."""
    for choice in spec.preference:
        if choice == "body" or keypoints is not None:
            return choice
    return "body"


def cut(
    photo: Photo, box: FloatArray, keypoints: FloatArray | None, choice: Crop, spec: CropSpec, side: int
) -> Pictures:
    """What is embedded of a dog: the padded box, halved while both its sides stay at ``side`` pixels, an upright face
    chip of ``side`` pixels, or first the one and then the other."""
    pyramid = Pyramid.of(photo)
    chips = [] if choice == "body" or keypoints is None else [face_chip(pyramid.photo, keypoints, side, spec.face.rule)]
    if choice == "face" and chips:
        return tuple(chips)  # the body is left alone: a level of the pyramid may have to be made for it
    return (pyramid.crop(box, spec.body_padding, side)[0], *chips)
