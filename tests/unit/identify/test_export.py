from __future__ import annotations

import csv
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.evaluation.embeddings_file import read_embeddings
from immich_dog_plugin.identify import export
from immich_dog_plugin.identify.collection import Collection, Detection, Photo
from immich_dog_plugin.identify.export import write_dogs, write_embeddings, write_similarity
from immich_dog_plugin.spreadsheet import ENCODING
from tests.tiny_package import CALIBRATION

from .conftest import unit_rows


def _collection(photos: list[tuple[tuple[str, ...], int]], dimension: int = 8) -> Collection:
    """A collection of photos, each of files and a number of dogs."""
    detections = [
        Detection(id * 10 + number, Photo(id, files, "Rex"), number, "Rex", (1, 2, 3.25, 4), 0.9, "body")
        for id, (files, dogs) in enumerate(photos)
        for number in range(dogs)
    ]
    rows = np.random.default_rng(0).normal(size=(len(detections), dimension))
    embeddings = unit_rows(rows) if detections else np.empty((0, dimension), dtype=np.float32)
    return Collection(detections, embeddings, [Photo(i, f, "Rex") for i, (f, _) in enumerate(photos)], [], [], 0, 0, [])


COLLECTION = _collection([(("Rex/a.jpg", "copy.jpg"), 1), (("Rex/b, c.jpg",), 2), (("none.jpg",), 0)])
KEYS = ["Rex/a.jpg#0", "copy.jpg#0", "Rex/b, c.jpg#0", "Rex/b, c.jpg#1"]


def test_every_format_holds_every_file_under_its_key(tmp_path: Path) -> None:
    write_embeddings(tmp_path, COLLECTION, ["npz", "npy", "pkl"])
    rows = COLLECTION.embeddings[[0, 0, 1, 2]]
    with np.load(tmp_path / "embeddings.npz", allow_pickle=False) as archive:
        assert archive.files == KEYS
        np.testing.assert_array_equal([archive[key] for key in KEYS], rows)
    np.testing.assert_array_equal(np.load(tmp_path / "embeddings.npy", allow_pickle=False), rows)
    assert json.loads((tmp_path / "embeddings.keys.json").read_text()) == KEYS
    unpickled = pickle.loads((tmp_path / "embeddings.pkl").read_bytes())
    assert list(unpickled) == KEYS
    np.testing.assert_array_equal(list(unpickled.values()), rows)


def test_only_the_formats_asked_for_are_written(tmp_path: Path) -> None:
    write_embeddings(tmp_path, COLLECTION, ["npz"])
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings.npz"]


def test_no_dog_at_all_still_gives_files_that_can_be_read(tmp_path: Path) -> None:
    nothing = _collection([(("none.jpg",), 0)])
    write_embeddings(tmp_path, nothing, ["npz", "npy", "pkl"])
    write_dogs(tmp_path, nothing, np.empty(0, dtype=np.int64))
    assert write_similarity(tmp_path, nothing) is None
    with np.load(tmp_path / "embeddings.npz") as archive:
        assert archive.files == []
    assert np.load(tmp_path / "embeddings.npy").shape == (0, 8)


def test_the_table_of_dogs_has_a_row_for_each_dog_of_each_file(tmp_path: Path) -> None:
    write_dogs(tmp_path, COLLECTION, np.array([0, 0, -1]))
    with (tmp_path / "dogs.csv").open(newline="", encoding=ENCODING) as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == KEYS
    assert [row["group"] for row in rows] == ["1", "1", "1", "0"]
    assert (rows[2]["file"], rows[2]["x2"], rows[2]["name"]) == ("Rex/b, c.jpg", "3.2", "Rex")


def _pairs(folder: Path) -> dict[tuple[str, str], float]:
    with (folder / "similarity.csv").open(newline="", encoding=ENCODING) as file:
        return {(row["dog"], row["other_dog"]): float(row["cosine"]) for row in csv.DictReader(file)}


