from __future__ import annotations

import copy
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from immich_dog_plugin.stages.detector import Detections
from trainers.data.duplicates import SeenPhotos, difference_hash
from trainers.data.landmarks import split_of
from trainers.detector.distances import close_up, close_ups, face_close_ups, far_away
from trainers.detector.examples import Example, write
from trainers.detector.lighten import Seen, distillation_loss, learn, lightened, look
from trainers.detector.measure import best_inside, counts, pasted
from trainers.detector.network import (
    COCO_DOG,
    ExpectedDistances,
    ExportedDetector,
    coco_network,
    light_network,
    one_class_network,
    pruned,
)
from trainers.detector.prepare import filled, hold_out, is_held_out
from trainers.detector.train import keep_share, load_trained, save
from trainers.interpolate import interpolate
from trainers.records import Recorder, read_record

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


def test_expected_distances_are_those_of_the_softmax_that_ultralytics_takes() -> None:
    from ultralytics.nn.modules.block import DFL

    logits = 8 * torch.randn(2, 4 * 16, 84, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ExpectedDistances(16)(logits), DFL(16)(logits), rtol=1e-5, atol=1e-5)


def test_expected_distances_of_huge_logits_are_numbers() -> None:
    logits = torch.zeros(1, 4 * 16, 1)
    logits[0, 5] = 1000.0  # the first side is surely 5, of the others nothing is known
    expected = torch.tensor([5.0, 7.5, 7.5, 7.5])
    torch.testing.assert_close(ExpectedDistances(16)(logits)[0, :, 0], expected)


def test_the_exported_network_answers_as_the_one_that_was_trained() -> None:
    torch.manual_seed(1)
    network = one_class_network().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as training leaves it, not as it starts
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                torch.nn.init.uniform_(values, 0.5, 1.5)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ExportedDetector(network)(images), network(images)[0], rtol=1e-4, atol=1e-3)


def test_weights_part_of_the_way_lie_between_start_and_end() -> None:
    start, tuned = one_class_network(), one_class_network()
    between = interpolate(start, tuned, share=0.25)
    a, b, c = (network.model[0].conv.weight for network in (start, tuned, between))
    torch.testing.assert_close(c, 0.75 * a + 0.25 * b)


def test_a_finished_run_keeps_another_share_and_its_record_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, tuned = one_class_network(), one_class_network()
    monkeypatch.setattr("trainers.detector.train.yolov8n_state", lambda weights: None)
    monkeypatch.setattr("trainers.detector.train.one_class_network", lambda state=None: copy.deepcopy(start))
    save(tmp_path, tuned, share=0.25, epochs=2)
    Recorder(tmp_path, "trainers.detector.train", {"share": 0.25, "seed": 1}).write(epochs=2, kept_epoch=2)
    keep_share(tmp_path, 0.5)
    kept, all_the_way = load_trained(tmp_path), load_trained(tmp_path, part="tuned")
    first = [network.model[0].conv.weight for network in (start, tuned, kept, all_the_way)]
    torch.testing.assert_close(first[2], (first[0] + first[1]) / 2)
    torch.testing.assert_close(first[3], first[1])
    assert read_record(tmp_path).recipe == {"share": 0.5, "seed": 1}
    assert read_record(tmp_path).epochs == 2


def test_labels_are_fractions_of_the_photo(tmp_path: Path) -> None:
    photo = tmp_path / "rex.JPG"
    photo.write_bytes(b"photo")
    box = np.array([[20, 10, 60, 50]], dtype=np.float32)
    nothing = np.zeros((0, 4), dtype=np.float32)
    examples = [Example(photo, "rex", (200, 100), box), Example(photo, "empty", (200, 100), nothing)]
    write("train", examples, tmp_path / "out")
    labels = tmp_path / "out" / "labels" / "train"
    assert (labels / "rex.txt").read_text() == "0 0.200000 0.300000 0.200000 0.400000\n"
    assert (labels / "empty.txt").read_text() == ""
    assert (tmp_path / "out" / "images" / "train" / "rex.jpg").read_bytes() == b"photo"


def test_a_score_at_the_threshold_counts() -> None:
    (row,) = counts(np.float32([0.5, 0.4]), np.float32([0.5]), [0.5])
    assert row == {"threshold": 0.5, "found": 1, "false_alarms": 1}


