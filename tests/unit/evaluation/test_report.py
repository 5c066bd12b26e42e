from __future__ import annotations

import numpy as np

from immich_dog_plugin.evaluation import tables
from immich_dog_plugin.evaluation.bootstrap import Interval
from immich_dog_plugin.evaluation.pairs import DogPairs, PhotoPair
from immich_dog_plugin.evaluation.plots import roc_plot, score_plot
from immich_dog_plugin.evaluation.report import worst_pairs


def test_each_photo_is_shown_in_the_worst_of_its_pairs_only() -> None:
    cosines = np.array([0.9, 0.8, 0.7, 0.6])
    photos = np.array([[0, 0, 2, 3], [1, 2, 3, 4]])
    assert worst_pairs(cosines, photos) == [PhotoPair(0, 1, 0.9), PhotoPair(2, 3, 0.7)]
    assert worst_pairs(cosines, photos, count=1) == [PhotoPair(0, 1, 0.9)]


def test_a_figure_without_an_interval_says_so() -> None:
    assert tables.cell_text(Interval(0.5, None, None)) == ("0.500", "few dogs")
    assert tables.cell_text(None) == ("n/a", "")


def test_plots_name_what_they_show() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(24, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = DogPairs.of(vectors, np.repeat(np.arange(6), 4), np.arange(24))
    few = DogPairs.of(vectors[:8], np.repeat(np.arange(2), 4), np.arange(8))
    for plot, words in (
        (roc_plot({"all": pairs, "street": few}), ("<!-- all -->", "<!-- street -->", "<!-- 95 % interval -->")),
        (score_plot(pairs, {"same dog": 0.63}), ("<!-- same dog: 0.630 -->", "<!-- different dogs (240 pairs) -->")),
    ):
        text = plot.decode()
        for word in words:
            assert word in text
    assert "95 % interval" not in roc_plot({"all": few}).decode()
