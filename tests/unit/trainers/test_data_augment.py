from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from immich_dog_plugin.geometry import ImageArray
from trainers.data.identity import IdentityDataset
from trainers.data.masks import Masks
from trainers.embedder import augment
from trainers.embedder.augment import RandomView, cut_out, random_part, soft_ellipse, turn
from trainers.embedder.background import Backgrounds, change_background, erase, spread
from trainers.embedder.batches import Views
from trainers.embedder.objective import UNKNOWN
from trainers.specs import RECOGNITION

from .drawn import disc, drawn_photo, entry, write_photo

SMALL = RECOGNITION.input.model_copy(update={"side": 32})


@pytest.fixture
def masks(tmp_path: Path) -> Masks:
    return Masks(tmp_path / "masks")


def red_dog(side: int = 64, radius: float = 20) -> tuple[ImageArray, ImageArray]:
    """A red disc on green, mixed at its edge as a camera would, and its mask."""
    alpha = disc(side, radius)
    share = alpha[:, :, None] / 255
    return (share * (200, 20, 20) + (1 - share) * (20, 200, 20)).astype(np.uint8), alpha


def test_another_background_leaves_the_dogs_pixels_and_takes_all_others() -> None:
    photo, alpha = drawn_photo(1, 64, 64), disc(64, 20)
    background = drawn_photo(2, 64, 64)
    changed = change_background(photo, alpha, background)
    assert changed.dtype == np.uint8
    np.testing.assert_array_equal(changed[alpha == 255], photo[alpha == 255])
    np.testing.assert_array_equal(changed[alpha == 0], background[alpha == 0])
    assert ((alpha > 0) & (alpha < 255)).sum() > 50


def test_no_seam_of_the_old_background_is_left_around_the_dog() -> None:
    photo, alpha = red_dog()
    changed = change_background(photo, alpha, np.zeros_like(photo))
    edge = (alpha > 60) & (alpha < 200)
    assert edge.sum() > 20
    assert changed[edge, 1].max() <= 45  # green is the old background's
    assert photo[edge, 1].min() > 45


def test_an_erased_dog_leaves_only_its_surroundings() -> None:
    photo, alpha = red_dog()
    place = erase(photo, alpha)
    assert place.shape == photo.shape
    assert place[:, :, 0].max() < 30
    assert place[:, :, 1].min() > 190


def test_colours_spread_where_nothing_counts_and_stay_where_all_does() -> None:
    photo = drawn_photo(3, 50, 37)
    weight = np.ones((37, 50), dtype=np.float32)
    weight[:, 30:] = 0
    filled = spread(photo, weight)
    np.testing.assert_allclose(filled[:, :30], photo[:, :30], atol=1e-3)
    assert filled.min() >= 0
    assert filled.max() <= 255.001
    uniform = spread(np.full((37, 50, 3), 77, dtype=np.uint8), weight)
    np.testing.assert_allclose(uniform, 77, atol=1e-3)


def test_backgrounds_come_from_photos_with_a_good_mask_and_show_no_dog(tmp_path: Path, masks: Masks) -> None:
    photo, alpha = red_dog()
    good, bad = write_photo(tmp_path / "good.png", photo), write_photo(tmp_path / "bad.png", 1)
    masks.keep(good, alpha, good=True)
    masks.keep(bad, alpha, good=False)
    backgrounds = Backgrounds([good, bad], masks)
    random = np.random.default_rng(0)
    drawn = [backgrounds.draw(48, random) for _ in range(40)]
    assert {place.shape for place in drawn} == {(48, 48, 3)}
    green = sum(bool((place[:, :, 1] > 180).all() and (place[:, :, 0] < 40).all()) for place in drawn)
    assert 30 <= green < 40  # the others are of one colour


def test_without_any_mask_backgrounds_are_plain(tmp_path: Path, masks: Masks) -> None:
    random = np.random.default_rng(0)
    first, second = (Backgrounds([write_photo(tmp_path / "a.png", 1)], masks).draw(24, random) for _ in range(2))
    assert first.shape == (24, 24, 3)
    assert abs(first.mean() - second.mean()) > 1


