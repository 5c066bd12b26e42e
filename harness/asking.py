"""Requests for dogs, and their answers beside those of the pipeline itself."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

from immich_dog_plugin.contract import TASK, DogAnswer, request_entries
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


def differences(answer: DogAnswer, dogs: Sequence[Dog]) -> list[str]:
    """Where a service's answer is not the pipeline's for the same photo; each as one line, best empty.

    The versions of ONNX Runtime may differ in the last digits, so a box may round to the next pixel.
    """
    if len(answer.dogs) != len(dogs):
        return [f"{len(answer.dogs)} dogs instead of {len(dogs)}"]
    found: list[str] = []
    for number, (entry, dog) in enumerate(zip(answer.dogs, dogs, strict=True)):
        box = entry.bounding_box
        actual = (box.x1, box.y1, box.x2, box.y2)
        expected = whole_box(dog.box, answer.image_width, answer.image_height)
        cosine = float(entry.vector @ dog.embedding)
        if any(abs(one - other) > 1 for one, other in zip(actual, expected, strict=True)):
            found.append(f"dog {number}: box {actual} instead of {expected}")
        if abs(entry.score - dog.score) >= 1e-3:
            found.append(f"dog {number}: score {entry.score:.4f} instead of {dog.score:.4f}")
        if entry.crop != dog.crop:
            found.append(f"dog {number}: embedded its {entry.crop} instead of its {dog.crop}")
        if cosine <= 0.9999:
            found.append(f"dog {number}: the embeddings have a cosine of {cosine:.5f}")
    return found
