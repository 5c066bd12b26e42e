from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.groupings.photos import embedded
from immich_dog_plugin.errors import EvaluationError
from immich_dog_plugin.model_package import ModelPackage
from tests.tiny_package import red_dog_photo, write_png

INDEX = """split,set,dog,file,source_group,session
val,drawn,rex,rex.png,1,20240101
val,drawn,rex,none.png,2,20240102
test,drawn,max,max.png,1,20240101
"""


@pytest.fixture
def folder(photos: Path) -> Path:
    write_png(photos / "rex.png", red_dog_photo([(32, 32, 64, 64), (96, 32, 160, 96)]))
    write_png(photos / "none.png", red_dog_photo([]))
    write_png(photos / "max.png", red_dog_photo([(32, 32, 64, 64)]))
    (photos / "index.csv").write_text(INDEX)
    return photos


def test_photos_of_a_split_are_embedded_with_their_dogs_and_days(
    folder: Path, tiny_package: ModelPackage, tmp_path: Path
) -> None:
    found = embedded(folder, "val", tiny_package, tmp_path / "cache")
    assert found.labels.tolist() == ["rex", "rex"]
    assert found.sessions.tolist() == ["20240101", "20240102"]
    assert found.groups.tolist() == ["drawn/1", "drawn/2"]
    assert found.found.tolist() == [True, False]
    assert np.linalg.norm(found.embeddings, axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_what_was_embedded_is_kept_until_the_index_changes(
    folder: Path, tiny_package: ModelPackage, tmp_path: Path
) -> None:
    first = embedded(folder, "val", tiny_package, tmp_path / "cache")
    (folder / "rex.png").unlink()
    again = embedded(folder, "val", tiny_package, tmp_path / "cache")
    assert np.array_equal(first.embeddings, again.embeddings)
    assert first.dogs.tolist() == again.dogs.tolist()
    (folder / "index.csv").write_text("\n".join(INDEX.splitlines()[:1] + INDEX.splitlines()[2:]))
    assert len(embedded(folder, "val", tiny_package, tmp_path / "cache").labels) == 1


def test_a_folder_without_an_index_is_refused(photos: Path, tiny_package: ModelPackage, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"needs .*index\.csv"):
        embedded(photos, "val", tiny_package, tmp_path / "cache")
