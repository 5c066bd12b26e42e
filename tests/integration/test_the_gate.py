"""The service tells dogs apart: every limit on the drawn dogs, and on photos of real ones where there are any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.gate.judge import FIGURES, FigureName, Outcome
from harness.gate.photo_set import PhotoSet, drawn_photo_set, read_photo_set
from harness.gate.results import PAGE, Run
from harness.gate.run import run_gate
from harness.service import Service
from immich_dog_plugin.model_package import ModelPackage

ROOT = Path(__file__).parents[2]
REAL_DOGS, REAL_SPLIT = ROOT.parent / "shared" / "data" / "identity", "test"
OUT = ROOT / "out" / "gate"


def real_photo_set(config: pytest.Config) -> PhotoSet:
    folder, split = config.getoption("--test-sets", None), config.getoption("--split", None)
    if folder is not None:
        return read_photo_set(folder, split)
    if not REAL_DOGS.is_dir():
        pytest.skip(f"no photos of real dogs: {REAL_DOGS} is not there; give a folder of yours by --test-sets DIR")
    return read_photo_set(REAL_DOGS, REAL_SPLIT)


@pytest.fixture(scope="module", params=["drawn", "real"])
def run(request: pytest.FixtureRequest, dog_service: Service) -> Run:
    """One set through the service."""
    photo_set = drawn_photo_set() if request.param == "drawn" else real_photo_set(request.config)
    return run_gate(dog_service.url, photo_set, ModelPackage.open(), OUT / photo_set.name)


@pytest.mark.parametrize("figure", FIGURES)
def test_the_service_keeps_the_limit_of(
    run: Run, figure: FigureName, record_property: Callable[[str, object], None]
) -> None:
    verdict = run.judgement.verdicts[figure]
    record_property("verdict", f"{run.photo_set.name}: {verdict}")
    print(f"{run.photo_set.name}: {verdict}")
    assert verdict.outcome is Outcome.PASSED, f"{verdict}\nThe pairs side by side: {OUT / run.photo_set.name / PAGE}"
