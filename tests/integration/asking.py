"""Asking a service for dogs, and asking the pipeline for the same."""

from __future__ import annotations

from harness.asking import differences, ordered_entries, png
from harness.service import Service
from immich_dog_plugin.contract import DogAnswer, check_answer, request_entries
from immich_dog_plugin.pipeline import Dog

__all__ = ["ask", "assert_same_dogs", "ordered_entries", "png"]


def ask(service: Service, image: bytes, model: str, min_score: float | None = None) -> DogAnswer:
    """The service's dogs of one photo, the contract checked."""
    response = service.predict(request_entries(model, min_score), image=image)
    assert response.status_code == 200, f"{response.text}\n{service.log[-3000:]}"
    return check_answer(response.content)


def assert_same_dogs(answer: DogAnswer, dogs: list[Dog]) -> None:
    """The service found what the pipeline found in the same photo, and embedded it the same."""
    assert differences(answer, dogs) == []
