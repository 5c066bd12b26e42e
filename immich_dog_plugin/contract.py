"""The service's answer to a ``dog-identification`` request: how it is written, and a contract that can be checked."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from .errors import ServiceError
from .geometry import KEYPOINT_NAMES, FloatArray, whole_box
from .manifest import Crop
from .pipeline import Dog

TASK = "dog-identification"
EMBEDDING_LENGTH = 512  # Immich's server stores vectors of this length and no other
UNIT_LENGTH_TOLERANCE = 1e-3

Unit = Annotated[float, Field(ge=0, le=1)]
Point = tuple[float, float, Unit]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True, alias_generator=to_camel)


class BoundingBox(_Strict):
    """Whole pixels of the photo as the service decoded it; ``x2`` and ``y2`` may equal its width and height."""

    x1: int = Field(ge=0)
    y1: int = Field(ge=0)
    x2: int
    y2: int

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.x1 >= self.x2 or self.y1 >= self.y2:
            raise ValueError("the box is empty")
        return self


class DogEntry(_Strict):
    """One dog.

    Attributes:
        bounding_box: where it is.
        score: the detector's.
        embedding: a JSON array in a string, as Immich's server expects it: 512 finite numbers of unit length.
        keypoints: x, y in photo pixels and score by name; ``None`` where no face is visible.
        crop: the part that was embedded.
    """

    bounding_box: BoundingBox
    score: Unit
    embedding: str
    keypoints: dict[str, Point] | None
    crop: Crop

    @property
    def vector(self) -> FloatArray:
        """The embedding as ``(512,)`` float32."""
        return np.array(orjson.loads(self.embedding), dtype=np.float32)

    @field_validator("embedding")
    @classmethod
    def _is_a_unit_vector(cls, embedding: str) -> str:
        try:
            numbers = orjson.loads(embedding)  # refuses NaN and Infinity, as the server's own parser does
        except orjson.JSONDecodeError as error:
            raise ValueError("the string is no JSON") from error
        if not isinstance(numbers, list) or any(type(number) not in (int, float) for number in numbers):
            raise ValueError("the string is no JSON array of numbers")
        if len(numbers) != EMBEDDING_LENGTH:
            raise ValueError(f"{len(numbers)} numbers instead of {EMBEDDING_LENGTH}")
        length = float(np.linalg.norm(np.array(numbers, dtype=np.float64)))
        if not abs(length - 1) <= UNIT_LENGTH_TOLERANCE:
            raise ValueError(f"its length is {length:.4f} instead of 1")
        return embedding

    @field_validator("keypoints")
    @classmethod
    def _has_every_point(cls, keypoints: dict[str, Point] | None) -> dict[str, Point] | None:
        if keypoints is not None and set(keypoints) != set(KEYPOINT_NAMES):
            raise ValueError(f"the points are {sorted(keypoints)} instead of {sorted(KEYPOINT_NAMES)}")
        return keypoints


class DogAnswer(BaseModel):
    """The answer for one photo. It may hold the answers of other tasks beside."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)

    dogs: tuple[DogEntry, ...] = Field(alias=TASK)
    image_width: int = Field(gt=0)
    image_height: int = Field(gt=0)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for dog in self.dogs:
            if dog.bounding_box.x2 > self.image_width or dog.bounding_box.y2 > self.image_height:
                raise ValueError("a box reaches beyond the photo")
        scores = [dog.score for dog in self.dogs]
        if scores != sorted(scores, reverse=True):
            raise ValueError("the dogs are not in the order of their scores")
        return self


def as_answer(dog: Dog, width: int, height: int) -> dict[str, Any]:
    """One dog as an entry of the service's ``dog-identification`` answer, for a photo of ``width`` x ``height``.

    The embedding is a JSON *string*, as Immich's server expects of every embedding.
    """
    x1, y1, x2, y2 = whole_box(dog.box, width, height)
    return {
        "boundingBox": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
        "score": dog.score,
        "embedding": orjson.dumps(np.ascontiguousarray(dog.embedding), option=orjson.OPT_SERIALIZE_NUMPY).decode(),
        "keypoints": None if dog.keypoints is None else named_keypoints(dog.keypoints),
        "crop": dog.crop,
    }


def named_keypoints(keypoints: FloatArray) -> dict[str, list[float]]:
    """Keypoints ``(5, 3)`` as ``{"left_eye": [x, y, score], ...}``, to a tenth of a pixel."""
    return {
        name: [round(float(x), 1), round(float(y), 1), round(float(score), 3)]
        for name, (x, y, score) in zip(KEYPOINT_NAMES, keypoints, strict=True)
    }


def request_entries(model_name: str, min_score: float | None = None) -> dict[str, Any]:
    """The form field ``entries`` that asks for everything about the dogs of a photo."""
    detection: dict[str, Any] = {"modelName": model_name}
    if min_score is not None:
        detection["options"] = {"minScore": min_score}
    return {
        TASK: {"detection": detection, "keypoint": {"modelName": model_name}, "recognition": {"modelName": model_name}}
    }


def check_answer(content: bytes | str) -> DogAnswer:
    """Parse the body of an answer and hold it against the contract.

    Raises:
        ServiceError: names the first thing that breaks it, and how many there are.
    """
    try:
        return DogAnswer.model_validate_json(content)
    except ValidationError as error:
        first, *others = error.errors()
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        more = f" (and {len(others)} more)" if others else ""
        raise ServiceError(
            f"The answer breaks the contract: {where}: {first['msg']}{more}",
            "Check that the service runs this version of the plugin, and its models with: immich-dogs models",
        ) from error
