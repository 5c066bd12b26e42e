"""``manifest.json``: everything about using a package of three graphs, one definition for who writes and who reads it.

Serving reads sides, colours, scaling, crop rule and thresholds from it and assumes nothing: what it can do in one way
only (RGB, the letterbox of two stages, the order of the points), a manifest may not ask for in another.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from .calibration import Calibration
from .dog_classifier import DogClassifier
from .geometry import KEYPOINT_NAMES, FaceChipRule
from .people_map import PeopleMap

MANIFEST = "manifest.json"
StageName = Literal["detection", "keypoint", "recognition"]
STAGE_NAMES: tuple[StageName, ...] = ("detection", "keypoint", "recognition")
# both: half of the embedding is the body's and half the face's
Crop = Literal["face", "body", "both"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class InputSpec(_Strict):
    """How a picture becomes the input tensor ``(n, 3, side, side)`` of a stage."""

    name: str = Field(description="name of the graph's input")
    side: int = Field(gt=0, description="pixels")
    colour: Literal["RGB"] = "RGB"
    mean: tuple[float, float, float] = Field(description="subtracted after scaling to 0..1")
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(
        description="divided by after the mean is subtracted"
    )
    resize: Literal["letterbox", "squash"]


def _letterboxed(spec: InputSpec) -> InputSpec:
    # Boxes and points come back through the letterbox; only the embedder's input has no way back.
    if spec.resize != "letterbox":
        raise ValueError(f"resize is {spec.resize!r}, and this stage is served with 'letterbox' alone")
    return spec


def _in_our_order(names: tuple[str, ...]) -> tuple[str, ...]:
    if names != KEYPOINT_NAMES:
        raise ValueError(f"the points are {', '.join(names)} instead of {', '.join(KEYPOINT_NAMES)}")
    return names


LetterboxedInput = Annotated[InputSpec, AfterValidator(_letterboxed)]


class StageSpec(_Strict):
    """One graph: its file, checksum, input and output."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    input: InputSpec
    output: str = Field(description="name of the graph's output")


class DetectionSpec(StageSpec):
    """Output ``(n, 5, anchors)``: centre x, centre y, width, height in input pixels, and the dog score."""

    input: LetterboxedInput
    min_score: float = Field(ge=0, le=1)
    iou_threshold: float = Field(gt=0, le=1, description="of two boxes that overlap more, the lower score goes")
    max_dogs: int = Field(gt=0, description="per photo")


class KeypointSpec(StageSpec):
    """Output ``(n, 5, 3)``: x, y in input pixels and the probability that the point is visible."""

    input: LetterboxedInput
    names: Annotated[tuple[str, ...], AfterValidator(_in_our_order)] = KEYPOINT_NAMES
    padding: float = Field(
        ge=0, description="fraction of the box's longer side added on each side before the letterbox"
    )
    close_up_padding: float | None = Field(
        default=None,
        ge=0,
        description="fraction of the points' longer extent added on each side for a second look at the face alone; "
        "older packages have none and look once",
    )
    min_face_score: float = Field(ge=0, le=1, description="least score of both eyes and the nose for a visible face")


class RecognitionSpec(StageSpec):
    """Output ``(n, dimension)``: unit-length embeddings."""

    dimension: int = Field(gt=0)


class FaceChipSpec(_Strict):
    """Where the eyes land in a face chip."""

    eye_distance: float = Field(gt=0, lt=1, description="fraction of the chip's side")
    eye_height: float = Field(gt=0, lt=1, description="fraction of the chip's side")

    @property
    def rule(self) -> FaceChipRule:
        return FaceChipRule(self.eye_distance, self.eye_height)


class CropSpec(_Strict):
    """Which part of the dog is embedded, and why."""

    preference: tuple[Crop, ...] = Field(
        min_length=1, description="the first that the photo shows is taken; face and both need a visible face"
    )
    body_padding: float = Field(ge=0, description="fraction of the box's longer side added on each side")
    face: FaceChipSpec
    reason: str


class Thresholds(_Strict):
    """Cosine thresholds, chosen on validation dogs."""

    same_dog: float = Field(ge=-1, le=1, description="groups and 'same dog' verdicts")
    far_1_percent: float = Field(ge=-1, le=1)
    far_01_percent: float | None = Field(default=None, ge=-1, le=1)
    source: str


class TrainingData(_Strict):
    """One source that weights of the package were fitted on."""

    name: str
    licence: str
    used_for: str


class Manifest(_Strict):
    """``manifest.json``, one definition for trainers (who write it) and serving (which reads it)."""

    format: Literal[1] = 1
    name: str
    version: str
    git_revision: str
    detection: DetectionSpec
    keypoint: KeypointSpec
    recognition: RecognitionSpec
    crop: CropSpec
    thresholds: Thresholds
    calibration: Calibration | None = Field(default=None, description="of this crop; older packages have none")
    people: PeopleMap | None = Field(
        default=None, description="for dogs on the People page, of this crop and same_dog; older packages have none"
    )
    dog_classifier: DogClassifier | None = Field(
        default=None, description="drops what is no dog; older packages have none and answer all detections"
    )
    training_data: tuple[TrainingData, ...]
    metrics: dict[str, Any] = Field(description="figures with their protocol")

    @model_validator(mode="after")
    def _of_this_embedder(self) -> Self:
        if self.dog_classifier and len(self.dog_classifier.weights) != self.recognition.dimension:
            weights = len(self.dog_classifier.weights)
            raise ValueError(f"dog_classifier has {weights} weights for {self.recognition.dimension} numbers")
        return self

    def stage(self, name: StageName) -> StageSpec:
        return {"detection": self.detection, "keypoint": self.keypoint, "recognition": self.recognition}[name]
