"""What a run of the gate leaves behind: ``results.json`` for programs, and a page for people where it did not pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from harness.gate.answers import Answered
from harness.gate.judge import Judgement, Outcome
from harness.gate.photo_set import PhotoSet
from immich_dog_plugin.evaluation.pairs import PhotoPair
from immich_dog_plugin.files import whole_file
from immich_dog_plugin.html import data_uri, write_page
from immich_dog_plugin.identify.report import Shown
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pictures import boxed_thumbnail, thumbnail

RESULTS, PAGE = "results.json", "gate.html"
_TEMPLATE = Path(__file__).parent / "gate.html.j2"
# Of each kind, the worst. A picture is about 10 kB, so that the page stays under about 2 MB.
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Run:
    """One set through one service.

    Attributes:
        photo_set: what was sent.
        url: the service.
        package: whose thresholds counted.
        answered: a row per photo.
        judgement: of the rows.
    """

    photo_set: PhotoSet
    url: str
    package: ModelPackage
    answered: Sequence[Answered]
    judgement: Judgement

    @property
    def outcome(self) -> Outcome:
        return self.judgement.outcome

    @property
    def dogs(self) -> int:
        return len({row.photo.dog for row in self.answered})


def write_results(folder: Path, run: Run) -> None:
    """Write ``results.json``, and ``gate.html`` unless the run passed; that of an earlier run goes.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    with whole_file(folder / RESULTS) as temporary:
        temporary.write_bytes(orjson.dumps(_record(run), option=orjson.OPT_INDENT_2))
    if run.outcome is Outcome.PASSED:
        (folder / PAGE).unlink(missing_ok=True)
    else:
        write_page(folder / PAGE, _TEMPLATE, _content(run))


def _record(run: Run) -> dict[str, Any]:
    def worst(pairs: Sequence[PhotoPair]) -> dict[str, Any]:
        return {"count": len(pairs), "worst": [_named(pair) for pair in pairs[:_SHOWN]]}

    def _named(pair: PhotoPair) -> dict[str, Any]:
        first, second = run.answered[pair.first].photo.key, run.answered[pair.second].photo.key
        return {"first": first, "second": second, "cosine": round(pair.cosine, 4)}

    judgement = run.judgement
    return {
        "outcome": run.outcome,
        "exit_code": run.outcome.exit_code,
        "set": run.photo_set.name,
        "service": run.url,
        "package": str(run.package),
        "same_dog_threshold": run.package.manifest.thresholds.same_dog,
        "made": _now().isoformat(),
        "photos": len(run.answered),
        "left_out": run.photo_set.left_out,
        "dogs": run.dogs,
        "genuine_pairs": judgement.genuine_pairs,
        "impostor_pairs": judgement.impostor_pairs,
        "limits": [asdict(verdict) for verdict in judgement.verdicts.values()],
        "missed": [run.answered[row].photo.key for row in judgement.missed],
        "false_rejects": worst(judgement.false_rejects),
        "false_accepts": worst(judgement.false_accepts),
    }


def _content(run: Run) -> dict[str, Any]:
    judgement = run.judgement
    return {
        "run": run,
        "threshold": run.package.manifest.thresholds.same_dog,
        "made": _now().strftime("%Y-%m-%d %H:%M"),
        "missed": Shown.first(judgement.missed, _SHOWN),
        "false_rejects": Shown.first(judgement.false_rejects, _SHOWN),
        "false_accepts": Shown.first(judgement.false_accepts, _SHOWN),
        "picture": _pictures(run.answered),
    }


def _pictures(answered: Sequence[Answered]) -> Callable[[int], str]:
    @cache  # the worst pairs often share a photo
    def picture(row: int) -> str:
        photo, dog = read_photo(answered[row].photo.path), answered[row].dog
        if dog is None:
            return data_uri(thumbnail(photo))
        box = dog.bounding_box
        return data_uri(boxed_thumbnail(photo, (box.x1, box.y1, box.x2, box.y2)))

    return picture


def _now() -> datetime:
    return datetime.now().astimezone()