@pytest.mark.parametrize("masked", [True, False])
def test_views_have_the_asked_side_whatever_the_photo(masked: bool, masks: Masks) -> None:
    view = RandomView(48, Backgrounds([], masks))
    for width, height in ((300, 40), (17, 200), (224, 224), (3, 3)):
        photo = drawn_photo(1, width, height)
        alpha = np.zeros((height, width), dtype=np.uint8)
        alpha[height // 4 :, width // 4 :] = 255
        for _ in range(4):
            made = view(photo, alpha if masked else None)
            assert made.shape == (48, 48, 3)
            assert made.dtype == np.uint8


@pytest.mark.parametrize("masked", [True, False])
def test_the_same_seed_gives_the_same_views_and_another_seed_others(masked: bool, masks: Masks) -> None:
    view, photo, alpha = RandomView(48, Backgrounds([], masks)), drawn_photo(1, 90, 90), disc(90, 30)

    def views(seed: int) -> ImageArray:
        torch.manual_seed(seed)
        return np.stack([view(photo, alpha if masked else None) for _ in range(8)])

    np.testing.assert_array_equal(views(1), views(1))
    assert len({made.tobytes() for made in views(1)}) == 8
    assert not np.array_equal(views(1), views(2))


def test_a_view_shows_the_dog_and_at_times_another_place(masks: Masks, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, alpha = red_dog(100, 25)
    view = RandomView(64, Backgrounds([], masks))
    monkeypatch.setattr(augment, "distort", lambda view, random: view)  # colours as they are
    torch.manual_seed(0)
    views = [view(photo, alpha).astype(int) for _ in range(60)]
    red = [((made[:, :, 0] > 150) & (made[:, :, 1] < 60)).mean() for made in views]
    green = [((made[:, :, 1] > 180) & (made[:, :, 0] < 60)).mean() for made in views]
    assert min(red) > 0.25  # cut as a detector would: the dog fills the view
    assert 0.5 < np.mean(np.array(green) < 0.02) < 0.95


def test_a_part_keeps_at_least_the_asked_share_of_the_picture() -> None:
    random = np.random.default_rng(0)
    picture = np.zeros((100, 200))
    areas = [picture[random_part(200, 100, 0.35, random)].size / 20000 for _ in range(200)]
    assert 0.3 < min(areas) < 0.45
    assert 0.9 < max(areas) <= 1


def test_a_soft_ellipse_keeps_the_middle_and_not_the_corners() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        mask = soft_ellipse(64, random)
        assert (mask[28:36, 28:36] == 255).all()
        assert mask[0, 0] == 0


def test_a_turn_moves_the_edges_and_leaves_the_centre() -> None:
    view = np.zeros((65, 65, 3), np.uint8)
    view[30:35] = 255  # a horizontal bar
    turned = turn(view, angle=20)
    assert (turned[32, 32] == 255).all()
    assert (turned[32, 2] == 0).all()


def test_views_are_mirrored_holed_and_lit_at_random(masks: Masks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "CHANGED", 0.0)
    photo = np.full((64, 64, 3), 90, dtype=np.uint8)
    photo[:, :32] = (200, 120, 60)
    view = RandomView(64, Backgrounds([], masks))
    torch.manual_seed(0)
    views = [view(photo) for _ in range(80)]
    mirrored = sum(bool(made[:, -8:].mean() > made[:, :8].mean() + 10) for made in views)
    holed = sum(bool((made == 128).all(axis=2).mean() > 0.015) for made in views)
    brightness = np.array([made.mean() for made in views])
    assert 20 < mirrored < 60
    assert 8 < holed < 45
    assert brightness.max() - brightness.min() > 40


def test_a_hole_is_grey_and_smaller_than_half_the_view() -> None:
    holed = cut_out(np.zeros((64, 64, 3), np.uint8), np.random.default_rng(0))
    assert set(np.unique(holed)) == {0, 128}
    assert 0.02 < (holed == 128).mean() < 0.21


def test_a_background_is_cut_from_where_no_dog_is(tmp_path: Path, masks: Masks) -> None:
    photo = drawn_photo(7, 100, 100)
    alpha = np.zeros((100, 100), dtype=np.uint8)
    alpha[:, :40] = 255
    photo[:, :40] = (255, 0, 0)
    file = write_photo(tmp_path / "left.png", photo)
    masks.keep(file, alpha, good=True)
    random = np.random.default_rng(0)
    drawn = [Backgrounds([file], masks).draw(50, random) for _ in range(30)]
    lively = [place.std(axis=(0, 1)).mean() > 15 for place in drawn]
    assert np.mean(lively) > 0.7
    assert max(((place[:, :, 0] > 240) & (place[:, :, 1] < 15)).mean() for place in drawn) < 0.05


def test_a_pair_is_two_different_views_of_one_photo_with_its_number_and_breed(tmp_path: Path, masks: Masks) -> None:
    files = [write_photo(tmp_path / f"{n}.png", n) for n in range(8)]
    twice = RandomView(SMALL.side, Backgrounds(files, masks)).twice(masks)
    views, dog, number, breed = Views(files, SMALL, twice, breeds=[0] * 4 + [1] * 4, first=100)[5]
    assert views.shape == (2, 3, 32, 32)
    assert (dog, number, breed) == (UNKNOWN, 105, 1)
    assert not torch.equal(views[0], views[1])


def test_the_data_set_hands_each_photo_and_its_mask_to_the_augmentation(tmp_path: Path, masks: Masks) -> None:
    entries = [entry(write_photo(tmp_path / f"{n}.png", drawn_photo(n, 40, 40)), n) for n in range(2)]
    masks.keep(entries[1].file_path, disc(40, 15), good=True)
    asked: list[ImageArray | None] = []

    def remember(photo: ImageArray, alpha: ImageArray | None) -> ImageArray:
        asked.append(alpha)
        return np.full((32, 32, 3), 255, dtype=np.uint8)

    photos = IdentityDataset(entries, SMALL, remember, masks)
    image, label = photos[1]
    photos[0]
    assert label == 1
    assert asked[0] is not None
    assert asked[1] is None
    np.testing.assert_allclose(image, torch.full((3, 32, 32), (1 - SMALL.mean[0]) / SMALL.std[0]), rtol=1e-6)
