from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from harness.bench import originals
from harness.bench.originals import agree, identify_seconds, peak_mb
from harness.bench.peak import find_dogs
from harness.bench.photos import PREVIEW, as_huge, as_original, as_preview
from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import Dog, DogPipeline
from tests.tiny_package import red_dog_photo

PHOTO = red_dog_photo([(64, 32, 96, 64)])


def _dog(box: list[float], embedding: FloatArray) -> Dog:
    return Dog(np.array(box, dtype=np.float32), 0.9, None, "body", embedding / np.linalg.norm(embedding))


def test_an_original_has_a_telephones_size_and_its_preview_the_servers() -> None:
    original = read_photo(as_original(PHOTO, megapixels=1))
    assert original.shape == (866, 1155, 3)
    assert original[:100, :100].std() > 1  # noise of a sensor
    assert read_photo(as_original(PHOTO, megapixels=0.01)).shape == PHOTO.shape  # never shrunk
    assert read_photo(as_preview(original)).shape == (1080, PREVIEW, 3)


def test_a_huge_photo_is_one_beside_itself() -> None:
    assert read_photo(as_huge(as_original(PHOTO, megapixels=0.01), size=(700, 400))).shape == (400, 700, 3)


def test_dogs_agree_by_place_and_embedding() -> None:
    same, other = np.array([1, 0, 0], dtype=np.float32), np.array([0.9, 0.5, 0], dtype=np.float32)
    seen = [_dog([0, 0, 10, 10], same), _dog([20, 0, 30, 10], same), _dog([40, 0, 50, 10], same)]
    found = [_dog([0, 0, 40, 42], same), _dog([80, 0, 120, 40], other)]
    assert agree(seen, found, scale=4) == [True, False, False]
    assert agree(seen, found, scale=1) == [False, False, False]


def test_times_dogs_and_agreement_are_those_of_the_photos(tiny_package: ModelPackage) -> None:
    found = [as_original(photo, megapixels=0.2) for photo in (PHOTO, red_dog_photo([]))]
    original_ms, preview_ms, dogs, agreeing = originals._compare(found, tiny_package, rounds=1)
    assert 0 < original_ms < preview_ms  # of so small an original the preview is the larger one
    assert dogs == len(find_dogs(DogPipeline.open(tiny_package), as_preview(read_photo(found[0])))) > 0
    assert agreeing == dogs


def test_the_peak_is_that_of_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(as_original(PHOTO, megapixels=2))
    ballast = np.ones(400_000_000, dtype=np.uint8)  # of this process: it must not count
    monkeypatch.setenv("IMMICH_DOGS_MAX_MEGAPIXELS", "1")
    assert 30 < peak_mb(photo, 2) < 450
    assert ballast.sum() == 400_000_000
    assert os.environ["IMMICH_DOGS_MAX_MEGAPIXELS"] == "1"
    photo.write_bytes(b"no photo")
    with pytest.raises(DogPluginError, match="not an image"):
        peak_mb(photo, 2)


def test_identify_is_timed_by_workers(tiny_package: ModelPackage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originals, "_RUNS", 1)
    pytest.importorskip("sklearn", reason="identify needs scikit-learn: pip install 'immich-dog-plugin[report]'")
    seconds = identify_seconds([as_preview(PHOTO)], tiny_package, (1, 2))
    assert set(seconds) == {1, 2}
    assert min(seconds.values()) > 0
