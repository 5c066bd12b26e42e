from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from trainers.data.duplicates import SeenPhotos, difference_hash
from trainers.detector.measure import counts
from trainers.detector.network import COCO_DOG, coco_network, one_class_network
from trainers.detector.prepare import Example, write
from trainers.interpolate import interpolate

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_one_class_head_gives_the_scores_of_cocos_dog_row() -> None:
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    state = DetectionModel("yolov8n.yaml", nc=80, verbose=False).state_dict()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        all_classes = coco_network(state).eval()(images)[0]
        one_class = one_class_network(state).eval()(images)[0]
    assert one_class.shape == (2, 5, 84)
    torch.testing.assert_close(one_class[:, :4], all_classes[:, :4])
    torch.testing.assert_close(one_class[:, 4], all_classes[:, 4 + COCO_DOG], rtol=1e-5, atol=1e-9)


def test_weights_part_of_the_way_lie_between_start_and_end() -> None:
    start, tuned = one_class_network(), one_class_network()
    between = interpolate(start, tuned, share=0.25)
    a, b, c = (network.model[0].conv.weight for network in (start, tuned, between))
    torch.testing.assert_close(c, 0.75 * a + 0.25 * b)


def test_labels_are_fractions_of_the_photo(tmp_path: Path) -> None:
    photo = tmp_path / "rex.JPG"
    photo.write_bytes(b"photo")
    box = np.array([[20, 10, 60, 50]], dtype=np.float32)
    nothing = np.zeros((0, 4), dtype=np.float32)
    examples = [Example(photo, "rex", (200, 100), box), Example(photo, "empty", (200, 100), nothing)]
    write("train", iter(examples), tmp_path / "out")
    labels = tmp_path / "out" / "labels" / "train"
    assert (labels / "rex.txt").read_text() == "0 0.200000 0.300000 0.200000 0.400000\n"
    assert (labels / "empty.txt").read_text() == ""
    assert (tmp_path / "out" / "images" / "train" / "rex.jpg").read_bytes() == b"photo"


def test_a_score_at_the_threshold_counts() -> None:
    (row,) = counts(np.float32([0.5, 0.4]), np.float32([0.5]), [0.5])
    assert row == {"threshold": 0.5, "found": 1, "false_alarms": 1}


def test_a_smaller_copy_of_a_seen_photo_is_recognised(tmp_path: Path) -> None:
    import cv2

    random = np.random.default_rng(0)
    photo = cv2.resize(random.integers(0, 255, (12, 16, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    other = cv2.resize(random.integers(0, 255, (12, 16, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    file = tmp_path / "seen.png"
    cv2.imwrite(str(file), photo[:, :, ::-1])
    seen = SeenPhotos([file])
    assert cv2.resize(photo, (160, 120), interpolation=cv2.INTER_AREA) in seen
    assert other not in seen
    assert difference_hash(photo).shape == (8, 8)
