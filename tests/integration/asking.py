"""Asking a service for dogs, and asking the pipeline for the same."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from harness.service import Service
from immich_dog_plugin.contract import TASK, DogAnswer, check_answer, request_entries
from immich_dog_plugin.geometry import ImageArray, whole_box
from immich_dog_plugin.pipeline import Dog


def png(photo: ImageArray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "PNG")
    return buffer.getvalue()


def ordered_entries(model: str, order: Iterable[str]) -> dict[str, Any]:
    """The three-entry request with its entries in another order; JSON objects keep theirs."""
    entries = request_entries(model)[TASK]
    return {TASK: {stage: entries[stage] for stage in order}}


def ask(service: Service, image: bytes, model: str, min_score: float | None = None) -> DogAnswer:
    """The service's dogs of one photo, the contract checked."""
    response = service.predict(request_entries(model, min_score), image=image)
    assert response.status_code == 200, f"{response.text}\n{service.log[-3000:]}"
    return check_answer(response.content)


def assert_same_dogs(answer: DogAnswer, dogs: list[Dog]) -> None:
    """The service found what the pipeline found in the same photo, and embedded it the same."""
    assert len(answer.dogs) == len(dogs)
    for entry, dog in zip(answer.dogs, dogs, strict=True):
        box = entry.bounding_box
        expected = whole_box(dog.box, answer.image_width, answer.image_height)
        # ONNX Runtime's versions may differ in the last digits, so a box may round to the next pixel.
        np.testing.assert_allclose((box.x1, box.y1, box.x2, box.y2), expected, atol=1)
        assert abs(entry.score - dog.score) < 1e-3
        assert entry.crop == dog.crop
        assert float(entry.vector @ dog.embedding) > 0.9999
