from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from immich_dog_plugin.geometry import ImageArray
from trainers.embedder import train
from trainers.embedder.augment import change_borders, cut_out, random_crop, random_view, turn
from trainers.embedder.dataset import ViewPairs
from trainers.embedder.network import backbone_network
from trainers.specs import RECOGNITION

pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = RECOGNITION.input.model_copy(update={"side": 32})


def drawn_photo(seed: int, width: int = 80, height: int = 60) -> ImageArray:
    blobs = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def breed_folders(root: Path, breeds: int = 2, photos: int = 4) -> Path:
    for breed in range(breeds):
        (root / f"breed_{breed}").mkdir(parents=True)
        for number in range(photos):
            seed = 10 * breed + number
            cv2.imwrite(str(root / f"breed_{breed}" / f"{seed}.png"), drawn_photo(seed)[:, :, ::-1])
    return root


class TinyBackbone(torch.nn.Module):
    """Thirty-two pixels to 1,280 features; its first layer has the name of the real one's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = torch.nn.Conv2d(3, 8, 4, stride=4)
        self.conv_head = torch.nn.Conv2d(8, 16, 4, stride=4)
        self.last = torch.nn.Linear(64, train.FEATURES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.conv_head(self.conv_stem(images).relu()).relu().flatten(1))


def test_the_pair_loss_is_minus_the_log_of_the_other_views_share() -> None:
    angles = np.radians([[0, 30], [90, 80], [200, 260]])  # of the two views of each of three photos
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(6, 2)
    weights = np.exp(vectors @ vectors.T / 0.1)
    others = weights.sum(axis=1) - weights.diagonal()
    expected = -np.log(weights[np.arange(6), [1, 0, 3, 2, 5, 4]] / others).mean()

    tuning = train.Tuning(torch.nn.Flatten(), breeds=2, breed_weight=0.0, features=2)
    views = torch.from_numpy(vectors.reshape(3, 2, 2, 1, 1)).float()
    by_photo, by_breed = tuning(views, torch.tensor([7, 3, 5]), torch.tensor([0, 1, 0]))
    assert by_photo.item() == pytest.approx(expected, rel=1e-5)
    assert by_breed.item() == 0


def test_the_breed_loss_is_the_cross_entropy_of_the_cosines_to_the_breeds() -> None:
    tuning = train.Tuning(torch.nn.Flatten(), breeds=2, breed_weight=0.5, features=2)
    with torch.no_grad():
        tuning.by_breed.W.copy_(torch.eye(2))
    views = torch.tensor([[1.0, 0.0], [0.6, 0.8]]).reshape(1, 2, 2, 1, 1)
    _, by_breed = tuning(views, torch.tensor([0]), torch.tensor([0]))
    expected = (np.log(1 + np.exp(-1 / 0.05)) + np.log(1 + np.exp((0.8 - 0.6) / 0.05))) / 2
    assert by_breed.item() == pytest.approx(0.5 * expected, rel=1e-5)


def test_one_batch_can_be_learned_by_heart(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pairs = ViewPairs(sorted(breed_folders(tmp_path).rglob("*.png")), SMALL)
    batch = next(iter(torch.utils.data.DataLoader(pairs, batch_size=8)))
    tuning = train.Tuning(TinyBackbone(), breeds=2, breed_weight=0.3)
    optimiser = torch.optim.Adam(tuning.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = sum(tuning(*batch))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 1
    assert losses[-1] < 0.1


def test_an_interrupted_run_continues_with_the_same_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "backbone_network", lambda pretrained=True: TinyBackbone())
    monkeypatch.setattr(train, "measuring_photos", lambda data: [])
    breeds, run = breed_folders(tmp_path / "breeds"), tmp_path / "run"
    command = f"train --breeds {breeds} --run {run} --side 32 --epochs 3 --steps 2 --batch 8 --threads 1"
    monkeypatch.setattr(sys, "argv", command.split())
    whole_epoch, epochs = train.train_epoch, []

    def counted(*args: object) -> tuple[float, float]:
        if len(epochs) == 1 and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        epochs.append(args[-1].last_epoch)  # type: ignore[attr-defined]  # steps of the schedule so far
        return whole_epoch(*args)  # type: ignore[arg-type]

    interrupted: list[bool] = []
    monkeypatch.setattr(train, "train_epoch", counted)
    with pytest.raises(KeyboardInterrupt):
        train.main()
    after_one = {name: weight.clone() for name, weight in train.load_tuned(run).state_dict().items()}
    train.main()
    assert epochs == [0, 2, 4]
    tuned = train.load_tuned(run).state_dict()
    torch.testing.assert_close(tuned["conv_stem.weight"], after_one["conv_stem.weight"])  # frozen
    assert not torch.equal(tuned["last.weight"], after_one["last.weight"])
    train.main()  # finished: nothing is left to do
    assert epochs == [0, 2, 4]


def test_only_the_last_layers_of_the_backbone_are_trained() -> None:
    backbone = backbone_network(pretrained=False)
    trained = {id(parameter) for parameter in train.freeze(backbone)}
    groups = {
        name.rsplit(".", 1)[0].split(".")[0:2][-1] if "blocks" in name else name.split(".")[0]
        for name, parameter in backbone.named_parameters()
        if id(parameter) in trained
    }
    assert groups == {"4", "5", "6", "conv_head", "bn2"}


def test_a_photo_that_measures_is_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    breeds = breed_folders(tmp_path / "breeds", breeds=1)
    copy = tmp_path / "measured.png"
    cv2.imwrite(str(copy), drawn_photo(2, width=160, height=120)[:, :, ::-1])
    monkeypatch.setattr(train, "measuring_photos", lambda data: [copy])
    names = {file.name for file in train.training_photos(breeds, tmp_path, count=10, seed=1)}
    assert names == {"0.png", "1.png", "3.png"}


def test_a_pair_is_two_different_views_of_one_photo_and_its_folder_is_the_breed(tmp_path: Path) -> None:
    pairs = ViewPairs(sorted(breed_folders(tmp_path).rglob("*.png")), SMALL)
    views, number, breed = pairs[5]
    assert views.shape == (2, 3, 32, 32)
    assert (number, breed) == (5, 1)
    assert not torch.equal(views[0], views[1])


def test_views_have_the_asked_side_whatever_the_photo() -> None:
    random = np.random.default_rng(0)
    for width, height in ((300, 40), (17, 200), (224, 224)):
        view = random_view(drawn_photo(1, width, height), drawn_photo(2), 48, random)
        assert view.shape == (48, 48, 3)
        assert view.dtype == np.uint8


def test_a_crop_keeps_at_least_a_third_of_the_photo() -> None:
    random = np.random.default_rng(0)
    areas = [np.prod(random_crop(drawn_photo(1, 200, 100), random).shape[:2]) / 20000 for _ in range(200)]
    assert 0.3 < min(areas) < 0.45
    assert 0.9 < max(areas) <= 1


def test_changed_borders_keep_the_middle_of_the_view() -> None:
    view, other = np.full((64, 64, 3), 200, np.uint8), np.full((64, 64, 3), 20, np.uint8)
    random = np.random.default_rng(3)
    for _ in range(20):
        changed = change_borders(view, other, random)
        assert (np.abs(changed[28:36, 28:36].astype(int) - 200) <= 1).all()
        assert (changed[0, 0] != 200).all()


def test_a_turn_moves_the_edges_and_leaves_the_centre() -> None:
    view = np.zeros((65, 65, 3), np.uint8)
    view[30:35] = 255  # a horizontal bar
    turned = turn(view, angle=20)
    assert (turned[32, 32] == 255).all()
    assert (turned[32, 2] == 0).all()


def test_a_hole_is_grey_and_smaller_than_half_the_view() -> None:
    view = np.zeros((64, 64, 3), np.uint8)
    holed = cut_out(view, np.random.default_rng(0))
    assert set(np.unique(holed)) == {0, 128}
    assert 0.02 < (holed == 128).mean() < 0.21
