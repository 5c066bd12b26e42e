from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from immich_dog_plugin.bench import measure
from immich_dog_plugin.cli import main
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.model_package import ModelPackage
from tests.tiny_package import red_dog_photo


def test_the_pipeline_takes_at_least_as_long_as_its_graphs(tiny_package: ModelPackage, tmp_path: Path) -> None:
    Image.fromarray(red_dog_photo([(64, 32, 96, 64)])).save(tmp_path / "dog.png")
    Image.fromarray(red_dog_photo([])).save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_bytes(b"no photo")
    result = measure(sorted(tmp_path.iterdir()), tiny_package, rounds=3)
    assert (result.photos, result.dogs) == (2, 1)
    assert result.ratio > 1
    assert all(ms > 0 for ms in result.graph_ms.values())
    assert list(result.by_dogs_ms) == [1, 2, 4, 8]


def test_the_bench_command_prints_the_ratio(
    tiny_package: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(red_dog_photo([(64, 32, 96, 64)])).save(tmp_path / "dog.png")
    assert main(["bench", str(tmp_path), "--model", str(tiny_package.path), "--rounds", "1"]) == 0
    assert "x its graphs alone" in capsys.readouterr().out


def test_a_folder_without_photos_is_an_error(
    tiny_package: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(tmp_path), "--model", str(tiny_package.path)]) == 1
    assert "holds no photo" in capsys.readouterr().err


def test_whatever_one_photo_raises_the_others_are_measured(
    tiny_package: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(file: Path, name: str | None = None) -> ImageArray:
        if file.name == "odd.png":
            raise RuntimeError("a decoder's own error")
        return red_dog_photo([(64, 32, 96, 64)])

    monkeypatch.setattr("immich_dog_plugin.bench.read_photo", read)
    assert measure([tmp_path / "odd.png", tmp_path / "dog.png"], tiny_package, rounds=1).photos == 1
    message = capsys.readouterr().err
    assert "odd.png" in message
    assert "a decoder's own error" in message