def test_similarity_holds_every_unordered_pair_once(tmp_path: Path) -> None:
    assert write_similarity(tmp_path, COLLECTION) is None
    pairs = _pairs(tmp_path)
    assert {frozenset(pair) for pair in pairs} == {
        frozenset({first, second})
        for first in KEYS
        for second in KEYS
        if first != second and "copy.jpg#0" not in (first, second)
    }
    assert len(pairs) == 3
    expected = float(COLLECTION.embeddings[0] @ COLLECTION.embeddings[1])
    assert pairs["Rex/a.jpg#0", "Rex/b, c.jpg#0"] == pytest.approx(expected, abs=1e-4)


def test_with_a_calibration_similarity_holds_the_probability_of_each_pair(tmp_path: Path) -> None:
    write_similarity(tmp_path, COLLECTION, CALIBRATION)
    with (tmp_path / "similarity.csv").open(newline="", encoding=ENCODING) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row in rows:
        expected = 1 / (1 + math.exp(5 - 10 * float(row["cosine"])))
        assert float(row["probability"]) == pytest.approx(expected, abs=3e-4)  # the cosine is rounded


def test_above_the_limit_each_dog_keeps_its_nearest_and_the_caller_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ALL_PAIRS_UP_TO", 10)
    monkeypatch.setattr(export, "NEIGHBOURS_BEYOND", 3)
    many = _collection([((f"{number}.jpg",), 1) for number in range(30)])
    assert write_similarity(tmp_path, many) == 3
    cosines = many.embeddings @ many.embeddings.T
    np.fill_diagonal(cosines, -2)
    expected = {
        frozenset({f"{row}.jpg#0", f"{other}.jpg#0"}) for row in range(30) for other in np.argsort(-cosines[row])[:3]
    }
    pairs = _pairs(tmp_path)
    assert {frozenset(pair) for pair in pairs} == expected
    assert len(pairs) == len(expected)  # none twice


def test_the_tables_open_right_in_a_spreadsheet(tmp_path: Path) -> None:
    """Excel takes UTF-8 for the code page of the machine unless the file begins with the mark."""
    write_dogs(tmp_path, COLLECTION, np.array([0, 0, -1]))
    write_similarity(tmp_path, COLLECTION)
    for name in ("dogs.csv", "similarity.csv"):
        assert (tmp_path / name).read_bytes().startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "'=", "''@"])
def test_no_name_of_a_file_is_a_formula_and_each_is_read_back_as_it_is(tmp_path: Path, first: str) -> None:
    files = [f"{first}cmd|' /C calc'!A0.jpg", f"{first}Rex/1.jpg", "'tis/1.jpg", "plain/-1.jpg"]
    detections = [
        Detection(id, Photo(id, (file,), file.split("/")[0]), 0, file.split("/")[0], (-1, 2, 3, 4), 0.9, "body")
        for id, file in enumerate(files)
    ]
    opposite = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], dtype=np.float32)
    collection = Collection(detections, opposite, [detection.photo for detection in detections], [], [], 0, 0, [])
    write_embeddings(tmp_path, collection, ["npz"])
    write_dogs(tmp_path, collection, np.array([0, 0, 0, 0]))
    write_similarity(tmp_path, collection)
    formulas = ("=", "+", "-", "@", "\t", "\r")
    for name, texts in (("dogs.csv", ("key", "file", "name")), ("similarity.csv", ("dog", "other_dog"))):
        with (tmp_path / name).open(newline="", encoding=ENCODING) as file:
            rows = list(csv.DictReader(file))
        assert not [row[text] for row in rows for text in texts if row[text].startswith(formulas)]
    assert _pairs(tmp_path)[f"'{files[0]}#0", f"'{files[1]}#0"] == -1  # a number stays one
    with (tmp_path / "dogs.csv").open(newline="", encoding=ENCODING) as file:
        assert next(csv.DictReader(file))["x1"] == "-1.0"
    read = read_embeddings(tmp_path / "embeddings.npz")
    assert (read.keys, read.labels.tolist()) == (files, [file.split("/")[0] for file in files])


def test_a_table_of_an_earlier_version_without_the_mark_is_read(tmp_path: Path) -> None:
    write_embeddings(tmp_path, COLLECTION, ["npz"])
    write_dogs(tmp_path, COLLECTION, np.array([0, 0, -1]))
    table = tmp_path / "dogs.csv"
    table.write_text(table.read_text(ENCODING), "utf-8")
    assert read_embeddings(tmp_path / "embeddings.npz").labels.tolist() == ["Rex"] * 4
