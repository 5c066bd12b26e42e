from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from immich_dog_plugin.immich.registry import people_is_on
from immich_dog_plugin.model_package import ModelPackage
from tests.unit.immich import stand_in

PLUGIN = "immich_dog_plugin.immich."
WITHOUT_IMMICH = {PLUGIN + name for name in ("options", "registry", "session")}


@pytest.fixture(params=list(stand_in.MODULES))
def service(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_package: ModelPackage
) -> Iterator[stand_in.Service]:
    """A patched service of each family, with an empty cache and the tiny package as what came with the plugin."""
    for name, members in stand_in.MODULES[request.param].items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(stand_in.settings, "cache_folder", tmp_path / "cache")
    monkeypatch.setenv("IMMICH_DOGS_MODELS", str(tiny_package.path.parent))
    people_is_on.cache_clear()
    yield stand_in.Service(request.param)
    people_is_on.cache_clear()
    # What was imported with the stand-in goes with it.
    for name in [name for name in sys.modules if name.startswith(PLUGIN) and name not in WITHOUT_IMMICH]:
        del sys.modules[name]
        vars(sys.modules[PLUGIN.rstrip(".")]).pop(name.removeprefix(PLUGIN), None)


up_to_v3_2 = pytest.mark.parametrize("service", ["up to v3.2"], indirect=True)
from_v3_3 = pytest.mark.parametrize("service", ["from v3.3"], indirect=True)
