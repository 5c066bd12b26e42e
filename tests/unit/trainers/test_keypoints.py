from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from immich_dog_plugin.geometry import KEYPOINT_NAMES, ImageArray
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.keypoints import KeypointEstimator
from trainers.data.landmarks import AnnotatedDog, read_landmarks, split_of
from trainers.keypoints.augment import View, flip, random_box, random_view, turn
from trainers.keypoints.dataset import LandmarkDataset, network_input
from trainers.keypoints.losses import gaussian, landmark_loss
from trainers.keypoints.measure import Answers, best_face_threshold, errors_by_eyes_to_nose, relative_errors
from trainers.keypoints.network import STRIDE, keypoint_network, soft_argmax
from trainers.keypoints.train import counts, starting_network, train_epoch, validation_figures
from trainers.records import Counts
from trainers.runs import Checkpoint
from trainers.specs import KEYPOINT

BOX = np.array([20, 10, 180, 110], dtype=np.float32)
POINTS = np.array([[60, 40, 1], [100, 42, 1], [40, 20, 1], [0, 0, 0], [80, 70, 1]], dtype=np.float32)


def dotted_photo(width: int = 200, height: int = 120) -> ImageArray:
    """Noise with a bright 7 x 7 dot around every annotated point."""
    photo = np.random.default_rng(0).integers(0, 60, (height, width, 3), dtype=np.uint8)
    for x, y, visible in POINTS.astype(int):
        if visible:
            photo[y - 3 : y + 4, x - 3 : x + 4] = 255
    return photo


def brightness_at(view: View) -> list[float]:
    """The photo's brightness at each visible point."""
    return [float(view.photo[int(y), int(x)].mean()) for x, y, visible in view.points if visible]


def dog(file: Path) -> AnnotatedDog:
    import cv2

    cv2.imwrite(str(file), dotted_photo()[:, :, ::-1])
    return AnnotatedDog(file, "faye", BOX, POINTS)


def test_a_flip_swaps_left_and_right_and_mirrors_the_places() -> None:
    flipped = flip(View(dotted_photo(), BOX, POINTS))
    by_name = dict(zip(KEYPOINT_NAMES, flipped.points.tolist(), strict=True))
    assert by_name == {
        "left_eye": [100, 42, 1],  # the right eye at 200 - 100
        "right_eye": [140, 40, 1],
        "left_ear": [0, 0, 0],  # the right ear was not annotated
        "right_ear": [160, 20, 1],
        "nose": [120, 70, 1],
    }
    assert flipped.box.tolist() == [20, 10, 180, 110]
    assert min(brightness_at(flipped)) > 200


def test_a_turn_takes_the_points_along() -> None:
    turned = turn(View(dotted_photo(), BOX, POINTS), angle=20)
    assert not np.allclose(turned.points, POINTS)
    assert min(brightness_at(turned)) > 200
    assert turned.points[3].tolist() == [0, 0, 0]


def test_augmented_views_keep_visible_points_where_they_are_seen(tmp_path: Path) -> None:
    annotated, random = dog(tmp_path / "dog.png"), np.random.default_rng(5)
    for _ in range(20):
        view = random_view(annotated, dotted_photo(), random)
        _, target = network_input(view, KEYPOINT)
        places = target[target[:, 2] > 0, :2]
        assert ((places >= 0) & (places <= KEYPOINT.input.side)).all()
        assert (target[target[:, 2] == 0] == 0).all()


def test_training_and_serving_read_the_same_photo_as_the_identical_tensor(tmp_path: Path) -> None:
    annotated = dog(tmp_path / "dog.png")
    image, target = LandmarkDataset([annotated], KEYPOINT, augment=False)[0]
    served: list[np.ndarray] = []

    class Session:
        def run(self, names: list[str], feed: dict[str, np.ndarray], options: object = None) -> list[np.ndarray]:
            served.append(feed["images"])
            return [target[None].numpy()]

    points = KeypointEstimator(Session(), KEYPOINT)(Pyramid(dotted_photo()), BOX[None])
    np.testing.assert_array_equal(served[0][0], image.numpy())
    # and what training calls the target is what serving maps back onto the annotated place
    np.testing.assert_allclose(points[0, POINTS[:, 2] > 0], POINTS[POINTS[:, 2] > 0], atol=1e-3)


