"""The gate fails when it should: the same service with a package broken in one way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from harness.gate.judge import FigureName, Outcome
from harness.gate.photo_set import drawn_photo_set
from harness.gate.results import PAGE, RESULTS
from harness.gate.run import run_gate
from immich_dog_plugin.model_package import ModelPackage
from tests.broken_packages import (
    boxes_shifted,
    channels_swapped,
    normalisation_left_out,
    random_embedder,
    without_classifier,
    write_broken_package,
)
from tests.integration.conftest import RunDogService

MISSED: list[tuple[Callable[[Path], None], FigureName]] = [
    (random_embedder, "different_dogs"),
    (channels_swapped, "margin"),
    (normalisation_left_out, "margin"),
    (boxes_shifted, "same_dog"),
]


@pytest.mark.parametrize(("breakage", "missed"), MISSED, ids=[breakage.__name__ for breakage, _ in MISSED])
def test_a_broken_package_misses_a_limit(
    run_dog_service: RunDogService, tmp_path: Path, breakage: Callable[[Path], None], missed: FigureName
) -> None:
    shipped = ModelPackage.open()
    folder = write_broken_package(tmp_path / "models", shipped, breakage)
    without_classifier(folder)
    broken = ModelPackage.open(folder)  # its checksums fit
    with run_dog_service(tmp_path / "service", {"IMMICH_DOGS_MODELS": str(broken.path.parent)}) as service:
        run = run_gate(service.url, drawn_photo_set(), shipped, tmp_path / "gate")
    print(*run.judgement.verdicts.values(), sep="\n")
    assert run.judgement.verdicts[missed].outcome is Outcome.FAILED
    assert run.outcome is Outcome.FAILED
    assert run.outcome.exit_code == 1
    assert orjson.loads((tmp_path / "gate" / RESULTS).read_bytes())["outcome"] == "failed"
    page = (tmp_path / "gate" / PAGE).read_text("utf-8")
    assert page.count("data:image/jpeg") >= 2
