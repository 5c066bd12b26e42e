from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin import dog_names
from immich_dog_plugin.dog_names import Names, can_name_a_dog, choose_names, contradicted
from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.scan import PhotoFile, Scan

SAME = 0.6  # cosine


@pytest.mark.parametrize(
    "folder",
    ["Rex", "Bella", "12", "0042", "dog 12", "mein Hund", "n02085620-Chihuahua", "Żółw 🐶", "Rex 2021",
     "img_rex", "Mia", "Bo", "a", "Rex's photos", "dogfacenet_1102"],
)  # fmt: skip
def test_a_dog_may_be_called_like_this(folder: str) -> None:
    assert can_name_a_dog(folder)


@pytest.mark.parametrize(
    "folder",
    ["2021", "1999", "2021-03", "2021_03_04", "20210304", "2021.03.04", "2021-03 Spain", "04.03.2021", "4-3-2021",
     "March", "march 2021", "03 März", "août", "DCIM", "100APPLE", "101MSDCF", "100_PANA", "Camera", "Camera Roll",
     "IMG_2041", "IMG", "DSC0001", "library", "upload", "admin", "thumbs", "Photos from 2023", "Fotos von 2023",
     "Photos de 2023", "Takeout", "Google Photos", "WhatsApp Images", "Screenshots", "New folder", "iCloud Photos",
     "3f0c2f0e-9a1b-4c3d-8e5f-0123456789ab", "3F0C2F0E9A1B4C3D", "1634567890123", " 2021 "],
)  # fmt: skip
def test_no_dog_is_called_like_this(folder: str) -> None:
    assert not can_name_a_dog(folder)


def scanned(*folders: str) -> Scan:
    return Scan([PhotoFile(Path(f"{name}/1.jpg"), f"{name}/1.jpg", name) for name in folders], [], [])


@pytest.mark.parametrize(
    ("names", "taken", "refused"),
    [
        ("auto", [None, None, "Rex"], ("2021", "2022")),
        ("folder", ["2021", "2022", "Rex"], ()),
        ("none", [None, None, None], ()),
    ],
)
def test_of_dates_and_one_dog_the_dog_is_named(names: Names, taken: list[str | None], refused: tuple[str, ...]) -> None:
    found = choose_names(scanned("2021", "2022", "Rex"), names)
    assert [photo.name for photo in found.scan.photos] == taken
    assert found.refused == refused


def test_a_month_alone_is_a_dog_and_several_are_months() -> None:
    assert choose_names(scanned("Rex", "June"), "auto").refused == ()
    assert choose_names(scanned("May", "June"), "auto").refused == ("May", "June")
    assert choose_names(scanned("2021", "June"), "auto").refused == ("2021", "June")


def photos_of(dogs: Sequence[int], spread: float = 0.45, alike: float = 0.0, seed: int = 0) -> FloatArray:
    """Embeddings of photos of ``dogs``: two of one dog are similar by about 0.83, or as much as ``alike`` adds."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(dogs) + 1, 64))
    centres[1] += alike * centres[0]
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    noise = random.normal(size=(len(dogs), 64)) / 8
    rows = centres[list(dogs)] + spread * noise
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def judged(embeddings: FloatArray, names: Sequence[str | None]) -> bool:
    return contradicted(embeddings, np.arange(len(names)), names, SAME)


@pytest.mark.parametrize("dogs", [2, 3, 20])
def test_names_that_are_dogs_are_believed(dogs: int) -> None:
    of = [dog for dog in range(dogs) for _ in range(6)]
    assert not judged(photos_of(of), [f"dog {dog}" for dog in of])


@pytest.mark.parametrize("dogs", [1, 2, 5, 20])
def test_names_that_are_trips_are_contradicted_by_what_is_seen(dogs: int) -> None:
    of = [photo % dogs for photo in range(120)]
    trips = [f"trip {photo // 30}" for photo in range(120)]
    assert judged(photos_of(of, seed=1) if dogs > 1 else photos_of([0, 1, *of])[2:], trips)


def test_names_drawn_by_lot_are_contradicted() -> None:
    of = [dog for dog in range(5) for _ in range(12)]
    assert judged(photos_of(of), [f"name {lot}" for lot in np.random.default_rng(3).integers(0, 5, 60)])


def test_two_look_alikes_among_other_dogs_contradict_nothing() -> None:
    of = [dog for dog in range(4) for _ in range(8)]
    embeddings = photos_of(of, alike=3.0)
    assert float((embeddings[:8] @ embeddings[8:16].T >= SAME).mean()) > 0.9  # nobody tells these two apart
    assert not judged(embeddings, [f"dog {dog}" for dog in of])


def test_one_wrong_photo_in_each_folder_contradicts_nothing() -> None:
    of = [dog for dog in range(3) for _ in range(6)]
    names = [f"dog {dog}" for dog in of]
    names[0], names[6], names[12] = names[6], names[12], names[0]
    assert not judged(photos_of(of), names)


def test_one_name_or_none_is_contradicted_by_nothing() -> None:
    embeddings = photos_of([0, 0, 0, 1])
    assert not judged(embeddings, ["Rex"] * 4)
    assert not judged(embeddings, [None] * 4)
    assert not judged(embeddings[:0], [])


def test_a_folder_for_each_photo_of_one_dog_is_contradicted_and_of_several_dogs_is_not() -> None:
    names = [f"album {number}" for number in range(6)]
    assert judged(photos_of([0] * 5 + [1]), names)
    assert not judged(photos_of(range(6)), names)


def test_two_dogs_of_one_photo_are_no_pair() -> None:
    embeddings = photos_of([0, 0, 1, 1])
    assert not contradicted(embeddings, np.array([0, 0, 1, 1]), ["Rex", "Bella", "Rex", "Bella"], SAME)


@pytest.mark.parametrize("block_rows", [1, 7, 256])
def test_blocks_of_any_size_judge_the_same(block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dog_names, "_BLOCK_ROWS", block_rows)
    of = [dog for dog in range(3) for _ in range(6)]
    assert not judged(photos_of(of), [f"dog {dog}" for dog in of])
    assert judged(photos_of(of), [f"trip {photo % 2}" for photo in range(18)])


def test_of_a_name_with_many_photos_evenly_spread_ones_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dog_names, "_PER_NAME", 3)
    rows, labels = dog_names._sample(["Rex", None, *["Bella"] * 9])
    assert rows.tolist() == [0, 2, 6, 10]
    assert labels.tolist() == [0, 1, 1, 1]
