from __future__ import annotations

import pytest

from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from tests.tiny_package import write_tiny_package


@pytest.fixture(autouse=True)
def no_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("IMMICH_DOGS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def tiny_package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """Three graphs that can be followed by hand; see tests/tiny_package.py. Do not write into its folder."""
    return ModelPackage.open(write_tiny_package(tmp_path_factory.mktemp("packages")))


@pytest.fixture(scope="session")
def tiny_pipeline(tiny_package: ModelPackage) -> DogPipeline:
    return DogPipeline.open(tiny_package)
