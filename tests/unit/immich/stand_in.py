"""The little of Immich's ML service that the plugin stands on, in lines of our own: its models run without a clone.

``MODULES`` holds what each family of releases calls its modules and names. What is behind the names does what Immich
does where the plugin relies on it, and nothing else.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import onnxruntime
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from immich_dog_plugin.contract import TASK
from immich_dog_plugin.immich.registry import find_model_class, take_entries

log = logging.getLogger("immich_ml")
settings = SimpleNamespace(cache_folder=Path())  # each test has its own cache


class HTTPException(Exception):  # noqa: N818 - FastAPI's name
    """An answer with this status."""

    def __init__(self, status_code: int, detail: str) -> None:
        super().__init__(status_code, detail)
        self.status_code = status_code
        self.detail = detail


FACES = "facial-recognition"


class ModelTask(StrEnum):
    DOG_IDENTIFICATION = TASK
    FACIAL_RECOGNITION = FACES


class ModelType(StrEnum):
    DETECTION = "detection"
    KEYPOINT = "keypoint"
    RECOGNITION = "recognition"


class ModelFormat(StrEnum):
    ARMNN = "armnn"
    ONNX = "onnx"


def clean_name(model_name: str) -> str:
    """The last part of a path or a hub's name, without its dots."""
    return model_name.rsplit("/", maxsplit=1)[-1].replace(".", "")


