"""The way of a photo: detector -> keypoints -> crop -> embedder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from .dog_classifier import DogClassifier
from .geometry import LEFT_EYE, RIGHT_EYE, FaceChipRule, FloatArray, ImageArray, face_chip
from .imaging import PhotoSource
from .manifest import Crop, CropSpec
from .model_package import ModelPackage
from .pyramid import Pyramid
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

    def __init__(
        self,
        detector: Detector,
        keypoints: KeypointEstimator,
        embedder: Embedder,
        crop: CropSpec,
        classifier: DogClassifier | None = None,
    ) -> None:
        self.detector = detector
        self.keypoints = keypoints
        self.embedder = embedder
        self._crop = crop
        self._classifier = classifier

    @classmethod
    def open(cls, package: ModelPackage) -> Self:
        """Load the three graphs of a model package with ONNX Runtime."""
        manifest = package.manifest
        return cls(
            Detector(open_stage(package, "detection"), manifest.detection),
            KeypointEstimator(open_stage(package, "keypoint"), manifest.keypoint),
            Embedder(open_stage(package, "recognition"), manifest.recognition),
            manifest.crop,
            manifest.dog_classifier,
        )

    def __call__(self, photo: ImageArray | PhotoSource | Pyramid, min_score: float | None = None) -> list[Dog]:
        """The dogs of one photo, largest score first; an empty list without a dog.

        Args:
            photo: ``(height, width, 3)`` RGB, or a file, of which no more is decoded than its dogs need.
            min_score: least detection score in 0..1 that counts; the manifest's by default.

        Raises:
            PhotoError: the file is damaged.
        """
        pyramid = photo if isinstance(photo, Pyramid) else Pyramid(photo)
        detections = self.detector(pyramid, min_score)
        keypoints = self.keypoints(pyramid, detections.boxes)
        shown = faces(self.keypoints, keypoints)
        return embed_dogs(pyramid, detections, shown, self.embedder, self._crop, self._classifier)


def faces(estimator: KeypointEstimator, keypoints: FloatArray) -> list[FloatArray | None]:
    """Keypoints ``(n, 5, 3)`` as one ``(5, 3)`` a dog, ``None`` where the dog shows no face."""
    return [points if estimator.has_face(points) else None for points in keypoints]


def embed_dogs(
    photo: Pyramid,
    detections: Detections,
    keypoints: Sequence[FloatArray | None],
    embedder: Embedder,
    crop: CropSpec,
    classifier: DogClassifier | None = None,
) -> list[Dog]:
    """Cut every detection as the manifest prefers, embed all crops in one batch, and leave out what is no dog."""
    chosen = [choose_crop(points, crop) for points in keypoints]
    pictures = [
        cut(photo, box, points, choice, crop, embedder.side)
        for box, points, choice in zip(detections.boxes, keypoints, chosen, strict=True)
    ]
    embeddings = embedder(pictures)
    is_dog = np.ones(len(chosen), dtype=bool)
    if classifier is not None:
        with_face = np.array([choice != "body" for choice in chosen], dtype=bool)
        is_dog = classifier.probability(embeddings, with_face) >= classifier.min_probability
    found = zip(detections.boxes, detections.scores, keypoints, chosen, embeddings, strict=True)
    return [
        Dog(box, float(score), points, choice, embedding)
        for (box, score, points, choice, embedding), dog in zip(found, is_dog, strict=True)
        if dog
    ]


def choose_crop(keypoints: FloatArray | None, spec: CropSpec) -> Crop:
    """The first crop of the manifest's preference that this dog allows; a body is always there."""
    for choice in spec.preference:
        if choice == "body" or keypoints is not None:
            return choice
    return "body"


def cut(
    photo: Pyramid, box: FloatArray, keypoints: FloatArray | None, choice: Crop, spec: CropSpec, side: int
) -> Pictures:
    """What is embedded of a dog: the padded box, halved while both its sides stay at ``side`` pixels, an upright face
    chip of ``side`` pixels, or first the one and then the other."""
    chips = [] if choice == "body" or keypoints is None else [_chip(photo, keypoints, side, spec.face.rule)]
    if choice == "face" and chips:
        return tuple(chips)  # the body is left alone: a level of the pyramid may have to be made for it
    return (photo.crop(box, spec.body_padding, side)[0], *chips)


def _chip(photo: Pyramid, keypoints: FloatArray, side: int, rule: FaceChipRule) -> ImageArray:
    eyes_apart = float(np.hypot(*(keypoints[RIGHT_EYE, :2] - keypoints[LEFT_EYE, :2])))
    level, span = photo.warp_source(eyes_apart / rule.eye_distance, side)
    # Points count from the middle of a pixel here, and a level's pixel lies in the middle of the block it averages.
    points = np.asarray((keypoints[:, :2] - (span - 1) / 2) / span, dtype=np.float32)
    return face_chip(level, points, side, rule)
