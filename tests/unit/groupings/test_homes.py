from __future__ import annotations

import numpy as np

from harness.groupings.homes import all_dogs, homes

from .made_up import photos


def test_all_dogs_have_one_photo_of_each_source_group() -> None:
    found = all_dogs(photos("aaabb", groups=["1", "1", "2", "1", "2"], sessions=list("vwxyz")))
    assert found.rows.tolist() == [0, 2, 3, 4]
    assert found.days.tolist() == ["v", "x", "y", "z"]
    assert not found.stranger.any()


def test_a_dog_of_one_photo_is_a_stranger_among_all() -> None:
    assert all_dogs(photos("aab")).stranger.tolist() == [False, False, True]


def test_a_home_has_all_photos_of_its_dogs_and_one_each_of_twice_as_many_strangers() -> None:
    every = photos("aabbccddeeffgghhii")
    sizes = set()
    for home in homes(every, 40):
        own = every.labels[home.rows[~home.stranger]]
        strangers = every.labels[home.rows[home.stranger]]
        dogs = set(own.tolist())
        assert len(own) == 2 * len(dogs)
        assert home.first in dogs
        assert len(set(strangers.tolist()) - dogs) == len(strangers) == min(2 * len(dogs), 9 - len(dogs))
        sizes.add(len(dogs))
    assert sizes == {1, 2, 3, 4, 5}


def test_the_dogs_of_a_home_are_of_one_set() -> None:
    every = photos("aabbccdd", sets=list("11112222"))
    for home in homes(every, 20):
        assert len(set(every.sets[home.rows].tolist())) == 1


def test_where_days_are_known_a_dog_of_one_day_is_met_as_a_stranger_only() -> None:
    every = photos("aaabbb", sessions=["1", "2", "3", "1", "1", "1"])
    for home in homes(every, 10):
        assert home.first == "a"
        assert every.labels[home.rows[home.stranger]].tolist() == ["b"]


def test_the_dogs_of_a_home_are_photographed_on_the_same_days() -> None:
    every = photos("aaabbb", sessions=["20240101", "20240101", "20250101", "20200101", "20200202", "20200202"])
    together = next(home for home in homes(every, 50) if not home.stranger.any())
    days = dict(zip(together.rows.tolist(), together.days.tolist(), strict=True))
    assert [days[row] for row in range(6)] == ["0", "0", "1", "0", "1", "1"]
    alone = next(home for home in homes(every, 50) if home.stranger.any())
    assert set(alone.days[alone.stranger].tolist()) <= {"0", "1"}


def test_the_homes_are_the_same_every_time() -> None:
    every = photos("aabbccdd")
    first, again = ([home.rows.tolist() for home in homes(every, 5)] for _ in range(2))
    assert first == again


def test_photos_of_no_known_day_stay_so() -> None:
    for home in homes(photos("aabb"), 5):
        assert np.all(home.days == "")
