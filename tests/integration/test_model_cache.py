"""Model packages in the service's cache: damaged, outdated, or the user's own."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.service import Service
from immich_dog_plugin.contract import TASK, request_entries
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from tests.broken_packages import break_the_manifest, flip_a_bit, lose_a_model, lose_the_manifest, truncate
from tests.integration.asking import ask, assert_same_dogs, png
from tests.integration.conftest import StartService
from tests.tiny_package import red_dog_photo

TINY = "tiny-v1"
PHOTO = red_dog_photo([(16, 48, 96, 128)])


def put_own_package(service: Service, package: ModelPackage, name: str) -> Path:
    folder = service.cache / TASK / name
    shutil.copytree(package.path, folder)
    return folder


DAMAGES = (truncate, flip_a_bit, lose_the_manifest, lose_a_model, break_the_manifest)


@pytest.fixture(scope="module")
def damaged_service(
    start: StartService, tmp_path_factory: pytest.TempPathFactory, tiny_package: ModelPackage
) -> Iterator[Service]:
    """A service that finds a package for each kind of damage installed whole, and damaged in its cache."""
    folder, models = tmp_path_factory.mktemp("damaged"), tmp_path_factory.mktemp("models")
    for damage in DAMAGES:
        cached = folder / "cache" / TASK / damage.__name__
        shutil.copytree(tiny_package.path, models / damage.__name__)
        shutil.copytree(tiny_package.path, cached)
        damage(cached)
    with start(folder, settings={"IMMICH_DOGS_MODELS": str(models)}) as running:
        yield running


@pytest.mark.parametrize("name", [damage.__name__ for damage in DAMAGES])
def test_a_damaged_package_in_the_cache_heals(
    damaged_service: Service, tiny_package: ModelPackage, tiny_pipeline: DogPipeline, name: str
) -> None:
    assert_same_dogs(ask(damaged_service, png(PHOTO), name), tiny_pipeline(PHOTO))
    assert ModelPackage.open(damaged_service.cache / TASK / name).fingerprint == tiny_package.fingerprint


def test_a_package_that_the_user_put_into_the_cache_is_served(
    service: Service, tiny_package: ModelPackage, tiny_pipeline: DogPipeline
) -> None:
    put_own_package(service, tiny_package, "own-v1")
    assert_same_dogs(ask(service, png(PHOTO), "own-v1"), tiny_pipeline(PHOTO))


def find_nothing(package: Path) -> bytes:
    """Change the package so that only pure red is a dog; returns its new manifest."""
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["detection"]["min_score"] = 1.0
    (package / "manifest.json").write_text(json.dumps(manifest))
    return (package / "manifest.json").read_bytes()


def pale_dog() -> bytes:
    photo = PHOTO.copy()
    photo[photo[..., 0] == 255] = (200, 0, 0)
    return png(photo)


@pytest.mark.parametrize("origin", [None, "the checksum of the manifest that the plugin once put there"])
def test_what_the_user_changed_counts_before_the_plugins_package_of_the_same_name(
    start: StartService, tmp_path: Path, tiny_package: ModelPackage, origin: str | None
) -> None:
    cached = tmp_path / "cache" / TASK / TINY
    shutil.copytree(tiny_package.path, cached)
    manifest = find_nothing(cached)
    if origin:
        (cached / ".from-plugin").write_text(origin)
    with start(tmp_path) as service:
        assert ask(service, pale_dog(), TINY).dogs == ()
    assert (cached / "manifest.json").read_bytes() == manifest


def test_a_copy_that_an_older_plugin_put_there_is_replaced(
    start: StartService, tmp_path: Path, tiny_package: ModelPackage
) -> None:
    cached = tmp_path / "cache" / TASK / TINY
    shutil.copytree(tiny_package.path, cached)
    (cached / ".from-plugin").write_text(hashlib.sha256(find_nothing(cached)).hexdigest())
    with start(tmp_path) as service:
        assert len(ask(service, pale_dog(), TINY).dogs) > 0
        assert "Clear" not in service.log
    assert (cached / "manifest.json").read_bytes() == (tiny_package.path / "manifest.json").read_bytes()


def test_a_damaged_package_of_the_users_own_is_named_and_kept(service: Service, tiny_package: ModelPackage) -> None:
    own = put_own_package(service, tiny_package, "own-damaged-v1")
    truncate(own)
    before = {file: file.read_bytes() for file in own.rglob("*") if file.is_file()}
    response = service.predict(request_entries("own-damaged-v1"), image=png(PHOTO))
    assert response.status_code == 500
    assert "keypoint/model.onnx is corrupted" in response.json()["detail"]
    assert {file: file.read_bytes() for file in own.rglob("*") if file.is_file()} == before
