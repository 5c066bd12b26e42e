from __future__ import annotations

from pathlib import Path

import pytest

from trainers.breeds import unseen
from trainers.data.entries import DataError, Entry
from trainers.data.found import key
from trainers.weaknesses import Breed, breeds_section


def entries_of(folder: Path, breeds: dict[str, int]) -> list[Entry]:
    """So many photos of each breed."""
    entries = []
    for breed, count in breeds.items():
        for number in range(count):
            file = folder / f"{breed}_{number}.jpg"
            file.write_bytes(f"{breed} {number}".encode())
            entries.append(
                Entry(
                    file_path=file,
                    identity_label=None,
                    breed_label=breed,
                    source_group=file.name,
                    set="stanford",
                    licence="none",
                )
            )
    return entries


def test_photos_that_trained_are_left_out_and_every_breed_has_at_most_its_count(tmp_path: Path) -> None:
    entries = entries_of(tmp_path, {"pug": 5, "boxer": 3, "beagle": 1})
    trained = {key(entry.file_path) for entry in entries if entry.file_path.name in ("pug_0.jpg", "beagle_0.jpg")}
    photos = unseen(entries, trained, 2)
    assert {breed: len(files) for breed, files in photos.items()} == {"boxer": 2, "pug": 2}
    assert not trained & {key(file) for files in photos.values() for file in files}


def test_where_every_photo_trained_the_error_says_so(tmp_path: Path) -> None:
    entries = entries_of(tmp_path, {"pug": 2})
    with pytest.raises(DataError, match="Every breed photo was trained on"):
        unseen(entries, {key(entry.file_path) for entry in entries}, 2)


def test_the_section_names_the_worst_breeds_first_and_sums_over_all() -> None:
    good: Breed = {"photos": 10, "found": 10, "faces": 10, "pairs": 45, "accepted": 0}
    bad: Breed = {"photos": 10, "found": 5, "faces": 1, "pairs": 10, "accepted": 5}
    section = breeds_section({"pug": good, "komondor": bad})
    assert "20 photos of 2 breeds" in section
    assert "| not found | 25.0% | komondor 50%, pug 0% |" in section
    assert "| no face seen | 26.7% | komondor 80%, pug 0% |" in section
    assert "| taken for one dog | 9.1% | komondor 50%, pug 0% |" in section