def test_a_smaller_copy_of_a_seen_photo_is_recognised(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    photo = cv2.resize(random.integers(0, 255, (12, 16, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    other = cv2.resize(random.integers(0, 255, (12, 16, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    file = tmp_path / "seen.png"
    cv2.imwrite(str(file), photo[:, :, ::-1])
    seen = SeenPhotos([file])
    assert cv2.resize(photo, (160, 120), interpolation=cv2.INTER_AREA) in seen
    assert other not in seen
    assert difference_hash(photo).shape == (8, 8)


def test_held_out_photos_are_a_tenth_and_none_of_them_measures(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files = [tmp_path / "pets" / f"{number}.png" for number in range(200)]
    files[0].parent.mkdir()
    for file in files:
        blocks = random.integers(0, 255, (9, 12, 3), dtype=np.uint8)
        cv2.imwrite(str(file), cv2.resize(blocks, (48, 36), interpolation=cv2.INTER_NEAREST))
    by_hash = [file for file in files if is_held_out(file)]
    assert 8 <= len(by_hash) <= 35
    kept = hold_out(files, SeenPhotos(by_hash[:1]), tmp_path / "choose")
    assert kept == by_hash[1:]
    assert sorted(link.resolve() for link in (tmp_path / "choose").iterdir()) == sorted(kept)


def test_a_pasted_photo_lies_at_its_place_in_a_photo_three_times_its_size() -> None:
    photo = np.full((20, 30, 3), 255, dtype=np.uint8)
    host = np.zeros((50, 50, 3), dtype=np.uint8)
    for seed in range(5):
        scene, (x1, y1, x2, y2) = pasted(photo, host, 3, np.random.default_rng(seed))
        assert scene.shape == (60, 90, 3)
        assert (scene[y1:y2, x1:x2] == photo).all()
        assert scene.sum() == photo.sum()


def test_a_detection_elsewhere_in_the_scene_does_not_find_the_pasted_dog() -> None:
    boxes = np.array([[0, 0, 10, 10], [42, 30, 58, 50]], dtype=np.float32)
    detections = Detections(boxes, np.array([0.9, 0.4], dtype=np.float32))
    assert best_inside(detections, (40, 20, 60, 60)) == pytest.approx(0.4)
    assert best_inside(detections, (60, 60, 80, 80)) == 0


def a_dog_in_a_photo() -> tuple[np.ndarray, np.ndarray]:
    """A white dog of 60 x 40 pixels on black."""
    photo = np.zeros((120, 160, 3), dtype=np.uint8)
    photo[40:80, 50:110] = 255
    return photo, np.array([50, 40, 110, 80], dtype=np.float32)


def test_a_close_up_is_hardly_larger_than_its_dog_and_its_box_lies_on_the_dog() -> None:
    photo, box = a_dog_in_a_photo()
    for seed in range(20):
        cut, (moved,) = close_up(photo, box, np.random.default_rng(seed))
        assert 0.8 * 60 < cut.shape[1] < 1.35 * 60
        assert 0.8 * 40 < cut.shape[0] < 1.35 * 40
        x1, y1, x2, y2 = moved
        assert (moved >= 0).all()
        assert x2 <= cut.shape[1]
        assert y2 <= cut.shape[0]
        inside = cut[round(y1) : round(y2), round(x1) : round(x2)]
        assert inside.min() == 255
        assert inside.size == (cut == 255).sum()  # all that is left of the dog


def test_a_dog_pasted_far_away_is_small_whole_and_in_its_box() -> None:
    photo, box = a_dog_in_a_photo()
    host = np.zeros((200, 300, 3), dtype=np.uint8)
    for seed in range(20):
        scene, ((x1, y1, x2, y2),) = far_away(photo, box, host, np.random.default_rng(seed))
        assert scene.shape == host.shape
        assert 0.09 * 200 < x2 - x1 < 0.37 * 200
        rows, columns = np.nonzero(scene[:, :, 0] > 100)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(found, [x1, y1, x2, y2], atol=3)
    assert host.max() == 0


def test_close_ups_are_written_beside_the_photos_they_are_made_of(tmp_path: Path) -> None:
    photo, box = a_dog_in_a_photo()
    cv2.imwrite(str(tmp_path / "rex.png"), photo)
    example = Example(tmp_path / "rex.png", "dog_rex", (160, 120), box[None])
    (near,) = close_ups([example], tmp_path / "made", np.random.default_rng(0))
    assert near.name == "near_dog_rex"
    written = cv2.imread(str(near.file))
    assert (written.shape[1], written.shape[0]) == near.size
    assert near.boxes.shape == (1, 4)


def test_a_close_up_of_a_face_shows_all_its_points_and_only_of_dogs_that_train(tmp_path: Path) -> None:
    photo, box = a_dog_in_a_photo()
    points = {"left_eye": [90, 50], "right_eye": [100, 50], "nose": [95, 60]}
    for source, of_box in (("faye", {"boxes": [box.tolist()]}), ("beagle_faces", {"face_box": box.tolist()})):
        images = tmp_path / "keypoints" / source / "images"
        images.mkdir(parents=True)
        names = [f"{number}.png" for number in range(12)]
        for name in names:
            cv2.imwrite(str(images / name), photo)
        entries = [{"image": name, "keypoints": points, **of_box} for name in names]
        (images.parent / "annotations.json").write_text(json.dumps(entries))
    found = list(face_close_ups(tmp_path, tmp_path / "made", np.random.default_rng(0)))
    training = [f"{number}" for number in range(12) if split_of(f"{number}.png") == "train"]
    assert [example.name for example in found] == [
        *(f"face_faye_{number}" for number in training),
        *(f"face_beagle_faces_{number}" for number in training),
    ]
    for example in found:
        width, height = example.size
        assert 10 < width < 40
        assert 10 < height < 40
        if "beagle" in example.name:  # what is around the face is dog too
            assert example.boxes.tolist() == [[0, 0, width, height]]


def test_a_dog_fills_its_cut(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    (folder / "rex").mkdir(parents=True)
    photo, _ = a_dog_in_a_photo()
    cv2.imwrite(str(folder / "rex" / "1.png"), photo)
    rows = ["split,set,dog,file,source_group", "train,mpdd,rex,rex/1.png,1", "val,mpdd,bella,bella/1.png,2"]
    (folder / "index.csv").write_text("\n".join(rows))
    (example,) = filled(tmp_path)
    assert example.name == "known_rex_1"
    assert example.boxes.tolist() == [[0, 0, 160, 120]]


def seen_at_random() -> Seen:
    """What the branches might see of 16 pictures of 64 pixels, and that a channel says where a dog is."""
    torch.manual_seed(0)
    features = [torch.randn(16, 64, 8, 8), torch.randn(16, 128, 4, 4), torch.randn(16, 256, 2, 2)]
    return Seen(features, [8.0 * (level[:, :1] > 0.5) - 4 for level in features])


def test_the_lighter_detector_keeps_all_but_its_classification_branches() -> None:
    trained = one_class_network().eval()
    light = lightened(trained, seen_at_random()).eval()
    sizes = [sum(p.numel() for p in network.model[-1].cv3.parameters()) for network in (light, trained)]
    assert sizes[0] < sizes[1] / 2
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(light(images)[0][:, :4], trained(images)[0][:, :4])
    assert light.state_dict().keys() == light_network().state_dict().keys()


def test_a_branch_keeps_the_channels_that_its_answer_hangs_on() -> None:
    branch = one_class_network().eval().model[-1].cv3[0]
    features = torch.randn(4, 64, 8, 8)
    with torch.no_grad():  # all but 32 channels of each layer are read by nothing
        branch[2].weight[:, 32:] = 0
        branch[1].conv.weight[:, 32:] = 0
        light = pruned(branch, features).eval()
        torch.testing.assert_close(light(features), branch(features))


def test_what_the_branches_see_is_kept_for_every_picture() -> None:
    trained = one_class_network().eval()
    canvases = np.random.default_rng(0).integers(0, 255, (11, 64, 64, 3), dtype=np.uint8)
    seen = look(trained, iter(canvases), len(canvases))
    assert len(seen) == 11
    assert [tuple(level.shape) for level in seen.features] == [(11, 64, 8, 8), (11, 128, 4, 4), (11, 256, 2, 2)]
    with torch.inference_mode():
        again = trained.model[-1].cv3[0](seen.features[0].float())
    torch.testing.assert_close(again, seen.logits[0].float(), rtol=1e-2, atol=1e-2)


def test_lighter_branches_learn_the_scores_that_they_are_taught() -> None:
    taught = seen_at_random()
    student = lightened(one_class_network().eval(), taught)

    def loss() -> float:
        with torch.inference_mode():
            branches = student.eval().model[-1].cv3
            answers = [branch(level) for branch, level in zip(branches, taught.features, strict=True)]
            return float(distillation_loss(answers, taught.logits))

    before, least = loss(), float(distillation_loss(taught.logits, taught.logits))
    learn(student, taught, epochs=60, lr=1e-2)
    assert loss() - least < 0.2 * (before - least)