def test_soft_argmax_is_the_mean_of_the_cell_centres() -> None:
    heat = torch.zeros(1, 2, 3, 4)  # height 3, width 4
    heat[0, 0, 1, 2] = 1.0
    heat[0, 1, 0, 0], heat[0, 1, 0, 1] = 0.25, 0.75
    points = soft_argmax(heat.flatten(2), width=4)
    expected = STRIDE * torch.tensor([[[2.5, 1.5], [0.25 * 0.5 + 0.75 * 1.5, 0.5]]])
    torch.testing.assert_close(points, expected)


def test_the_gaussian_sums_to_one_around_its_centre() -> None:
    aim = gaussian(torch.tensor([[[5.0, 7.0]]]), height=16, width=12)
    assert aim.sum().item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(soft_argmax(aim, width=12), STRIDE * torch.tensor([[[5.0, 7.0]]]), atol=0.05, rtol=0)


def test_points_that_are_not_annotated_have_no_place_to_learn() -> None:
    torch.manual_seed(0)
    heat, points, visibility = torch.randn(1, 5, 8, 8), torch.rand(1, 5, 2), torch.zeros(1, 5)
    hidden = torch.zeros(1, 5, 3)
    # -log(0.5) for the visibility of each, weighted by one half; nothing for the places
    assert landmark_loss(heat, points, visibility, hidden).item() == pytest.approx(0.5 * np.log(2), abs=1e-6)
    seen = hidden.clone()
    seen[0, 0] = torch.tensor([8.0, 8.0, 1.0])
    near, far = points.clone(), points.clone()
    near[0, 0], far[0, 0] = torch.tensor([8.0, 8.0]), torch.tensor([30.0, 8.0])
    closer, farther = (landmark_loss(heat, place, visibility, seen).item() for place in (near, far))
    assert farther - closer == pytest.approx(0.1 * (22 - 0.5), abs=1e-4)  # smooth L1, 0.1 per pixel


def test_a_point_at_the_corner_was_not_seen_by_who_annotated(tmp_path: Path) -> None:
    for source, extra in (("faye", {"boxes": [[0, 0, 9, 9]]}), ("beagle_faces", {"face_box": [0, 0, 9, 9]})):
        entry = {"image": "a.jpg", "keypoints": {"left_eye": [0.0, 0.0], "nose": [0.0, 5.0]}, **extra}
        folder = tmp_path / "keypoints" / source
        folder.mkdir(parents=True)
        (folder / "annotations.json").write_text(json.dumps([entry]))
    for annotated in read_landmarks(tmp_path):
        by_name = dict(zip(KEYPOINT_NAMES, annotated.points.tolist(), strict=True))
        assert (by_name["left_eye"], by_name["nose"]) == ([0, 0, 0], [0, 5, 1])


def test_half_of_the_views_are_close_ups_as_the_second_look_takes_them(tmp_path: Path) -> None:
    whole, random = np.array([0, 0, 1000, 1000], dtype=np.float32), np.random.default_rng(0)
    annotated = AnnotatedDog(tmp_path / "dog.png", "faye", whole, POINTS)
    seen = POINTS[POINTS[:, 2] > 0, :2]
    extent = np.ptp(seen, axis=0).max()
    boxes = np.stack([random_box(annotated, 1000, 1000, random)[0] for _ in range(2000)])
    holds_points = ((boxes[:, None, :2] <= seen) & (boxes[:, None, 2:] >= seen)).all(axis=(1, 2))
    near = (boxes[:, 2] - boxes[:, 0] < 2.6 * extent) & holds_points
    assert near.mean() == pytest.approx(0.5, abs=0.05)


