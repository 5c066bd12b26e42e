from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.errors import EvaluationError
from immich_dog_plugin.evaluation.embeddings_file import read_embeddings
from immich_dog_plugin.identify.collection import Collection, Detection, Photo
from immich_dog_plugin.identify.export import write_dogs, write_embeddings


def detection(id: int, file: str, number: int, name: str | None) -> Detection:
    return Detection(id, Photo(id, (file,), name), number, name, (0.0, 0.0, 9.0, 9.0), 0.9, "body")


def test_what_identify_wrote_is_read_with_the_names_of_its_largest_dogs(tmp_path: Path) -> None:
    detections = [
        detection(0, "Rex/a.png", 0, None),  # the surer of two dogs is not the larger
        detection(1, "Rex/a.png", 1, "Rex"),
        detection(2, "Bella/c.png", 0, "Bella"),
        detection(3, "d.png", 0, None),
    ]
    collection = Collection(detections, np.eye(4, dtype=np.float32), [], [], [], 4, 4, [])
    write_embeddings(tmp_path, collection, ["npz"])
    write_dogs(tmp_path, collection, np.full(4, -1))
    read = read_embeddings(tmp_path / "embeddings.npz")
    assert (read.keys, read.labels.tolist()) == (["Rex/a.png", "Bella/c.png"], ["Rex", "Bella"])
    assert read.groups.tolist() == read.keys
    assert read.embeddings.tolist() == np.eye(4)[[1, 2]].tolist()
    assert read.found.all()


def test_without_the_table_of_dogs_the_first_of_each_photo_has_the_folders_name(tmp_path: Path) -> None:
    arrays = {"Rex/1.jpg#0": [3.0, 4.0], "Rex/1.jpg#1": [1.0, 0.0], "2.jpg#0": [1.0, 0.0]}
    np.savez(tmp_path / "e.npz", **{key: np.array(row) for key, row in arrays.items()})
    read = read_embeddings(tmp_path / "e.npz")
    assert (read.keys, read.labels.tolist(), read.groups.tolist()) == (["Rex/1.jpg"], ["Rex"], ["Rex/1.jpg"])
    assert read.embeddings == pytest.approx(np.array([[0.6, 0.8]]))


def test_arrays_of_another_program_are_read_and_a_photo_without_a_group_is_its_own(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "e.npz",
        embeddings=np.eye(3) * 2,
        labels=np.array([7, 7, 8]),
        groups=np.array(["", "", "x"]),
        sessions=np.array(["monday", "", ""]),
    )
    read = read_embeddings(tmp_path / "e.npz")
    assert read.embeddings == pytest.approx(np.eye(3))
    assert read.labels.tolist() == ["7", "7", "8"]
    assert len(set(read.groups.tolist())) == 3
    assert read.sessions.tolist() == ["monday", "", ""]
    assert read.keys == ["0", "1", "2"]
    assert np.isnan(read.times).all()


def test_a_table_is_read_with_its_columns_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("dog,file,10,9,set,source_group\nrex,a.jpg,4,3,s,g\nbella,b.jpg,1,0,s,\n")
    read = read_embeddings(tmp_path / "e.csv")
    assert read.embeddings == pytest.approx(np.array([[0.6, 0.8], [0.0, 1.0]]))
    assert read.keys == ["a.jpg", "b.jpg"]
    assert read.sets.tolist() == ["s", "s"]
    assert read.groups[0] == "g"


def test_files_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    np.savez(tmp_path / "shape.npz", embeddings=np.zeros(3), labels=np.zeros(3))
    np.savez(tmp_path / "zero.npz", embeddings=np.array([[1.0, 0.0], [0.0, 0.0]]), labels=np.zeros(2))
    np.savez(tmp_path / "nan.npz", embeddings=np.array([[np.nan, 0.0]]), labels=np.zeros(1))
    np.savez(tmp_path / "labels.npz", embeddings=np.eye(2), labels=np.zeros(3))
    np.savez(tmp_path / "missing.npz", embeddings=np.eye(2))
    np.savez(tmp_path / "pickled.npz", embeddings=np.eye(1), labels=np.array([{}], dtype=object))
    np.savez(tmp_path / "nameless.npz", **{"1.jpg#0": np.ones(2)})
    (tmp_path / "text.npz").write_text("no zip")
    (tmp_path / "dogless.csv").write_text("0,1\n1,2\n")
    (tmp_path / "words.csv").write_text("dog,0\nrex,much\n")
    (tmp_path / "e.pkl").touch()
    for name, words in {
        "shape.npz": "have the shape",
        "zero.npz": "Row 1 of .* is zero",
        "nan.npz": "Row 0 of .* not finite",
        "labels.npz": "has 2 embeddings, but its labels",
        "missing.npz": "cannot be read",
        "pickled.npz": "cannot be read",
        "nameless.npz": "No embedding in .* has the name of a dog",
        "text.npz": "cannot be read",
        "dogless.csv": "lacks the column dog",
        "words.csv": "cannot be read",
        "e.pkl": "neither .npz nor .csv",
        "none.npz": "cannot be read",
    }.items():
        with pytest.raises(EvaluationError, match=words):
            read_embeddings(tmp_path / name)
