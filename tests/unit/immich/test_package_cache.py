"""Model packages in the service's cache: damaged, outdated, the user's own, or nowhere to be written."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from immich_dog_plugin.contract import request_entries
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from tests.broken_packages import (
    break_the_manifest,
    flip_a_bit,
    lose_a_model,
    lose_the_manifest,
    no_graph,
    stages_swapped,
    truncate,
    weights_elsewhere,
)
from tests.tiny_package import red_dog_photo
from tests.unit.immich.stand_in import HTTPException, Service

TINY = "tiny-v1"
PALE_DOG = red_dog_photo([(64, 64, 96, 96)])
PALE_DOG[PALE_DOG[..., 0] == 255] = (200, 0, 0)


def ask(service: Service, name: str = TINY) -> list[Any]:
    answer: list[Any] = service.ask(request_entries(name), Image.fromarray(PALE_DOG))
    return answer


def assert_is_right(answer: list[Any], pipeline: DogPipeline) -> None:
    (dog,) = pipeline(PALE_DOG)
    assert [entry["score"] for entry in answer] == [dog.score]
    np.testing.assert_array_equal(np.float32(json.loads(answer[0]["embedding"])), dog.embedding)


def restarted(service: Service) -> Service:
    return Service(service.release)


def put(package: ModelPackage, folder: Path) -> Path:
    return Path(shutil.copytree(package.path, folder))


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


DAMAGES = (truncate, flip_a_bit, lose_the_manifest, lose_a_model, break_the_manifest)
DAMAGES += (no_graph, stages_swapped, weights_elsewhere)  # with checksums that fit


def see_red_only(package: Path) -> bytes:
    """Change the package so that only pure red is a dog; returns its new manifest."""
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["detection"]["min_score"] = 1.0
    (package / "manifest.json").write_text(json.dumps(manifest))
    return (package / "manifest.json").read_bytes()


def test_the_plugins_package_is_put_into_the_cache_when_it_is_first_needed(
    service: Service, tiny_package: ModelPackage, tiny_pipeline: DogPipeline
) -> None:
    assert not service.cache.exists()
    assert_is_right(ask(service), tiny_pipeline)
    origin = hashlib.sha256((tiny_package.path / "manifest.json").read_bytes()).hexdigest().encode()
    cached = content(service.cache / TINY)
    expected = content(tiny_package.path) | {".from-plugin": origin}
    assert {name: cached[name] for name in expected} == expected
    assert [entry.name for entry in service.cache.iterdir()] == [TINY]  # no scratch folder is left


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_package_in_the_cache_heals(
    service: Service, tiny_package: ModelPackage, tiny_pipeline: DogPipeline, damage: Callable[[Path], None]
) -> None:
    damage(put(tiny_package, service.cache / TINY))
    assert_is_right(ask(service), tiny_pipeline)
    healed = content(service.cache / TINY)
    assert content(tiny_package.path).items() <= healed.items()
    assert_is_right(ask(restarted(service)), tiny_pipeline)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_package_of_the_users_own_is_named_and_kept_and_served_once_it_is_mended(
    service: Service, tiny_package: ModelPackage, tiny_pipeline: DogPipeline, damage: Callable[[Path], None]
) -> None:
    own = put(tiny_package, service.cache / "own-v1")
    damage(own)
    before = content(own)
    for _ in range(4):  # Immich gives a model of its own up after two attempts
        with pytest.raises(HTTPException, match="own-v1") as caught:
            ask(service, "own-v1")
    if damage is lose_the_manifest:
        assert (caught.value.status_code, "no dog model package" in caught.value.detail) == (422, True)
    else:
        assert (caught.value.status_code, "Failed to load" in caught.value.detail) == (500, False)
    assert content(own).items() >= before.items()
    shutil.rmtree(own)
    put(tiny_package, own)
    assert_is_right(ask(service, "own-v1"), tiny_pipeline)


def test_a_package_of_the_users_own_is_served_and_nothing_is_put_into_it_but_what_v3_3_prepares(
    service: Service, tiny_package: ModelPackage, tiny_pipeline: DogPipeline
) -> None:
    own = put(tiny_package, service.cache / "own-v1")
    assert_is_right(ask(service, "own-v1"), tiny_pipeline)
    new = {Path(name).name for name in content(own).keys() - content(tiny_package.path).keys()}
    assert new <= {"model.lock", ".prepared-for"}


def test_when_immich_clears_the_cache_of_a_model_it_leaves_the_users_package(
    service: Service, tiny_package: ModelPackage
) -> None:
    own = put(tiny_package, service.cache / "own-v1")
    ask(service, "own-v1")
    for model in service.models.values():
        model.clear_cache()
    assert content(tiny_package.path).items() <= content(own).items()


@pytest.mark.parametrize("origin", [None, "the checksum of the manifest that the plugin once put there"])
def test_what_the_user_changed_counts_before_the_plugins_package_of_the_same_name(
    service: Service, tiny_package: ModelPackage, origin: str | None
) -> None:
    cached = put(tiny_package, service.cache / TINY)
    manifest = see_red_only(cached)
    if origin:
        (cached / ".from-plugin").write_text(origin)
    assert ask(service) == []
    assert (cached / "manifest.json").read_bytes() == manifest


def test_a_copy_that_an_older_plugin_put_there_is_replaced(
    service: Service, tiny_package: ModelPackage, tiny_pipeline: DogPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    cached = put(tiny_package, service.cache / TINY)
    (cached / ".from-plugin").write_text(hashlib.sha256(see_red_only(cached)).hexdigest())
    assert_is_right(ask(service), tiny_pipeline)
    assert (cached / "manifest.json").read_bytes() == (tiny_package.path / "manifest.json").read_bytes()
    assert not caplog.records


def refuse_to_write(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.cache.mkdir(parents=True)

    def copytree(source: Path, target: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(target))

    monkeypatch.setattr(shutil, "copytree", copytree)


def refuse_to_enter(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.cache.mkdir(parents=True)
    close(service.cache, monkeypatch)


def refuse_to_enter_the_folder_above(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.cache.parent.mkdir(parents=True)
    close(service.cache.parent, monkeypatch)


def close(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a folder of another user with mode 700 is; root, who may run these tests, would be let in."""

    def refuse(name: str, *, to_list: bool = False) -> None:
        function = getattr(os, name)

        def refusing(path: Any = ".", *arguments: Any, **keywords: Any) -> Any:
            inside = not isinstance(path, int) and folder in Path(os.fsdecode(path)).parents
            if inside or (to_list and Path(os.fsdecode(path)) == folder):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return function(path, *arguments, **keywords)

        monkeypatch.setattr(os, name, refusing)

    refuse("stat")
    refuse("mkdir")
    refuse("scandir", to_list=True)


