"""ultralytics' pose model on the views of the heat maps."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from ultralytics.nn.tasks import DetectionModel

from immich_dog_plugin.geometry import FLIP_ORDER
from trainers.data.landmarks import AnnotatedDog
from trainers.keypoints import pose
from trainers.keypoints.augment import View
from trainers.keypoints.dataset import on_canvas
from trainers.keypoints.pose import DogPose, ExportedPose, labelled, start_from_detector, write_views
from trainers.records import read_record
from trainers.specs import KEYPOINT

pytestmark = pytest.mark.filterwarnings("ignore")
SPEC = KEYPOINT.model_copy(update={"input": KEYPOINT.input.model_copy(update={"side": 64})})
POINTS = np.array([[50, 40, 1], [70, 40, 1], [0, 0, 0], [80, 30, 1], [60, 50, 1]], dtype=np.float32)


def dog(folder: Path, split: str) -> AnnotatedDog:
    """A dog of that split: the name of its photo decides."""
    names = (f"{number}.png" for number in range(1000))
    file = folder / next(name for name in names if AnnotatedDog(Path(name), "faye", POINTS[0], POINTS).split == split)
    cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 255, size=(100, 200, 3), dtype=np.uint8))
    return AnnotatedDog(file, "faye", np.array([20, 10, 120, 90], dtype=np.float32), POINTS)


def test_a_label_says_where_the_canvas_shows_box_and_points() -> None:
    view = View(np.zeros((100, 200, 3), dtype=np.uint8), np.array([20, 10, 120, 90], dtype=np.float32), POINTS)
    canvas, label = labelled(view, SPEC)
    _, points, mapping = on_canvas(view, SPEC)
    centre, size = 64 * label[:2], 64 * label[2:4]
    box = mapping.to_photo(np.stack([centre - size / 2, centre + size / 2]))
    np.testing.assert_allclose(box, [[20, 10], [120, 90]], atol=0.01)
    found = label[4:].reshape(5, 3)
    np.testing.assert_allclose(64 * found[:, :2], points[:, :2], atol=1e-4)
    assert found[:, 2].tolist() == [2, 2, 0, 2, 2]
    assert canvas.shape == (64, 64, 3)


def test_the_pose_model_starts_with_every_layer_that_the_detector_has() -> None:
    torch.manual_seed(0)
    state = DetectionModel("yolov8n.yaml", nc=80, verbose=False).state_dict()
    network = DogPose()
    filled = start_from_detector(network, state)
    own = network.state_dict()
    assert all(torch.equal(own[name], state[name]) for name in filled)
    assert {name.split(".")[1] for name in filled} >= {str(layer) for layer in (0, 2, 9, 12, 21)}
    assert not any(".cv4." in name for name in filled), "the points have no counterpart in the detector"


def test_the_points_are_judged_by_our_tolerance() -> None:
    network = DogPose()
    network.args = type("Args", (), {"box": 7.5, "cls": 0.5, "dfl": 1.5, "pose": 12.0, "kobj": 1.0})()
    sigmas = network.init_criterion().keypoint_loss.sigmas
    torch.testing.assert_close(sigmas, torch.full((5,), pose.TOLERANCE))


def test_of_each_picture_the_points_of_the_surest_dog_count() -> None:
    answers = torch.zeros(2, 4 + 1 + 15, 3)
    answers[0, 4, 1] = answers[1, 4, 2] = 0.9
    answers[0, 5:, 1] = torch.arange(15.0)
    answers[1, 5:, 2] = torch.arange(15.0) + 100
    found = ExportedPose(torch.nn.Identity())(answers)
    assert found.shape == (2, 5, 3)
    assert found[0, 1].tolist() == [3, 4, 5]
    assert found[1, 4].tolist() == [112, 113, 114]


def test_views_are_written_in_ultralytics_layout(tmp_path: Path) -> None:
    write_views([dog(tmp_path, "train")], [dog(tmp_path, "val")], tmp_path / "views", SPEC, 3, np.random.default_rng(1))
    written = sorted(str(file.relative_to(tmp_path / "views")) for file in (tmp_path / "views").rglob("*.*"))
    pictures = ["train/0_0", "train/0_1", "train/0_2", "val/0"]
    files = [f"images/{name}.png" for name in pictures] + [f"labels/{name}.txt" for name in pictures]
    assert written == ["data.yaml", *files]
    assert f"flip_idx: {list(FLIP_ORDER)}" in (tmp_path / "views" / "data.yaml").read_text()


def test_a_run_trains_measures_and_is_recorded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dogs = [dog(tmp_path, "train"), dog(tmp_path, "val")]
    state = DetectionModel("yolov8n.yaml", nc=80, verbose=False).state_dict()
    monkeypatch.setattr(pose, "read_landmarks", lambda data: dogs)
    monkeypatch.setattr(pose, "yolov8n_state", lambda folder: state)
    options = ["--side", "64", "--epochs", "1", "--views", "2", "--batch", "2", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["pose", "--run", str(tmp_path / "run"), *options])
    pose.main()
    record = read_record(tmp_path / "run")
    assert record.command == "python -m trainers.keypoints.pose"
    assert record.validation["faye"]["dogs"] == 1
    assert (tmp_path / "run" / "last.pt").is_file()
    pose.main()
    assert "holds a finished run" in capsys.readouterr().out
    assert read_record(tmp_path / "run") == record
