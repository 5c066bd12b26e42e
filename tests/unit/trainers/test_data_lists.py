from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from immich_dog_plugin.geometry import to_tensor
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.stages.embedder import embedder_input
from trainers.data import __main__ as command
from trainers.data.check import check
from trainers.data.entries import BREEDS, TRAIN, VAL, DataError, read_entries, write_entries
from trainers.data.identity import IdentityDataset
from trainers.data.layouts import SourcePhoto
from trainers.data.seen import Seen
from trainers.specs import RECOGNITION

from .drawn import drawn_photo, entry, write_photo

SMALL = RECOGNITION.input.model_copy(update={"side": 32})


def causes(train: list, val: list, measuring: tuple[Path, ...] = ()) -> dict[str, tuple[str, ...]]:
    seen = Seen([*(item.file_path for item in (*train, *val)), *measuring])
    return {finding.cause: finding.cases for finding in check(train, val, measuring, seen)}


def two_dogs(folder: Path, first_label: int, first_seed: int) -> list:
    """Two photos of each of two dogs."""
    return [
        entry(write_photo(folder / f"{first_seed + number}.png", first_seed + number), first_label + number // 2)
        for number in range(4)
    ]


def test_a_list_that_was_written_is_read_back_wherever_its_tree_lies(tmp_path: Path) -> None:
    entries = two_dogs(tmp_path / "photos", 0, 0)
    write_entries(tmp_path / "lists" / TRAIN, entries)
    assert read_entries(tmp_path / "lists" / TRAIN) == entries
    assert json.loads((tmp_path / "lists" / TRAIN).read_text())[0]["file_path"] == "../photos/0.png"
    shutil.copytree(tmp_path / "photos", tmp_path / "moved" / "photos")
    shutil.copytree(tmp_path / "lists", tmp_path / "moved" / "lists")
    assert read_entries(tmp_path / "moved" / "lists" / TRAIN)[0].file_path == tmp_path / "moved" / "photos" / "0.png"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"identity_label": "3"}, "identity_label"),
        ({"identity_label": 3.5}, "identity_label"),
        ({"licence": None}, "licence"),
        ({"breed": "Pug"}, "breed"),
    ],
)
def test_a_list_with_a_wrong_entry_says_which(tmp_path: Path, change: dict[str, object], says: str) -> None:
    row = json.loads(entry(tmp_path / "a.png", 1).model_dump_json())
    (tmp_path / TRAIN).write_text(json.dumps([row, row | change]))
    with pytest.raises(DataError, match=f"entry 1, {says}") as raised:
        read_entries(tmp_path / TRAIN)
    assert "python -m trainers.data" in raised.value.cure


def test_a_missing_list_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"identity_train.json is missing. Make it with: python -m trainers.data"):
        read_entries(tmp_path / TRAIN)


def test_sound_lists_have_no_finding(tmp_path: Path) -> None:
    assert causes(two_dogs(tmp_path, 0, 0), two_dogs(tmp_path, 2, 10)) == {}


def test_missing_and_damaged_photos_are_found(tmp_path: Path) -> None:
    train, val = two_dogs(tmp_path, 0, 0), two_dogs(tmp_path, 2, 10)
    train[0].file_path.unlink()
    val[3].file_path.write_bytes(val[3].file_path.read_bytes()[:100])  # a copy that broke off
    found = causes(train, val)
    assert found["photos are missing"] == (str(train[0].file_path),)
    (damaged,) = found["photos cannot be read"]
    assert str(val[3].file_path) in damaged
    assert len(found) == 2


def test_one_dog_under_two_labels_and_two_dogs_under_one_are_found(tmp_path: Path) -> None:
    train = two_dogs(tmp_path, 0, 0)
    relabelled = [train[0], train[1].model_copy(update={"identity_label": 1}), *train[2:]]
    found = causes(relabelled, [])
    assert found["a dog has several labels"] == ("('drawn', 'dog0'): 0, 1",)
    assert found["a label stands for several dogs"] == ("1: ('drawn', 'dog0'), ('drawn', 'dog1')",)


def test_one_photo_under_two_labels_is_found_by_its_path_and_by_its_look(tmp_path: Path) -> None:
    train = two_dogs(tmp_path, 0, 0)
    again = entry(train[0].file_path, 1)
    assert causes([*train, again], [])["a photo is listed under several labels"] == (f"{train[0].file_path}: 0, 1",)
    copy = entry(write_photo(tmp_path / "smaller.png", drawn_photo(0, 48, 36)), 1)
    (pair,) = causes([*train, copy], [])["two photos of one picture have two labels: one dog counts as two"]
    assert pair == f"{train[0].file_path} and {copy.file_path}"


def test_a_dog_in_both_lists_is_found(tmp_path: Path) -> None:
    found = causes(two_dogs(tmp_path, 0, 0), two_dogs(tmp_path, 1, 10))
    assert found[f"dogs are in {TRAIN} and in {VAL}"] == ("label 1",)


@pytest.mark.parametrize("change", ["smaller", "mirrored", "darker"])
def test_a_copy_of_a_photo_across_the_split_is_found(tmp_path: Path, change: str) -> None:
    train = two_dogs(tmp_path, 0, 0)
    photo = {
        "smaller": drawn_photo(2, 56, 48),
        "mirrored": drawn_photo(2)[:, ::-1],
        "darker": (drawn_photo(2) * 0.7).astype(np.uint8),
    }[change]
    val = [*two_dogs(tmp_path, 2, 10), entry(write_photo(tmp_path / "copy.png", photo), 3)]
    (cases,) = causes(train, val).values()
    assert cases == (f"{train[2].file_path} and {tmp_path / 'copy.png'}",)
    assert list(causes(train, two_dogs(tmp_path, 2, 10), (tmp_path / "copy.png",)).values()) == [cases]


