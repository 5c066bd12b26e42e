from __future__ import annotations

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.identify.export import EMBEDDING_FORMATS
from tests.tiny_package import write_tiny_package
from trainers import view
from trainers.data.entries import TRAIN, write_entries
from trainers.sheets import BACKGROUND, GREEN, RED, WHITE, Tile, contact_sheet

from .drawn import entry, write_photo


def read_png(file: Path) -> ImageArray:
    image = cv2.imread(str(file))
    assert image is not None
    return np.asarray(image[:, :, ::-1], dtype=np.uint8)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["trainers.view", *map(str, arguments)])
    view.main()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A list of three photos of dog 0 and one of dog 1, their breed known."""
    entries = [
        entry(write_photo(tmp_path / "photos" / f"dog{n // 3}" / f"{n}.png", n), n // 3, breed_label="Pug / mix")
        for n in range(4)
    ]
    write_entries(tmp_path / TRAIN, entries)
    return tmp_path / TRAIN


def test_tiles_stand_in_rows_below_a_title() -> None:
    red, blue = np.zeros((10, 20, 3), np.uint8), np.zeros((20, 10, 3), np.uint8)
    red[:], blue[:] = (255, 0, 0), (0, 0, 255)
    sheet = contact_sheet([Tile(red, ("one line",)), Tile(blue), Tile(red)], columns=2, side=100)
    assert sheet.shape == (2 * 118, 200, 3)
    assert tuple(sheet[50, 50]) == (255, 0, 0)
    assert tuple(sheet[50, 150]) == (0, 0, 255)
    assert tuple(sheet[118 + 50, 50]) == (255, 0, 0)
    assert (sheet[118:, 100:] == BACKGROUND).all()
    assert (sheet[100:118, :100] > 100).any()  # the line
    assert contact_sheet([Tile(red)], columns=2, side=100, title="all").shape[0] == 100 + 4 + 22


def test_there_is_a_sheet_for_each_dog(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "sheets", photos, "--out", tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["dog_dog0.png", "dog_dog1.png"]
    assert read_png(tmp_path / "out" / "dog_dog0.png").shape[1] == 3 * 144


def test_there_is_a_sheet_for_each_breed_whatever_its_name(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "sheets", photos, "--by", "breed", "--photos", 2, "--out", tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["breed_Pug_mix.png"]
    assert read_png(tmp_path / "out" / "breed_Pug_mix.png").shape[1] == 2 * 144


def test_a_list_without_breeds_has_no_breed_sheets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_entries(tmp_path / TRAIN, [entry(write_photo(tmp_path / "a.png", 1), 0)])
    with pytest.raises(SystemExit, match="No photo of the list has a breed"):
        run(monkeypatch, "sheets", tmp_path / TRAIN, "--by", "breed", "--out", tmp_path / "out")


def drawn_tiles(monkeypatch: pytest.MonkeyPatch) -> list[list[Tile]]:
    """What the sheets are made of."""
    sheets: list[list[Tile]] = []

    def remember(tiles: list[Tile], columns: int, side: int = 144, title: str = "") -> ImageArray:
        sheets.append(tiles)
        return contact_sheet(tiles, columns, side, title)

    monkeypatch.setattr(view, "contact_sheet", remember)
    return sheets


def test_the_nearest_photos_by_the_embeddings_of_a_file_come_first(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = np.array([[1, 0], [0, 2], [0.8, 0.6], [0.6, 0.8], [1, 0]], dtype=np.float32)
    keys = ["dog0/0.png#0", "dog0/1.png#0", "dog0/2.png#0", "dog1/3.png#0", "dog0/1.png#1"]
    EMBEDDING_FORMATS["npz"](tmp_path, keys, vectors)  # as immich-dogs identify exports them
    sheets = drawn_tiles(monkeypatch)
    query = tmp_path / "photos" / "dog0" / "0.png"
    run(
        monkeypatch,
        *("neighbours", query, "--list", photos, "--embeddings", tmp_path / "embeddings.npz"),
        *("--out", tmp_path / "out"),
    )
    (tiles,) = sheets
    assert [tile.lines[0] for tile in tiles] == ["QUERY", "0.800", "0.600", "0.000"]
    assert [tile.colour for tile in tiles[1:]] == [GREEN, RED, GREEN]
    assert (tmp_path / "out" / "dog0_0.png").is_file()


def test_a_package_embeds_the_photos_itself(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets = drawn_tiles(monkeypatch)
    run(
        monkeypatch,
        *("neighbours", tmp_path / "photos" / "dog1" / "3.png", "--list", photos, "--count", 2),
        *("--package", write_tiny_package(tmp_path / "package"), "--out", tmp_path / "out"),
    )
    (tiles,) = sheets
    assert len(tiles) == 3
    cosines = [float(tile.lines[0]) for tile in tiles[1:]]
    assert cosines == sorted(cosines, reverse=True)
    assert all(-1 <= cosine <= 1 for cosine in cosines)


def test_a_photo_that_is_not_in_the_list_has_neighbours_too(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets = drawn_tiles(monkeypatch)
    query = tmp_path / "mine.png"
    shutil.copy(tmp_path / "photos" / "dog1" / "3.png", query)
    package = write_tiny_package(tmp_path / "package")
    run(monkeypatch, "neighbours", query, "--list", photos, "--package", package, "--out", tmp_path / "out")
    ((asked, first, *others),) = sheets
    assert (asked.lines, first.lines[:2]) == (("QUERY", "", "not in the list"), ("1.000", "dog1"))
    assert len(others) == 3
    assert {tile.colour for tile in (first, *others)} == {WHITE}


@pytest.mark.parametrize(
    ("keys", "query", "says"),
    [
        (["cat/9.png"], "dog0/0.png", "has none of the 4 photos.*like cat/9.png"),
        (["dog0/0.png"], "dog0/1.png", "not among the 1 photos"),
        ([], "dog0/0.png", "one embedding for each photo"),
    ],
)
def test_embeddings_that_do_not_fit_the_photos_are_an_error(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[str], query: str, says: str
) -> None:
    np.savez(tmp_path / "made.npz", **{key: np.ones(4, dtype=np.float32) for key in keys})
    options = ("--list", photos, "--embeddings", tmp_path / "made.npz", "--out", tmp_path / "out")
    with pytest.raises(SystemExit, match=says):
        run(monkeypatch, "neighbours", tmp_path / "photos" / query, *options)


def test_a_file_that_holds_no_arrays_is_an_error(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made.npz").write_text("no arrays")
    options = ("--list", photos, "--embeddings", tmp_path / "made.npz", "--out", tmp_path / "out")
    with pytest.raises(SystemExit, match="cannot be read"):
        run(monkeypatch, "neighbours", tmp_path / "photos" / "dog0" / "0.png", *options)
