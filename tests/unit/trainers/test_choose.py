from __future__ import annotations

from typing import Any

from trainers.choose import MANY_DAYS, best_crop


def figures(eer: float, top_1: float) -> dict[str, dict[str, Any]]:
    return {"all": {"top_1": top_1}, MANY_DAYS: {"eer": eer}}


def test_among_crops_of_equal_error_the_best_top_1_wins() -> None:
    assert best_crop({"face": figures(0.033, 0.963), "body": figures(0.034, 0.983)}) == "body"


def test_a_clearly_smaller_error_over_many_days_wins_over_top_1() -> None:
    assert best_crop({"face": figures(0.033, 0.963), "body": figures(0.044, 0.983)}) == "face"


def test_a_full_tie_in_top_1_goes_to_the_smaller_error() -> None:
    assert best_crop({"wide": figures(0.044, 0.986), "body": figures(0.041, 0.986)}) == "body"