def test_a_network_that_starts_from_another_keeps_its_statistics() -> None:
    class Dots(torch.nn.Module):
        """Stands for the network: normalises a batch, then names places."""

        def __init__(self) -> None:
            super().__init__()
            self.backbone = torch.nn.Identity()
            self.norm = torch.nn.BatchNorm2d(3)

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            heat = self.norm(images)[:, [0, 1, 2, 0, 1]]
            return heat, heat.mean(dim=(2, 3))[:, :, None].expand(-1, -1, 2), heat.mean(dim=(2, 3))

    loader = [(torch.rand(2, 3, 8, 8) + 5, torch.ones(2, 5, 3))]
    for fixed, moved in ((True, False), (False, True)):
        network = Dots()
        optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.ConstantLR(optimiser)
        averaged = AveragedModel(network, use_buffers=True)
        train_epoch(network, averaged, loader, optimiser, schedule, fixed_statistics=fixed)  # type: ignore[arg-type]
        assert bool((network.norm.running_mean != 0).any()) == moved


def test_training_starts_from_a_package_or_from_an_earlier_run(tmp_path: Path) -> None:
    shipped = starting_network(Path("artifacts/dog-identification-v1").absolute())
    averaged = AveragedModel(shipped, use_buffers=True)
    Checkpoint(tmp_path / "last.pt", averaged=averaged).save(epoch=1)
    earlier = starting_network(tmp_path)
    for name, weights in shipped.state_dict().items():
        torch.testing.assert_close(earlier.state_dict()[name], weights)


def test_a_photo_stays_in_its_split_under_any_order() -> None:
    splits = [split_of(f"{number}.jpg") for number in range(2000)]
    assert splits[::-1] == [split_of(f"{number}.jpg") for number in reversed(range(2000))]
    assert 0.12 < splits.count("test") / 2000 < 0.18
    assert 0.07 < splits.count("val") / 2000 < 0.13


def test_errors_are_fractions_of_the_eye_distance() -> None:
    found = POINTS.copy()
    found[4, :2] += (0, 20)
    answers = Answers(POINTS[None], found[None])
    eyes = np.hypot(40, 2)
    np.testing.assert_allclose(relative_errors(answers)[0], [0, 0, 0, np.nan, 20 / eyes], atol=1e-6)
    np.testing.assert_allclose(errors_by_eyes_to_nose(answers)[0, 4], 20 / 29, atol=1e-6)  # (80, 41) to (80, 70)


def test_the_face_threshold_separates_dogs_with_and_without_a_face() -> None:
    with_face, without = POINTS.copy(), POINTS.copy()
    without[0, 2] = 0
    found = np.stack([with_face, with_face, without, without])
    found[:, :, 2] = np.array([0.9, 0.7, 0.4, 0.2])[:, None]
    answers = Answers(np.stack([with_face, with_face, without, without]), found)
    assert 0.4 < best_face_threshold(answers) <= 0.7


def test_a_run_is_recorded_with_its_dogs_and_errors_by_source(tmp_path: Path) -> None:
    torch.manual_seed(0)
    rex = dog(tmp_path / "rex.png")
    both_ears = POINTS + np.array([[0, 0, 0]] * 3 + [[120, 20, 1], [0, 0, 0]], dtype=np.float32)
    dogs = [rex, AnnotatedDog(rex.photo, "faye", BOX, both_ears)]
    assert counts(dogs) == {"faye": Counts(photos=2, dogs=2)}
    network = keypoint_network(pretrained=False).eval()
    measured = validation_figures(network, KEYPOINT, dogs)
    assert measured.keys() == {"faye"}
    assert measured["faye"]["dogs"] == 2
    assert np.isfinite(measured["faye"]["median_error_of_eye_distance"])
