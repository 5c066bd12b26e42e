"""The whole gate with a stand-in for the service: ``colours_apart`` sees a dog's number in a photo's red."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image

from harness.gate import answers
from harness.gate.__main__ import main
from harness.gate.limits import default_limits
from harness.gate.results import PAGE, RESULTS
from immich_dog_plugin.contract import EMBEDDING_LENGTH, TASK, DogAnswer, check_answer
from immich_dog_plugin.errors import ServiceError

Look = Callable[[int, int], int | None]  # dog and photo to the axis along which the embedding lies; None: no dog
DOGS = 24
ROOT = Path(__file__).parents[3]


def colours_apart(dog: int, photo: int) -> int | None:
    return dog


def all_alike(dog: int, photo: int) -> int | None:
    return 0


def every_photo_another(dog: int, photo: int) -> int | None:
    return 2 * dog + photo


def nothing(dog: int, photo: int) -> int | None:
    return None


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for dog in range(DOGS):
        folder = tmp_path / "mine" / f"dog {dog}"
        folder.mkdir(parents=True)
        for photo in range(2):
            Image.new("RGB", (60, 40), (dog, photo, 128)).save(folder / f"<{photo}>.png")
    return tmp_path / "mine"


@pytest.fixture
def gate(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Look], int]:
    """Runs the command on ``photos`` with a service that sees dogs as it is told to; returns its exit code."""

    def run(look: Look) -> int:
        def predict(http: object, url: str, image: bytes, model: str) -> DogAnswer:
            dog, photo, _ = np.array(Image.open(io.BytesIO(image)))[0, 0].tolist()
            return answer_along(look(dog, photo))

        monkeypatch.setattr(answers, "predict", predict)
        arguments = ["--service", "http://dogs", "--test-sets", str(photos), "--out", str(tmp_path / "out")]
        return main(arguments)

    return run


def answer_along(axis: int | None) -> DogAnswer:
    """A dog along ``axis``, and before it a smaller one that the detector is surer of, which is the same everywhere."""
    dogs = []
    if axis is not None:
        for place, right, score in ((EMBEDDING_LENGTH - 1, 12, 0.95), (axis, 50, 0.9)):
            embedding = json.dumps(np.eye(EMBEDDING_LENGTH)[place].tolist())
            box = {"x1": 5, "y1": 5, "x2": right, "y2": 35}
            dogs.append({"boundingBox": box, "score": score, "embedding": embedding, "keypoints": None, "crop": "body"})
    return check_answer(json.dumps({TASK: dogs, "imageWidth": 60, "imageHeight": 40}))


def test_dogs_told_apart_pass(gate: Callable[[Look], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(colours_apart) == 0
    out = capsys.readouterr().out
    assert "mine: 48 photos of 24 dogs" in out
    assert f"passed: same_dog 1.000 [0.858, 1.000], at least {default_limits('real').same_dog}" in out
    assert "\nPASSED\n" in out
    record = orjson.loads((tmp_path / "out" / "mine" / RESULTS).read_bytes())
    assert (record["outcome"], record["exit_code"], record["photos"], record["dogs"]) == ("passed", 0, 48, 24)
    assert (record["genuine_pairs"], record["impostor_pairs"]) == (24, 48 * 47 // 2 - 24)
    assert [limit["figure"] for limit in record["limits"]] == ["found", "same_dog", "different_dogs", "margin"]
    assert not (tmp_path / "out" / "mine" / PAGE).exists()


@pytest.mark.parametrize(
    ("look", "figure", "pairs"),
    [
        (all_alike, "different_dogs", "false_accepts"),
        (every_photo_another, "same_dog", "false_rejects"),
        (nothing, "found", ""),
    ],
)
def test_a_service_that_cannot_tell_dogs_apart_fails_and_shows_why(
    gate: Callable[[Look], int], tmp_path: Path, look: Look, figure: str, pairs: str
) -> None:
    assert gate(look) == 1
    record = orjson.loads((tmp_path / "out" / "mine" / RESULTS).read_bytes())
    assert record["outcome"] == "failed"
    assert {limit["outcome"] for limit in record["limits"] if limit["figure"] == figure} == {"failed"}
    assert [kind for kind in ("false_rejects", "false_accepts") if record[kind]["count"]] == ([pairs] if pairs else [])
    page = (tmp_path / "out" / "mine" / PAGE).read_text("utf-8")
    assert page.count('<img src="data:image/jpeg;base64,') >= 40
    assert "/&lt;0&gt;.png" in page
    assert "<0>" not in page  # a file name can hold anything
    assert "://" not in page.replace("http://dogs", "")  # no outside reference


def test_a_page_of_an_earlier_failure_goes_when_the_gate_passes(gate: Callable[[Look], int], tmp_path: Path) -> None:
    gate(all_alike)
    assert (tmp_path / "out" / "mine" / PAGE).exists()
    gate(colours_apart)
    assert not (tmp_path / "out" / "mine" / PAGE).exists()


def test_a_copy_of_a_photo_is_no_pair_with_it(gate: Callable[[Look], int], photos: Path, tmp_path: Path) -> None:
    (photos / "dog 1" / "copy.png").write_bytes((photos / "dog 1" / "<0>.png").read_bytes())
    assert gate(colours_apart) == 0
    assert orjson.loads((tmp_path / "out" / "mine" / RESULTS).read_bytes())["genuine_pairs"] == 24 + 1


def test_too_few_photos_have_an_exit_code_of_their_own(
    gate: Callable[[Look], int], photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for dog in range(4, DOGS):
        for file in (photos / f"dog {dog}").iterdir():
            file.unlink()
    assert gate(colours_apart) == 3
    assert "TOO FEW PHOTOS" in capsys.readouterr().out
    assert "too few dogs" in (tmp_path / "out" / "mine" / PAGE).read_text("utf-8")


def test_what_cannot_be_measured_is_neither_passed_nor_failed(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def predict(*_: object) -> DogAnswer:
        raise ServiceError("http://dogs/predict cannot be reached", "Check --url")

    monkeypatch.setattr(answers, "predict", predict)
    arguments = ["--service", "http://dogs", "--out", str(tmp_path / "out"), "--test-sets"]
    assert main([*arguments, str(photos)]) == 4
    assert "gate: http://dogs/predict cannot be reached. Check --url" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "nowhere")]) == 4
    assert "does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["requests", "jinja2"])
def test_without_its_packages_the_command_says_what_to_install(package: str, tmp_path: Path) -> None:
    without = f"import runpy, sys; sys.modules.update({package}=None, pytest=None)"
    started = "runpy.run_module('harness.gate', run_name='__main__', alter_sys=True)"
    command = [
        sys.executable,
        "-c",
        f"{without}; {started}",
        "--service",
        "http://localhost:3003",
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert f"pip install {package}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