def test_dogs_with_one_photo_and_dogs_of_one_encounter_are_noted(tmp_path: Path) -> None:
    train = two_dogs(tmp_path, 0, 0)[:3]
    train[:2] = [item.model_copy(update={"source_group": "walk"}) for item in train[:2]]
    seen = Seen([item.file_path for item in train])
    one, same = check(train, [], [], seen)
    assert (one.cases, one.fatal) == (("drawn: dog1",), False)
    assert (same.cases, same.fatal) == (("drawn: dog0",), False)
    assert str(one).startswith("Note: dogs have one photo (1)\n    drawn: dog1\n    Cure: ")


def test_a_dog_keeps_its_split_when_other_dogs_come() -> None:
    photos = [SourcePhoto(Path(f"{n}.jpg"), "mine", f"dog {n // 3}", str(n)) for n in range(600)]
    train, val, _ = command.split(photos, 0.15)
    assert {item.dog for item in train}.isdisjoint(item.dog for item in val)
    assert 15 <= len({item.dog for item in val}) <= 45
    few, few_val, _ = command.split(photos[:300], 0.15)
    assert {item.dog for item in few} <= {item.dog for item in train}
    assert {item.dog for item in few_val} <= {item.dog for item in val}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["trainers.data", *map(str, arguments)])
    command.main()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Two training dogs, one validation dog, one test dog and two breeds, drawn."""
    rows = ["split,set,dog,file,width,height,source_group"]
    for seed, (split, dog) in enumerate([("train", "a"), ("train", "b"), ("val", "c"), ("test", "d")] * 3):
        write_photo(tmp_path / "data" / "identity" / "mpdd" / dog / f"{seed}.png", seed)
        rows.append(f"{split},mpdd,mpdd/{dog},mpdd/{dog}/{seed}.png,80,60,c{seed}")
    (tmp_path / "data" / "identity" / "index.csv").write_text("\n".join(rows))
    write_photo(tmp_path / "data" / "photos" / "home.png", 20)
    for seed, breed in enumerate(("n02085620-Chihuahua", "n02086646-Blenheim_spaniel") * 2, 30):
        write_photo(tmp_path / "breeds" / breed / f"{seed}.png", seed)
    return tmp_path


def test_the_command_writes_three_lists_split_by_dog(
    sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(sources / "breeds" / "n02085620-Chihuahua" / "copy.png", drawn_photo(20, 224, 224))
    options = ["--data", sources / "data", "--out", sources / "lists"]
    run(
        monkeypatch,
        *("--source", "shared", sources / "data", "--source", "stanford", sources / "breeds"),
        *options,
    )
    train, val, breeds = (read_entries(sources / "lists" / name) for name in (TRAIN, VAL, BREEDS))
    assert sorted({(item.dog, item.identity_label) for item in train}) == [("mpdd/a", 0), ("mpdd/b", 1)]
    assert {(item.dog, item.identity_label) for item in val} == {("mpdd/c", 2)}
    assert {(item.identity_label, item.breed_label) for item in breeds} == {
        (None, "Chihuahua"),
        (None, "Blenheim spaniel"),
    }
    assert (len(train), len(val), len(breeds)) == (6, 3, 4)
    printed = capsys.readouterr().out
    assert "Left out: 1 breed photos" in printed
    assert "mpdd: 6 photos, 2 dogs, 0 breeds, 6 groups (CC BY 4.0)" in printed
    run(monkeypatch, "--check", *options)
    assert "Checked: nothing is wrong" in capsys.readouterr().out


def test_the_command_writes_nothing_while_a_dog_that_measures_is_among_those_that_train(
    sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(sources / "mine" / "Rex" / "1.png", drawn_photo(3, 160, 120))  # a test dog's photo
    write_photo(sources / "mine" / "Rex" / "2.png", 50)
    source = ["--source", "folders", sources / "mine", "--val-share", "0"]
    with pytest.raises(SystemExit, match="Mend them"):
        run(monkeypatch, *source, "--data", sources / "data", "--out", sources / "lists")
    assert "ERROR: photos that train look like photos that choose or measure" in capsys.readouterr().out
    assert not (sources / "lists").exists()


def test_an_unknown_layout_lists_the_known_ones(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"no layout 'zip'.*shared, folders, dogfacenet, mpdd, stanford, csv"):
        run(monkeypatch, "--source", "zip", sources, "--data", sources / "data", "--out", sources / "lists")


def test_the_data_set_gives_each_photo_as_service_reads_it_with_contiguous_labels(tmp_path: Path) -> None:
    entries = [*two_dogs(tmp_path, 40, 0), *two_dogs(tmp_path, 7, 10)]
    photos = IdentityDataset(entries, SMALL)
    assert photos.labels == [2, 2, 3, 3, 0, 0, 1, 1]
    assert photos.groups == [item.source_group for item in entries]
    assert photos.breeds == [None] * 8
    image, label = photos[4]
    served = embedder_input(read_photo(entries[4].file_path), SMALL)
    torch.testing.assert_close(image, torch.from_numpy(to_tensor([served], SMALL.mean, SMALL.std)[0]))
    assert label == 0


def test_the_data_set_refuses_photos_of_unknown_dogs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no identity_label") as raised:
        IdentityDataset([entry(tmp_path / "a.png", None)], SMALL)
    assert "breed_train.json" in raised.value.cure
