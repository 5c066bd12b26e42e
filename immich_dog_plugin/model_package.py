"""A model package: three ONNX graphs and the manifest that says everything about using them.

Layout, the same as in Immich's model cache::

    <name>/manifest.json
    <name>/detection/model.onnx
    <name>/keypoint/model.onnx
    <name>/recognition/model.onnx

Serving reads sides, colours, scaling, crop rule and thresholds from the manifest and assumes nothing.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .calibration import Calibration
from .errors import ModelPackageError
from .geometry import KEYPOINT_NAMES, FaceChipRule
from .settings import Settings

DEFAULT_PACKAGE = "dog-identification-v1"
MANIFEST = "manifest.json"
StageName = Literal["detection", "keypoint", "recognition"]
STAGE_NAMES: tuple[StageName, ...] = ("detection", "keypoint", "recognition")
# both: half of the embedding is the body's and half the face's
Crop = Literal["face", "body", "both"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class InputSpec(_Strict):
    """How a picture becomes the input tensor ``(n, 3, side, side)`` of a stage."""

    name: str = Field(description="name of the graph's input")
    side: int = Field(gt=0, description="pixels")
    colour: Literal["RGB"] = "RGB"
    mean: tuple[float, float, float] = Field(description="subtracted after scaling to 0..1")
    std: tuple[float, float, float] = Field(description="divided by after the mean is subtracted")
    resize: Literal["letterbox", "squash"]


class StageSpec(_Strict):
    """One graph: its file, checksum, input and output."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    input: InputSpec
    output: str = Field(description="name of the graph's output")


class DetectionSpec(StageSpec):
    """Output ``(n, 5, anchors)``: centre x, centre y, width, height in input pixels, and the dog score."""

    min_score: float = Field(ge=0, le=1)
    iou_threshold: float = Field(gt=0, le=1, description="of two boxes that overlap more, the lower score goes")
    max_dogs: int = Field(gt=0, description="per photo")


class KeypointSpec(StageSpec):
    """Output ``(n, 5, 3)``: x, y in input pixels and the probability that the point is visible."""

    names: tuple[str, ...] = KEYPOINT_NAMES
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
    training_data: tuple[TrainingData, ...]
    metrics: dict[str, Any] = Field(description="figures with their protocol")

    def stage(self, name: StageName) -> StageSpec:
        return {"detection": self.detection, "keypoint": self.keypoint, "recognition": self.recognition}[name]


class ModelPackage:
    """A model package on disk. ``open`` it by name or path; ``verify`` compares every checksum."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, name_or_path: str | Path = DEFAULT_PACKAGE) -> Self:
        """Find a package, read its manifest and verify its files.

        Raises:
            ModelPackageError: not found, manifest unreadable, a file missing or with another checksum.
        """
        package = cls.read(find_package(name_or_path))
        package.verify()
        return package

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the manifest of the package in the folder ``path`` without looking at the graphs."""
        file = path / MANIFEST
        try:
            return cls(path, Manifest.model_validate_json(file.read_bytes()))
        except OSError as error:
            raise ModelPackageError(f"The manifest {file} cannot be read ({error.strerror})", _REINSTALL) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ModelPackageError(f"The manifest {file} is not valid: {where}: {first['msg']}", _REINSTALL) from error

    def model_path(self, stage: StageName) -> Path:
        return self.path / stage / "model.onnx"

    def verify(self) -> None:
        """Compare each graph with its checksum in the manifest.

        Raises:
            ModelPackageError: names the first file that is missing or differs.
        """
        for stage in STAGE_NAMES:
            self.verify_stage(stage)

    def verify_stage(self, stage: StageName) -> None:
        """Compare the graph of one stage with its checksum."""
        file = self.model_path(stage)
        try:
            found = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise ModelPackageError(f"The model {file} cannot be read ({error.strerror})", _REINSTALL) from error
        if found != self.manifest.stage(stage).sha256:
            raise ModelPackageError(
                f"The model {file} is corrupted: its sha256 {found[:12]}… is not the manifest's "
                f"{self.manifest.stage(stage).sha256[:12]}…",
                _REINSTALL,
            )

    @cached_property
    def fingerprint(self) -> str:
        """Identifies everything that decides an embedding (graphs, preprocessing, crops, version), 16 hex digits."""
        silent = {"metrics", "training_data", "git_revision", "thresholds", "calibration"}
        return hashlib.sha256(self.manifest.model_dump_json(exclude=silent).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.manifest.name} {self.manifest.version}"


_REINSTALL = (
    "Put the package back: reinstall immich-dog-plugin, or copy artifacts/<name> from its repository "
    "and point IMMICH_DOGS_MODELS at the folder that holds it"
)


def package_folders() -> list[Path]:
    """The folders that may hold packages, in the order they are searched."""
    here = Path(__file__).parent
    configured = Settings().models
    # The second of the last two is the repository's own folder, there in a checkout or an editable install.
    return [*([configured] if configured else []), here / "artifacts", here.parent / "artifacts"]


def available_packages() -> dict[str, Path]:
    """Every package found by name; the first folder in ``package_folders`` wins."""
    found: dict[str, Path] = {}
    for folder in package_folders():
        for manifest in sorted(folder.glob(f"*/{MANIFEST}")):
            found.setdefault(manifest.parent.name, manifest.parent)
    return found


def find_package(name_or_path: str | Path) -> Path:
    """The folder of a package, given its name or a path to it.

    Raises:
        ModelPackageError: there is none; names the packages there are.
    """
    path = Path(name_or_path)
    if (path / MANIFEST).is_file():
        return path
    packages = available_packages()
    if str(name_or_path) in packages:
        return packages[str(name_or_path)]
    known = ", ".join(packages) or "none"
    searched = ", ".join(str(folder) for folder in package_folders())
    raise ModelPackageError(
        f"There is no model package '{name_or_path}' (found: {known}; searched: {searched})",
        "Name one of those found, give a folder that holds a manifest.json, or set IMMICH_DOGS_MODELS",
    )
