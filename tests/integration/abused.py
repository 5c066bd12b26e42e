"""What the tests of abuse share: photos whose answers are known, a judge of answers, settings to watch a service."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import harness.abuse
from harness.abuse.client import Client, Reply
from harness.abuse.expectation import DOG_TYPES, FACE_TASK, Expectation, Knowledge, Wanted
from harness.abuse.form import Form, Part, RawRequest
from harness.abuse.record import keep
from harness.asking import differences, png
from harness.immich_models import FACES
from harness.upstream import ROOT
from immich_dog_plugin.contract import TASK, check_answer, request_entries
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import Dog, DogPipeline
from tests.tiny_package import red_dog_photo

TINY = "tiny-v1"
FAILURES = ROOT / "out" / "abuse"
_INSIDE = Path(harness.abuse.__file__).parent / "inside"


def watched(*python_path: Path, audit: Path | None = None) -> dict[str, str]:
    """Settings for a service with ``harness/abuse/inside`` in it."""
    settings = {
        "PYTHONPATH": os.pathsep.join(map(str, (_INSIDE, *python_path))),
        "MACHINE_LEARNING_MODEL_INTRA_OP_THREADS": "1",  # a second thread on so small a graph only waits, and busily
    }
    return settings if audit is None else settings | {"ABUSE_AUDIT": str(audit)}


def known_photos() -> list[ImageArray]:
    """Six photos; no two have the same size, and none shows the dogs of another."""
    photos = []
    for number in range(6):
        photo = red_dog_photo([(16 + 8 * number, 40, 88 + 8 * number, 112)], (160 + 16 * number, 128 + 8 * number))
        photo[photo[..., 0] == 255, 2] = 40 * number  # the bluer, the likelier a face
        photo[:30, :30] = (153, 0, 0)  # a less certain dog
        photos.append(photo)
    return photos


def photo_form(entries: Any, photo: bytes) -> RawRequest:
    return Form((Part("entries", json.dumps(entries).encode()), Part("image", photo, "image"))).encode()


class Judge:
    """Holds answers against what must be answered.

    Attributes:
        known: photos and model names for the generators.
    """

    def __init__(self, pipeline: DogPipeline, package: ModelPackage) -> None:
        self._photos = known_photos()
        self._package = package
        self._dogs = [pipeline(photo, 0.0) for photo in self._photos]
        self._min_score = package.manifest.detection.min_score
        self._faces: list[Any] = []
        self.known = Knowledge([png(photo) for photo in self._photos], frozenset({package.manifest.name}))

    def learn_faces(self, unpatched: Client) -> None:
        """What Immich's own face recognition says of the photos."""
        entries = {FACE_TASK: {model_type: {"modelName": FACES} for model_type in ("detection", "recognition")}}
        for photo in self.known.photos:
            reply = unpatched.predict(photo_form(entries, photo))
            self._faces.append(json.loads(reply.body)[FACE_TASK])

    def good_request(self, number: int) -> tuple[RawRequest, Expectation]:
        """A request of the kind that Immich would send."""
        photo = number % len(self._photos)
        request = photo_form(request_entries(self._package.manifest.name), self.known.photos[photo])
        return request, Expectation(frozenset({200}), Wanted(photo, frozenset(DOG_TYPES), None, faces=False))

    def complaint(self, reply: Reply, expected: Expectation) -> str | None:
        """What is wrong with an answer."""
        if reply.status not in expected.statuses:
            return f"HTTP {reply.status} instead of {sorted(expected.statuses)}: {reply.body[:300]!r}"
        if reply.status == 500:
            return None if reply.body == b"Internal Server Error" else f"not Immich's own error: {reply.body[:300]!r}"
        if reply.content_type != "application/json":
            return f"a body of type {reply.content_type!r}"
        answer = json.loads(reply.body)
        if reply.status != 200:
            return None if isinstance(answer.get("detail"), str | list) else f"an error without detail: {answer}"
        assert expected.wanted is not None
        wrong = self._differences(answer, reply.body, expected.wanted)
        return f"another answer than that of photo {expected.wanted.photo}: {wrong}" if wrong else None

    def kept(self, request: RawRequest, expected: Expectation, complaint: str) -> str:
        """Write the request down; returns what to print."""
        return (
            f"{complaint}\nReplay it with: {keep(FAILURES, request, expected.statuses, complaint, self._package.path)}"
        )

    def _differences(self, answer: dict[str, Any], body: bytes, wanted: Wanted) -> list[str]:
        size = {} if wanted.photo is None else self._size(wanted.photo)
        tasks = [*([TASK] if wanted.stages else []), *([FACE_TASK] if wanted.faces else [])]
        if {name: value for name, value in answer.items() if name.startswith("image")} != size:
            return [f"size {answer.get('imageWidth')} x {answer.get('imageHeight')} instead of {size}"]
        if set(answer) != {*tasks, *size}:
            return [f"{sorted(answer)} instead of {sorted({*tasks, *size})}"]
        if wanted.photo is None:
            return []
        if wanted.faces and answer[FACE_TASK] != self._faces[wanted.photo]:
            return ["other faces"]
        dogs = self._dogs_of(wanted.photo, wanted.min_score)
        if wanted.stages == set(DOG_TYPES):
            return differences(check_answer(body), dogs)
        return _detection_differences(answer[TASK], dogs, "keypoint" in wanted.stages) if wanted.stages else []

    def _size(self, photo: int) -> dict[str, int]:
        height, width = self._photos[photo].shape[:2]
        return {"imageHeight": height, "imageWidth": width}

    def _dogs_of(self, photo: int, min_score: float | None) -> list[Dog]:
        least = np.float32(self._min_score if min_score is None else min_score)
        return [dog for dog in self._dogs[photo] if np.float32(dog.score) >= least]


def _detection_differences(answer: dict[str, Any], dogs: Sequence[Dog], with_keypoints: bool) -> list[str]:
    fields = {"boxes", "scores", "keypoints"} if with_keypoints else {"boxes", "scores"}
    if set(answer) != fields or any(len(values) != len(dogs) for values in answer.values()):
        return [f"{ {name: len(values) for name, values in answer.items()} } for {len(dogs)} dogs"]
    boxes, scores = np.reshape(answer["boxes"], (-1, 4)), np.array(answer["scores"])
    expected = np.reshape([dog.box for dog in dogs], (-1, 4))
    if not np.allclose(boxes, expected, atol=0.01) or not np.allclose(scores, [dog.score for dog in dogs], atol=1e-3):
        return [f"boxes {boxes.tolist()} scored {scores.tolist()}"]
    has_face = [points is not None for points in answer["keypoints"]] if with_keypoints else []
    if with_keypoints and has_face != [dog.keypoints is not None for dog in dogs]:
        return [f"faces {has_face}"]
    return []


def resident_mib(process: int) -> float:
    """What a process holds in memory."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
