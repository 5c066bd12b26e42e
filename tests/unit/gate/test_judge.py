"""Verdicts on sets small enough to follow by hand.

Every dog has two axes of its own, so that two dogs have a cosine of 0. Its first photo lies along one axis, its second
between both, so that its one pair has the cosine that the test says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.gate.judge import Judgement, Outcome, judge
from harness.gate.limits import Limits
from immich_dog_plugin.evaluation.pairs import PhotoPair
from immich_dog_plugin.manifest import Thresholds

THRESHOLDS = Thresholds(same_dog=0.8, far_1_percent=0.7, source="a test")
LIMITS = Limits(found=0.5, same_dog=0.5, different_dogs=0.5, margin=0.5)
# Six dogs that agree prove no more than 0.025 ** (1 / 6) of a share: Clopper and Pearson's lower end.
PROVEN_BY_SIX = 0.5407


def pairs_of_dogs(cosines: Sequence[float]) -> tuple[NDArray[np.float64], list[str]]:
    """Two photos ``(2, 2 * dogs)`` of each dog, whose pair has this cosine, and the dogs' names."""
    axes = np.eye(2 * len(cosines))
    rows, names = [], []
    for dog, cosine in enumerate(cosines):
        own, other = axes[2 * dog], axes[2 * dog + 1]
        rows += [own, cosine * own + np.sqrt(1 - cosine**2) * other]
        names += [f"dog {dog}"] * 2
    return np.array(rows), names


def judged(cosines: Sequence[float], limits: Limits = LIMITS) -> Judgement:
    embeddings, names = pairs_of_dogs(cosines)
    return judge(embeddings, names, range(len(names)), THRESHOLDS, limits)


def test_six_dogs_told_apart_keep_what_six_dogs_can_prove() -> None:
    judgement = judged([0.9] * 6)
    assert {str(name): verdict.outcome for name, verdict in judgement.verdicts.items()} == {
        "found": "passed",
        "same_dog": "passed",
        "different_dogs": "passed",
        "margin": "passed",
    }
    assert judgement.outcome is Outcome.PASSED
    for name in ("found", "same_dog", "different_dogs"):
        interval = judgement.verdicts[name].interval
        assert interval is not None
        assert (interval.value, interval.high) == (1.0, 1.0)
        assert interval.low == pytest.approx(PROVEN_BY_SIX, abs=1e-4)
    margin = judgement.verdicts["margin"].interval
    assert margin is not None
    assert (margin.value, margin.low, margin.high) == pytest.approx((0.9, 0.9, 0.9))
    # 12 photos are 66 pairs, one of each dog
    assert (judgement.genuine_pairs, judgement.impostor_pairs) == (6, 60)


def test_a_lucky_small_set_does_not_pass() -> None:
    judgement = judged([0.9] * 6, LIMITS.model_copy(update={"same_dog": 0.55}))
    assert judgement.verdicts["same_dog"].outcome is Outcome.TOO_FEW
    assert judgement.outcome is Outcome.TOO_FEW


def test_an_unlucky_small_set_does_not_fail() -> None:
    """Three of six pairs are false_rejects: 0.5 is under the limit, but so few dogs may well be better than that."""
    verdict = judged([0.9] * 3 + [0.2] * 3, LIMITS.model_copy(update={"same_dog": 0.7})).verdicts["same_dog"]
    assert verdict.interval is not None
    assert verdict.interval.value == 0.5
    assert verdict.outcome is Outcome.TOO_FEW


def test_many_torn_dogs_fail_and_one_failure_outweighs_what_cannot_be_told() -> None:
    limits = LIMITS.model_copy(update={"different_dogs": 0.95})
    judgement = judged([0.2] * 20, limits)  # 20 dogs that all fail leave room for 0.17 at most
    assert judgement.verdicts["same_dog"].outcome is Outcome.FAILED
    assert judgement.verdicts["margin"].outcome is Outcome.FAILED
    assert judgement.verdicts["different_dogs"].outcome is Outcome.TOO_FEW
    assert judgement.outcome is Outcome.FAILED


def test_dogs_that_all_look_alike_fail_by_the_pairs_of_two_dogs() -> None:
    names = [f"dog {dog}" for dog in range(8) for _ in range(2)]
    judgement = judge(np.tile(np.eye(16)[0], (16, 1)), names, range(16), THRESHOLDS, LIMITS)
    assert judgement.verdicts["same_dog"].outcome is Outcome.PASSED
    assert judgement.verdicts["different_dogs"].outcome is Outcome.FAILED
    assert judgement.verdicts["margin"].outcome is Outcome.FAILED
    assert len(judgement.false_accepts) == judgement.impostor_pairs == 120 - 8


def test_a_cosine_at_the_threshold_counts_as_the_same_dog() -> None:
    embeddings, names = pairs_of_dogs([0.5] * 6)  # 0.5 is a cosine without rounding

    def false_rejects(threshold: float) -> int:
        thresholds = THRESHOLDS.model_copy(update={"same_dog": threshold})
        return len(judge(embeddings, names, range(12), thresholds, LIMITS).false_rejects)

    assert (false_rejects(0.5), false_rejects(np.nextafter(0.5, 1))) == (0, 6)


def test_the_worst_pairs_come_first_and_name_the_rows_of_the_photos() -> None:
    embeddings, names = pairs_of_dogs([0.9, 0.3, 0.6, 0.9, 0.9, 0.9])
    embeddings[0] = np.nan  # no dog was found in the first photo: the rows of the others stay
    embeddings[8] = embeddings[10]  # two dogs as one
    judgement = judge(embeddings, names, range(12), THRESHOLDS, LIMITS)
    assert judgement.missed == [0]
    # the second photo of dog 4 lies across its first, which now looks like dog 5
    assert [(pair.first, pair.second, round(pair.cosine, 6)) for pair in judgement.false_rejects] == [
        (8, 9, 0.0),
        (2, 3, 0.3),
        (4, 5, 0.6),
    ]
    assert judgement.false_accepts == [PhotoPair(8, 10, 1.0), PhotoPair(8, 11, pytest.approx(0.9))]


def test_photos_of_one_group_make_no_pair() -> None:
    embeddings, names = pairs_of_dogs([0.2] + [0.9] * 6)
    cuts = [0, 0, *range(1, 13)]
    assert judge(embeddings, names, cuts, THRESHOLDS, LIMITS).false_rejects == []


def test_where_no_dog_is_found_the_share_found_fails_and_nothing_is_said_of_pairs() -> None:
    judgement = judge(np.full((12, 4), np.nan), [f"dog {row // 2}" for row in range(12)], range(12), THRESHOLDS, LIMITS)
    assert judgement.verdicts["found"].outcome is Outcome.FAILED
    assert judgement.verdicts["margin"].outcome is Outcome.TOO_FEW
    assert str(judgement.verdicts["margin"]) == "too few photos: margin cannot be measured, at least 0.5"
    assert judgement.outcome is Outcome.FAILED
    assert judgement.missed == list(range(12))


@pytest.mark.parametrize("dogs", [2, 4])
def test_under_five_dogs_nothing_can_be_told_however_good_they_look(dogs: int) -> None:
    assert {verdict.outcome for verdict in judged([1.0] * dogs).verdicts.values()} == {Outcome.TOO_FEW}


def test_each_outcome_has_an_exit_code_of_its_own() -> None:
    assert {outcome.name: outcome.exit_code for outcome in Outcome} == {"PASSED": 0, "FAILED": 1, "TOO_FEW": 3}
