"""Each loss against the value that its formula gives for vectors drawn by hand in the plane."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

from trainers.embedder.losses import (
    breed_loss,
    distillation_loss,
    identity_loss,
    start_at_centres,
    triplet_miner,
    view_loss,
)

pytestmark = pytest.mark.filterwarnings("ignore")


def at(degrees: ArrayLike) -> torch.Tensor:
    """Unit vectors in the plane, ``(n, 2)``."""
    angles = np.radians(np.asarray(degrees, dtype=np.float64))
    return torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], axis=-1)).float()


def cos(degrees: float) -> float:
    return float(np.cos(np.radians(degrees)))


def chord(degrees: float) -> float:
    """Distance between two points of the unit circle."""
    return 2 * float(np.sin(np.radians(degrees) / 2))


def with_weights(loss: torch.nn.Module, degrees: ArrayLike) -> torch.nn.Module:
    with torch.no_grad():
        loss.W.copy_(at(degrees).T)
    return loss


def arcface(margin: float = 30, scale: float = 10) -> torch.nn.Module:
    loss = identity_loss("arcface", 2, 2, margin=margin, scale=scale, miner="hard")
    return with_weights(loss, [0, 90])


def test_arcface_adds_its_margin_in_degrees_to_the_angle_of_the_own_class() -> None:
    expected = np.log1p(np.exp(10 * (cos(70) - cos(20 + 30))))
    assert arcface()(at([20]), torch.tensor([0])).item() == pytest.approx(expected, rel=1e-5)


def test_arcface_is_the_mean_over_the_batch() -> None:
    first = np.log1p(np.exp(10 * (cos(70) - cos(20 + 30))))
    second = np.log1p(np.exp(10 * (cos(80) - cos(10 + 30))))
    found = arcface()(at([20, 80]), torch.tensor([0, 1])).item()
    assert found == pytest.approx((first + second) / 2, rel=1e-5)


def test_arcface_stays_monotonous_where_angle_and_margin_pass_half_a_turn() -> None:
    own = cos(160) - np.radians(30) * np.sin(np.radians(30))
    expected = np.log1p(np.exp(10 * (cos(70) - own)))
    assert arcface()(at([160]), torch.tensor([0])).item() == pytest.approx(expected, rel=1e-5)


def test_without_a_margin_arcface_is_the_cross_entropy_of_scaled_cosines() -> None:
    logits = 10 * torch.tensor([[cos(20), cos(70)]])
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0])).item()
    assert arcface(margin=0)(at([20]), torch.tensor([0])).item() == pytest.approx(expected, rel=1e-4)


def test_sub_center_arcface_takes_the_nearest_of_three_centres_of_each_class() -> None:
    loss = identity_loss("subcenter", 2, 2, margin=20, scale=8, miner="hard")
    with_weights(loss, [0, 120, 240, 60, 180, 300])  # three of the first class, then three of the second
    expected = np.log1p(np.exp(8 * (cos(60 - 10) - cos(10 + 20))))
    assert loss(at([10]), torch.tensor([0])).item() == pytest.approx(expected, rel=1e-5)


def test_the_triplet_loss_is_the_margin_by_which_another_dog_is_too_near() -> None:
    loss = identity_loss("triplet", 2, 2, margin=0.5, scale=1, miner="hard")
    # Two photos of dog 0 at 0 and 40 degrees, one of dog 1 at 70: two anchors, one positive and one negative each.
    expected = [chord(40) - chord(70) + 0.5, chord(40) - chord(30) + 0.5]
    assert loss(at([0, 40, 70]), torch.tensor([0, 0, 1])).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_dogs_that_are_far_enough_apart_cost_nothing() -> None:
    loss = identity_loss("triplet", 2, 2, margin=0.5, scale=1, miner="hard")
    vectors = at([0, 10, 170, 180]).requires_grad_()
    value = loss(vectors, torch.tensor([0, 0, 1, 1]))
    assert value.item() == 0
    value.backward()  # nothing to learn is no error


def triplets(name: str, degrees: list[float], labels: list[int], margin: float = 0.4) -> set[tuple[int, int, int]]:
    mined = triplet_miner(name, margin)(at(degrees), torch.tensor(labels))
    return set(zip(*(part.tolist() for part in mined), strict=True))


# Dog 0 at 0, 10 and 40 degrees; dog 1 at 50, 60 and 150.
DEGREES, LABELS = [0.0, 10.0, 40.0, 50.0, 60.0, 150.0], [0, 0, 0, 1, 1, 1]


def test_hard_mining_takes_the_farthest_photo_of_the_dog_and_the_nearest_of_another() -> None:
    assert triplets("hard", DEGREES, LABELS) == {(0, 2, 3), (1, 2, 3), (2, 0, 3), (3, 5, 2), (4, 5, 2), (5, 3, 2)}


def test_semi_hard_mining_takes_negatives_behind_the_positive_but_within_the_margin() -> None:
    expected = {
        (anchor, positive, negative)
        for anchor in range(6)
        for positive in range(6)
        for negative in range(6)
        if positive != anchor and LABELS[positive] == LABELS[anchor] != LABELS[negative]
        if 0 < chord(abs(DEGREES[anchor] - DEGREES[negative])) - chord(abs(DEGREES[anchor] - DEGREES[positive])) <= 0.4
    }
    assert (0, 2, 3) in expected  # 0 degrees: its dog at 40, another at 50
    assert (0, 1, 4) not in expected  # its dog at 10, another at 60: far enough already
    assert (2, 0, 3) not in expected  # 40 degrees: another is nearer than its own dog, that is hard
    assert triplets("semihard", DEGREES, LABELS) == expected


def test_the_loss_of_views_is_minus_the_log_of_the_other_views_share() -> None:
    vectors = at([0, 30, 90, 80, 200, 260])  # two views of each of three photos
    weights = np.exp((vectors @ vectors.T).numpy() / 0.1)
    others = weights.sum(axis=1) - weights.diagonal()
    expected = -np.log(weights[np.arange(6), [1, 0, 3, 2, 5, 4]] / others).mean()
    found = view_loss()(vectors, torch.tensor([7, 7, 3, 3, 5, 5]))
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_the_breed_loss_is_the_cross_entropy_of_the_cosines_to_the_breeds() -> None:
    loss = with_weights(breed_loss(2, 2), [0, 90])
    expected = np.log1p(np.exp((cos(60) - cos(30)) / 0.05))
    assert loss(at([30]), torch.tensor([0])).item() == pytest.approx(expected, rel=1e-4)


def test_distillation_compares_cosines_and_not_vectors() -> None:
    embeddings = at([0, 60, 90])
    turned = torch.cat([at([100, 160, 190]), torch.zeros(3, 5)], dim=1) * 7  # other axes, dimension and length
    assert distillation_loss(embeddings, turned).item() == pytest.approx(0, abs=1e-10)
    teacher = at([0, 90, 90])
    # of the three pairs two differ: 60 against 90 degrees, and 30 against 0
    expected = (cos(60) ** 2 + (cos(30) - 1) ** 2) / 3
    assert distillation_loss(embeddings, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_class_weights_start_at_the_mean_direction_of_each_dog() -> None:
    loss = arcface()
    start_at_centres(loss, at([10, 30, 100, 77]), torch.tensor([0, 0, 1, -1]))
    torch.testing.assert_close(loss.W.detach().T, at([20, 100]))


def test_sub_centres_start_at_shares_of_the_dogs_photos() -> None:
    loss = identity_loss("subcenter", 2, 2, margin=20, scale=8, miner="hard")
    start_at_centres(loss, at([0, 50, 100, 20, 200]), torch.tensor([0, 0, 0, 0, 1]))
    expected = at([10, 50, 100, 200, 200, 200])  # the first and the fourth photo share a centre
    torch.testing.assert_close(loss.W.detach().T, expected)


def test_a_loss_without_class_weights_has_nothing_to_start() -> None:
    loss, views = view_loss(), (at([0, 10, 90, 130]), torch.tensor([0, 0, 1, 1]))
    before = loss(*views).item()
    start_at_centres(loss, *views)
    assert loss(*views).item() == before > 0
    assert not hasattr(loss, "W")