class InferenceModel:
    """Loads when it is first needed, and counts how often it had to try."""

    model_name: str
    identity: tuple[ModelType, ModelTask]
    depends: list[tuple[ModelType, ModelTask]]

    def __init__(self, model_name: str, cache_dir: Path | None = None, **_: Any) -> None:
        self.model_name = clean_name(model_name)
        self.cache_dir = cache_dir or self._cache_dir_default
        self.model_format = self._model_format_default
        self.loaded = False
        self.load_attempts = 0

    @property
    def _cache_dir_default(self) -> Path:
        return settings.cache_folder / "another" / self.model_name

    @property
    def _model_format_default(self) -> ModelFormat:
        return ModelFormat.ARMNN  # as on the hardware that reads no other

    def load(self) -> None:
        if self.loaded:
            return
        self.load_attempts += 1
        self.download()
        self.session = self._load()
        self.loaded = True

    def download(self) -> None:
        raise AssertionError("there is no way to a hub")

    def clear_cache(self) -> None:
        shutil.rmtree(self.cache_dir)

    def _load(self) -> Any:
        raise NotImplementedError

    def predict(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError


class FaceRecognizer(InferenceModel):
    """Immich's, which answers for each face a row of numpy's numbers, and without a face at once."""

    depends: ClassVar[list[tuple[ModelType, ModelTask]]] = [(ModelType.DETECTION, ModelTask.FACIAL_RECOGNITION)]
    identity = (ModelType.RECOGNITION, ModelTask.FACIAL_RECOGNITION)
    clears: ClassVar[list[str]] = []  # every clearing of its cache

    def download(self) -> None:
        pass

    def clear_cache(self) -> None:
        self.clears.append(self.model_name)

    def _load(self) -> str:
        return "a session"

    def predict(self, *inputs: Any, **options: Any) -> Any:
        self.load()
        return self._predict(*inputs)

    def _predict(self, photo: Image.Image, faces: list[tuple[float, ...]]) -> list[dict[str, Any]]:
        if not faces:
            return []
        return [
            {
                "boundingBox": dict(zip(("x1", "y1", "x2", "y2"), np.float32(face), strict=True)),
                "embedding": json.dumps([round(0.001 * (row + 1), 3)] * 512),
                "score": np.float32(0.9),
            }
            for row, face in enumerate(faces)
        ]


def get_model_class(model_name: str, model_type: str, model_task: str) -> type[Any]:
    """Up to v3.2, as patched: the plugin first."""
    if (model_class := find_model_class(model_name, model_type, model_task)) is not None:
        return model_class
    if (clean_name(model_name), model_type, model_task) == ("buffalo_l", ModelType.RECOGNITION, FACES):
        return FaceRecognizer
    raise ValueError(f"Unknown model combination: {model_name}, {model_type}, {model_task}")


CPU = ["CPUExecutionProvider"]


class OrtSession:
    """A graph that always runs on the CPU, whatever providers it names; a subclass may change the options."""

    providers: ClassVar[list[str]] = CPU

    def __init__(self, model_path: Path) -> None:
        self.sess_options = self._sess_options_default
        self.graph = onnxruntime.InferenceSession(model_path.as_posix(), self.sess_options, CPU)

    @property
    def _sess_options_default(self) -> onnxruntime.SessionOptions:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads, options.intra_op_num_threads = 1, 2
        return options

    def get_inputs(self) -> Any:
        return self.graph.get_inputs()

    def get_outputs(self) -> Any:
        return self.graph.get_outputs()

    def run(self, output_names: Any, input_feed: Any, run_options: Any = None) -> Any:
        return self.graph.run(output_names, input_feed, run_options)


@dataclass(frozen=True)
class Shape:
    batch: int


@dataclass(frozen=True)
class ShapePolicy:
    dims: tuple[Shape, ...]


class OneRowGraph(OrtSession):
    def run(self, output_names: Any, input_feed: Any, run_options: Any = None) -> Any:
        (rows,) = input_feed.values()
        assert len(rows) == 1, "this graph was prepared for one row"
        return super().run(output_names, input_feed, run_options)


class ShapedOrtSession:
    """v3.3's, which holds a graph for each shape."""

    def __init__(self, model_path: Path, policy: ShapePolicy) -> None:
        self.graphs = {shape: OneRowGraph(model_path) for shape in policy.dims}

    def for_shape(self, shape: Shape) -> OneRowGraph:
        return self.graphs[shape]


@dataclass(frozen=True)
class InferenceEntry:
    """v3.3's, which knows the names of Immich's own models alone."""

    model: Any
    name: str
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        raise ValueError(f"'{self.name}' is not a model {self.model} runs")


class Slot(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_name: str = Field(alias="modelName")
    options: dict[str, float] = {}


class Faces(BaseModel):
    model_config = ConfigDict(extra="forbid")

    detection: Slot | None = None
    recognition: Slot | None = None


class PipelineRequest(BaseModel):
    """v3.3's, which knows no task but faces here."""

    model_config = ConfigDict(extra="forbid")

    faces: Faces = Field(default=Faces(), alias=FACES)

    def entries(self) -> list[Any]:
        slot = self.faces.recognition
        return (
            [] if slot is None else [SimpleNamespace(model=FaceRecognizer, name=slot.model_name, options=slot.options)]
        )


UP_TO_V3_2: dict[str, dict[str, Any]] = {
    "fastapi": {"HTTPException": HTTPException},
    "immich_ml": {},
    "immich_ml.config": {"clean_name": clean_name, "log": log, "settings": settings},
    "immich_ml.models": {"get_model_class": get_model_class},
    "immich_ml.models.base": {"InferenceModel": InferenceModel},
    "immich_ml.models.facial_recognition": {},
    "immich_ml.models.facial_recognition.recognition": {"FaceRecognizer": FaceRecognizer},
    "immich_ml.schemas": {
        "ModelFormat": ModelFormat,
        "ModelIdentity": tuple,
        "ModelSession": Any,
        "ModelTask": ModelTask,
        "ModelType": ModelType,
    },
    "immich_ml.sessions": {},
    "immich_ml.sessions.ort": {"OrtSession": OrtSession},
}
FROM_V3_3 = UP_TO_V3_2 | {
    "immich_ml.models": {},
    "immich_ml.pipeline": {"PipelineRequest": PipelineRequest},
    "immich_ml.models.base": {"InferenceModel": InferenceModel, "InferenceEntry": InferenceEntry},
    "immich_ml.schemas": UP_TO_V3_2["immich_ml.schemas"] | {"Shape": Shape},
    "immich_ml.sessions.ort": {"OrtSession": ShapedOrtSession},
    "immich_ml.sessions.policy": {"ShapePolicy": ShapePolicy},
}
MODULES = {"up to v3.2": UP_TO_V3_2, "from v3.3": FROM_V3_3}


@dataclass
class Service:
    """A patched service, as far as a request for dogs goes.

    Attributes:
        release: a key of ``MODULES``.
        models: those that requests made, by name and type; the next request finds them here.
    """

    release: str
    models: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        """The folder of the dogs' packages in the model cache."""
        return settings.cache_folder / TASK

    def ask(self, request: Mapping[str, Any], payload: Image.Image | str) -> Any:
        """The answer to the dogs' part of a request: what the model says that no other one waits for.

        Raises:
            HTTPException: the request is refused, or a model does not load.
        """
        waiting = {}
        for name, stage, model_class, options in self._entries(request):
            # Up to v3.2 the first request's options go to the constructor, and the model stays.
            model = self.models.setdefault((name, stage), model_class(name, ttl=300, **options))
            waiting[model.identity] = (model, options)
        outputs: dict[Any, Any] = {}
        while waiting:
            level = {key: entry for key, entry in waiting.items() if waiting.keys().isdisjoint(entry[0].depends)}
            for key, (model, options) in level.items():
                self._load(model)
                inputs = [outputs[dependency] for dependency in model.depends]
                given = {"options": options} if self.release == "from v3.3" else options
                outputs[key] = model.predict(payload, *inputs, **given)
                del waiting[key]
        return outputs[key]

    def faces(self, photo: Image.Image, faces: list[tuple[float, ...]], model_name: str = "buffalo_l") -> Any:
        """The answer to a request for faces, of which the detector found these.

        Raises:
            HTTPException: the request is refused, or a model does not load.
        """
        if self.release == "from v3.3":
            asked = json.dumps({FACES: {"recognition": {"modelName": model_name}}})
            rest, taken = take_entries(asked)
            kind = taken[0].model if taken else FaceRecognizer
            assert rest == (json.dumps({FACES: {}}) if taken else asked)
        else:
            kind = get_model_class(model_name, "recognition", FACES)
        model = self.models.setdefault((FACES, "recognition"), kind(model_name))
        self._load(model)
        return model.predict(photo, faces, **({"options": {}} if self.release == "from v3.3" else {}))

    def _entries(self, request: Mapping[str, Any]) -> list[tuple[str, str, Any, Any]]:
        if self.release == "from v3.3":
            rest, entries = take_entries(json.dumps(request))
            assert rest == "{}"
            return [(entry.name, entry.model.identity[0], entry.model, entry.options) for entry in entries]
        slots = [(slot["modelName"], stage, slot.get("options", {})) for stage, slot in request[TASK].items()]
        return [(name, stage, find_model_class(name, stage, TASK), options) for name, stage, options in slots]

    @staticmethod
    def _load(model: Any) -> None:
        if model.loaded:
            return
        if model.load_attempts > 1:
            raise HTTPException(500, f"Failed to load {model.model_name}")
        try:
            model.load()
        except OSError:  # a damaged file, to Immich
            model.clear_cache()
            model.load()
