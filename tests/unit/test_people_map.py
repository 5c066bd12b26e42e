from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from immich_dog_plugin.errors import ModelPackageError
from immich_dog_plugin.people_map import PeopleMap, signed_power
from tests.tiny_package import PEOPLE


def test_the_exponent_lies_linearly_between_two_of_the_table() -> None:
    assert PEOPLE.exponents == (1, 0.5, 0.3)
    assert PEOPLE.distances == (0.2, 0.5, 0.7)
    assert [PEOPLE.exponent(distance) for distance in (0.2, 0.35, 0.5, 0.6, 0.7)] == pytest.approx(
        [1, 0.75, 0.5, 0.4, 0.3]
    )


@pytest.mark.parametrize("distance", [0.19, 0.71, 1.5])
def test_a_distance_outside_the_table_is_refused_with_what_can_be_had(distance: float) -> None:
    with pytest.raises(ModelPackageError, match=rf"is {distance:g}, and .* at 0\.200 to 0\.700 only\. Set it"):
        PEOPLE.exponent(distance)


@pytest.mark.parametrize(
    ("exponents", "distances"),
    [
        ((1, 0.5), (0.2,)),
        ((1,), (0.2,)),
        ((0.9, 0.5), (0.2, 0.5)),
        ((1, 0.5, 0.6), (0.2, 0.5, 0.6)),
        ((1, 0), (0.2, 0.5)),
        ((1, 0.5), (0.5, 0.2)),
        ((1, 0.5), (0, 0.2)),
        ((1, 0.5), (0.2, float("nan"))),
    ],
)
def test_a_table_that_cannot_be_inverted_is_refused(exponents: tuple[float, ...], distances: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        PeopleMap(exponents=exponents, distances=distances, source="a test")


def test_the_signed_power_keeps_signs_and_the_unit_length_and_1_changes_nothing() -> None:
    embedding = np.random.default_rng(0).normal(size=(3, 512)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    np.testing.assert_allclose(signed_power(embedding, 1), embedding, atol=1e-6)
    mapped = signed_power(embedding, 0.5)
    np.testing.assert_array_equal(np.sign(mapped), np.sign(embedding))
    np.testing.assert_allclose(np.linalg.norm(mapped, axis=1), 1, atol=1e-6)
    root = np.sqrt(np.abs(embedding[0]))
    np.testing.assert_allclose(np.abs(mapped[0]), root / np.linalg.norm(root), atol=1e-6)


def test_what_all_dogs_share_counts_less_after_it() -> None:
    random = np.random.default_rng(1)
    dogs = random.normal(size=(200, 512))
    dogs[:, 0] = 40  # one large coordinate, alike in all
    dogs = (dogs / np.linalg.norm(dogs, axis=1, keepdims=True)).astype(np.float32)
    before, after = (vectors @ vectors.T for vectors in (dogs, signed_power(dogs, 0.5)))
    other = ~np.eye(200, dtype=bool)
    assert before[other].mean() > 0.7
    assert after[other].mean() < 0.2
