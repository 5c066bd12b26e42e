from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.errors import OutputError
from immich_dog_plugin.identify.store import Store
from immich_dog_plugin.pipeline import Dog


def _dog(keypoints: bool = True) -> Dog:
    generator = np.random.default_rng(0)
    embedding = generator.normal(size=512).astype(np.float32)
    points = generator.uniform(size=(5, 3)).astype(np.float32) if keypoints else None
    return Dog(np.array([1.5, 2, 30, 40], dtype=np.float32), 0.75, points, "face", embedding)


def test_what_is_stored_is_read_back_to_the_bit(tmp_path: Path) -> None:
    dog, faceless = _dog(), _dog(keypoints=False)
    with Store(tmp_path / "new" / "store.sqlite", "model", 0.3) as store:
        photo = store.add("content", b"photo", [(dog, b"first"), (faceless, b"second")])
        first, second = store.dogs(photo)
        assert (store.photo_thumbnail(photo), store.dog_thumbnail(second.id)) == (b"photo", b"second")
    assert (first.number, first.dog.score, first.dog.crop) == (0, 0.75, "face")
    for name in ("box", "keypoints", "embedding"):
        np.testing.assert_array_equal(getattr(first.dog, name), getattr(dog, name))
    assert second.dog.keypoints is None


def test_a_photo_is_known_only_for_the_same_model_and_least_score(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path, "model", 0.3) as store:
        photo = store.add("content", b"", [])
        assert store.find("content") == photo
        assert store.find("other content") is None
    for model, min_score in (("other model", 0.3), ("model", 0.4)):
        with Store(path, model, min_score) as store:
            assert store.find("content") is None


def test_a_photo_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"

    def dogs() -> Iterator[tuple[Dog, bytes]]:
        yield _dog(), b""
        raise KeyboardInterrupt

    with Store(path, "model", 0.3) as store:
        with pytest.raises(KeyboardInterrupt):
            store.add("content", b"", dogs())
        assert store.find("content") is None


def test_a_second_run_on_one_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path, "model", 0.3), pytest.raises(OutputError, match="in use by another run"):
        Store(path, "model", 0.3)


def test_a_full_disk_is_named_and_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path, "model", 0.3) as store:
        store.add("kept", b"", [])
        # SQLite's own limit of the file's size fails in the way a full disk does.
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OutputError, match=r"disk is full.*same command continues"):
            store.add("too much", bytes(1 << 20), [])
    with Store(path, "model", 0.3) as store:
        assert store.find("kept") is not None
        assert store.find("too much") is None


def test_a_file_that_is_no_store_is_named_with_its_cure(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match=r"damaged.*delete what the earlier run left"):
        Store(path, "model", 0.3)


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OutputError, match="another version"):
        Store(path, "model", 0.3)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        Store(tmp_path / "file" / "store.sqlite", "model", 0.3)
