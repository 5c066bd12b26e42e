"""What counts as a copy once the dogs are known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.identify.collect import collect
from immich_dog_plugin.identify.collection import Collection
from immich_dog_plugin.identify.store import Store
from immich_dog_plugin.pipeline import Dog
from immich_dog_plugin.scan import PhotoFile

BOX = np.float32([0, 0, 10, 10])
REX, BELLA = np.float32([1, 0]), np.float32([0, 1])


def dog(embedding: FloatArray) -> Dog:
    return Dog(BOX, 0.9, None, "body", embedding)


def collected(folder: Path, original: list[Dog], copy: list[Dog]) -> Collection:
    """Two files whose thumbnails are the same picture, the second of fewer pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    picture = cv2.imencode(".jpg", cv2.resize(noise, (144, 108)))[1].tobytes()
    with Store(folder / "identify.sqlite", "model", 0.5, dimension=2) as store:
        ids = [
            store.add(name, picture, pixels, [(one, b"") for one in dogs])
            for name, pixels, dogs in (("large", 100, original), ("small", 50, copy))
        ]
        files = [PhotoFile(folder / name, name, None) for name in ("large.jpg", "small.jpg")]
        return collect({id: [file] for id, file in zip(ids, files, strict=True)}, store, 2, [], [], 0)


@pytest.mark.parametrize(
    ("original", "copy", "photos", "dogs"),
    [
        pytest.param([dog(REX)], [dog(np.float32([0.8, 0.6]))], 1, 1, id="the same dog, blurred"),
        pytest.param([dog(REX), dog(BELLA)], [dog(BELLA)], 1, 2, id="one of its dogs"),
        pytest.param([dog(REX)], [], 1, 1, id="a dog too small to be found in the copy"),
        pytest.param([], [], 1, 0, id="no dog in either"),
        pytest.param([], [dog(REX)], 2, 1, id="a dog has come into a picture that was empty"),
        pytest.param([dog(REX)], [dog(BELLA)], 2, 2, id="another dog in the same place"),
    ],
)
def test_a_copy_shows_no_dog_that_its_original_does_not(
    tmp_path: Path, original: list[Dog], copy: list[Dog], photos: int, dogs: int
) -> None:
    found = collected(tmp_path, original, copy)
    assert (len(found.photos), len(found.detections), len(found.embeddings)) == (photos, dogs, dogs)
    assert found.photos[0].files == ("large.jpg",)