def a_file_in_its_place(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.cache.parent.mkdir(parents=True)
    service.cache.write_text("")


@pytest.mark.parametrize(
    "obstacle", [refuse_to_write, refuse_to_enter, refuse_to_enter_the_folder_above, a_file_in_its_place]
)
def test_where_the_cache_cannot_be_used_the_plugins_files_are_and_the_reason_is_said_once(
    service: Service,
    tiny_pipeline: DogPipeline,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    obstacle: Callable[[Service, pytest.MonkeyPatch], None],
) -> None:
    obstacle(service, monkeypatch)
    assert_is_right(ask(service), tiny_pipeline)
    assert_is_right(ask(restarted(service)), tiny_pipeline)  # as after an idle time, which unloads them
    (warning,) = caplog.messages
    assert f"cannot be put into {service.cache / TINY}" in warning
    assert "those of the plugin are used" in warning


@pytest.mark.parametrize("obstacle", [refuse_to_enter, refuse_to_enter_the_folder_above])
def test_an_unknown_package_is_refused_where_the_cache_may_not_be_entered(
    service: Service, monkeypatch: pytest.MonkeyPatch, obstacle: Callable[[Service, pytest.MonkeyPatch], None]
) -> None:
    obstacle(service, monkeypatch)
    with pytest.raises(HTTPException, match="no dog model package 'other'") as caught:
        ask(service, "other")
    assert caught.value.status_code == 422


def test_a_second_reason_is_said_too(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_to_write(service, monkeypatch)
    ask(service)

    def fill_the_disk(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copytree", fill_the_disk)
    ask(restarted(service))
    assert ["Read-only" in caplog.messages[0], "No space left" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2


def test_a_damaged_package_that_cannot_be_replaced_is_left_and_the_plugins_files_are_used(
    service: Service, tiny_package: ModelPackage, tiny_pipeline: DogPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = put(tiny_package, service.cache / TINY)
    flip_a_bit(cached)
    before = content(cached)
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path == cached:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    assert_is_right(ask(service), tiny_pipeline)
    assert content(cached).items() >= before.items()


def test_what_a_killed_copy_left_is_removed_at_the_next_start_if_no_copy_can_still_be_going_on(
    service: Service, tiny_package: ModelPackage, caplog: pytest.LogCaptureFixture
) -> None:
    put(tiny_package, service.cache / TINY)
    old, young = service.cache / ".dogs-old", service.cache / ".dogs-young"
    for scratch in (old, young):
        put(tiny_package, scratch / "new")
    an_hour_ago = old.stat().st_mtime - 3601
    os.utime(old, (an_hour_ago, an_hour_ago))
    ask(service)
    assert not old.exists()
    assert young.exists()
    assert not caplog.records


def test_a_package_whose_name_has_dots_is_served_as_the_cache_spells_it_too(
    service: Service,
    tiny_package: ModelPackage,
    tiny_pipeline: DogPipeline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(tiny_package, tmp_path / "packages" / "tiny-v1.5")
    monkeypatch.setenv("IMMICH_DOGS_MODELS", str(tmp_path / "packages"))
    assert_is_right(ask(service, "tiny-v1.5"), tiny_pipeline)
    assert [entry.name for entry in service.cache.iterdir()] == ["tiny-v15"]
    assert_is_right(ask(restarted(service), "tiny-v15"), tiny_pipeline)


def test_a_folder_of_models_that_does_not_exist_is_the_services_fault_and_named(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMMICH_DOGS_MODELS", "/no/such/folder")
    with pytest.raises(HTTPException, match="IMMICH_DOGS_MODELS is '/no/such/folder'") as caught:
        ask(service)
    assert caught.value.status_code == 500


@pytest.fixture(autouse=True)
def warnings_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
