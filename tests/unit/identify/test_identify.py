"""``identify`` from a folder to its files, with the tiny pipeline."""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from immich_dog_plugin.errors import MissingPackageError, OutputError
from immich_dog_plugin.identify.identify import Options, Result, require_packages
from immich_dog_plugin.parallel import PhotoWorkers
from immich_dog_plugin.pipeline import Dog
from immich_dog_plugin.pyramid import Pyramid

from .conftest import CountingPipeline, WritePhoto

Run = Callable[..., Result]


def _failures(result: Result) -> dict[str, str]:
    return {failure.key: failure.reason for failure in result.collection.failures}


def test_a_folder_gives_every_file_it_promises(run: Run, write_photo: WritePhoto, tmp_path: Path) -> None:
    write_photo("Rex/a.png", shade=1)
    write_photo("Rex/b.png", shade=2)
    write_photo("none.png", dogs=0)
    result = run(Options(formats=["npz", "npy", "pkl"]))
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "identify.sqlite", "report.html", "debug", "embeddings.npz", "embeddings.npy", "embeddings.keys.json",
        "embeddings.pkl", "dogs.csv", "similarity.csv",
    }  # fmt: skip
    debug = {path.relative_to(out / "debug").as_posix() for path in out.rglob("debug/**/*.jpg")}
    assert debug == {"Rex/a.png.debug.jpg", "Rex/b.png.debug.jpg", "none.png.debug.jpg"}
    assert [detection.key for detection in result.collection.detections] == ["Rex/a.png#0", "Rex/b.png#0"]
    assert [photo.files for photo in result.collection.without_dog] == [("none.png",)]


def test_a_second_run_computes_nothing_and_writes_the_same(
    run: Run, write_photo: WritePhoto, pipeline: CountingPipeline, tmp_path: Path
) -> None:
    for number in range(4):
        write_photo(f"{number}.png", shade=number)
    run()
    tables = {name: (tmp_path / "out" / name).read_bytes() for name in ("dogs.csv", "similarity.csv")}
    assert pipeline.calls == 4
    again = run()
    assert (pipeline.calls, again.collection.computed) == (4, 0)
    assert tables == {name: (tmp_path / "out" / name).read_bytes() for name in tables}


def test_an_interrupted_run_continues(run: Run, write_photo: WritePhoto, pipeline: CountingPipeline) -> None:
    for number in range(4):
        write_photo(f"{number}.png", shade=number)
    find = pipeline._pipeline

    def interrupted(photo: Pyramid, min_score: float | None = None) -> list[Dog]:
        if pipeline.calls == 3:
            raise KeyboardInterrupt
        return find(photo, min_score)

    pipeline._pipeline = interrupted  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        run(Options(workers=1))
    pipeline._pipeline, pipeline.calls = find, 0
    result = run()
    assert pipeline.calls == 2
    assert len(result.collection.photos) == 4


def test_identical_files_are_computed_once_and_each_has_its_key(
    run: Run, write_photo: WritePhoto, pipeline: CountingPipeline, tmp_path: Path
) -> None:
    write_photo("a.png")
    write_photo("copy/b.png")
    result = run()
    assert pipeline.calls == 1
    assert [detection.keys for detection in result.collection.detections] == [("a.png#0", "copy/b.png#0")]
    with np.load(tmp_path / "out" / "embeddings.npz") as archive:
        np.testing.assert_array_equal(archive["a.png#0"], archive["copy/b.png#0"])


def test_a_smaller_copy_is_no_photo_of_its_own_and_is_named(
    run: Run, write_photo: WritePhoto, photos: Path, tmp_path: Path
) -> None:
    original = write_photo("Rex/a.png", shade=1)
    write_photo("Rex/b.png", shade=2)
    small = Image.open(original).convert("RGB").resize((128, 96))
    small.save(photos / "0.webp")  # comes first, and is none the less the copy
    small.save(photos / "Rex" / "small.jpg", quality=70)
    result = run()
    collection = result.collection
    assert [(photo.files, sorted(photo.copies), photo.name) for photo in collection.photos] == [
        (("Rex/a.png",), ["0.webp", "Rex/small.jpg"], "Rex"),
        (("Rex/b.png",), [], "Rex"),
    ]
    assert [detection.key for detection in collection.detections] == ["Rex/a.png#0", "Rex/b.png#0"]
    assert (collection.files, collection.contents) == (4, 4)
    report = (tmp_path / "out" / "report.html").read_text()
    assert "<td>0.webp, Rex/small.jpg</td>" in report
    assert run().collection.photos == collection.photos


def test_a_photo_moved_to_another_name_is_known_and_its_old_debug_picture_goes(
    run: Run, write_photo: WritePhoto, pipeline: CountingPipeline, tmp_path: Path
) -> None:
    path = write_photo("Rex/a.png")
    write_photo("b.png", shade=9)
    run()
    path.rename(path.with_name("renamed.png"))
    run()
    assert pipeline.calls == 2
    names = {path.name for path in (tmp_path / "out" / "debug" / "Rex").iterdir()}
    assert names == {"renamed.png.debug.jpg"}


def test_another_least_score_is_computed_anew(run: Run, write_photo: WritePhoto, pipeline: CountingPipeline) -> None:
    write_photo("a.png")
    run()
    run(Options(min_score=0.9))
    run(Options(min_score=0.9))
    assert pipeline.calls == 2


def test_bad_files_are_reported_and_the_others_still_run(run: Run, write_photo: WritePhoto, photos: Path) -> None:
    good = write_photo("good.png")
    (photos / "empty.jpg").touch()
    (photos / "text.jpg").write_text("no image")
    (photos / "truncated.png").write_bytes(good.read_bytes()[:200])
    (photos / "broken link.jpg").symlink_to(photos / "nowhere.jpg")
    (photos / "folder.jpg").mkdir()
    result = run()
    assert len(result.collection.detections) == 1
    reasons = _failures(result)
    assert set(reasons) == {"empty.jpg", "text.jpg", "truncated.png", "broken link.jpg"}
    for key, words in {"empty": "empty", "text": "not an image", "truncated": "damaged", "broken": "link"}.items():
        assert any(name.startswith(key) and words in reason for name, reason in reasons.items()), reasons


def test_a_photo_whose_end_is_missing_is_used_and_noted(run: Run, write_photo: WritePhoto, photos: Path) -> None:
    file = write_photo("cut.png")
    Image.open(file).save(photos / "cut.jpg", quality=95)
    file.unlink()
    content = (photos / "cut.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(content[:-2])
    result = run()
    assert len(result.collection.detections) == 1
    assert "its last bytes are missing; it was used" in _failures(result)["cut.jpg"]


def test_a_photo_that_vanishes_during_the_run_is_reported(
    run: Run, write_photo: WritePhoto, pipeline: CountingPipeline
) -> None:
    write_photo("a.png", shade=1)
    gone = write_photo("b.png", shade=2)
    find = pipeline._pipeline

    def unlinking(photo: Pyramid, min_score: float | None = None) -> list[Dog]:
        gone.unlink()
        return find(photo, min_score)

    pipeline._pipeline = unlinking  # type: ignore[assignment]
    assert "disappeared" in _failures(run(Options(workers=1)))["b.png"]


def test_a_photo_the_pipeline_stumbles_over_is_reported_and_tried_again(
    run: Run, write_photo: WritePhoto, pipeline: CountingPipeline
) -> None:
    write_photo("a.png")
    find = pipeline._pipeline

    def failing(photo: Pyramid, min_score: float | None = None) -> list[Dog]:
        raise RuntimeError("out of memory")

    pipeline._pipeline = failing  # type: ignore[assignment]
    assert "out of memory" in _failures(run())["a.png"]
    pipeline._pipeline = find
    assert not _failures(run())


def test_a_full_disk_stops_the_run_and_keeps_what_is_done(
    run: Run, write_photo: WritePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write_photo(f"{number}.png", shade=number)
    real, written = Path.write_bytes, [0]

    def full(path: Path, content: bytes) -> int:
        written[0] += 1
        if written[0] == 3:
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="disk is full"):
        run()
    monkeypatch.setattr(Path, "write_bytes", real)
    assert run().collection.computed == 0


def test_a_marked_photo_is_left_out_until_retry_and_then_read_alone(
    run: Run, write_photo: WritePhoto, pipeline: CountingPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photo("a.png", shade=1)
    run()
    digest = hashlib.sha256(write_photo("b.png", shade=2).read_bytes()).hexdigest()
    write_photo("c.png", shade=3)
    with closing(sqlite3.connect(tmp_path / "out" / "identify.sqlite")) as store, store:
        store.execute("INSERT INTO reading VALUES (?, 'b.png')", (digest,))
    assert "being read when an earlier run died" in _failures(run())["b.png"]
    assert pipeline.calls == 2
    asked: list[bool] = []
    room = PhotoWorkers.room

    def asking(workers: PhotoWorkers, megapixels: float, *, alone: bool = False) -> AbstractContextManager[None]:
        asked.append(alone)
        return room(workers, megapixels, alone=alone)

    monkeypatch.setattr(PhotoWorkers, "room", asking)
    assert not _failures(run(Options(retry=True)))
    assert (pipeline.calls, asked) == (3, [True])
    assert not _failures(run())


def test_the_number_of_workers_shows_in_nothing(
    run: Run, write_photo: WritePhoto, photos: Path, tmp_path: Path, pipeline: CountingPipeline
) -> None:
    for number in range(12):
        write_photo(f"Rex/{number}.png", dogs=number % 3, shade=number)
    for number in range(4):  # each beside the photo that it is a copy of, and in work at the same time
        write_photo(f"Rex/{number} copy.png", dogs=number % 3, shade=number)
        write_photo(f"other/{number}.png", dogs=number % 3, shade=number)
    (photos / "Rex" / "5a.png").write_bytes(b"no image")
    (photos / "Rex" / "5b.png").write_bytes(b"no image")
    (photos / "Rex" / "6a.jpg").touch()

    def outputs() -> dict[str, object]:
        out = tmp_path / "out"
        files: dict[str, object] = {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in out.rglob("*.*")
            if path.is_file() and path.suffix in (".csv", ".npy", ".json", ".jpg")
        }
        with closing(sqlite3.connect(out / "identify.sqlite")) as store:
            files |= {table: store.execute(f"SELECT * FROM {table}").fetchall() for table in ("photos", "dogs")}
            files["drawn"] = store.execute("SELECT * FROM drawn ORDER BY key").fetchall()
        files["page"] = re.sub(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}", "", (out / "report.html").read_text())
        return files

    results, written = [], []
    for workers in (1, 3):
        pipeline.calls = 0
        results.append(run(Options(formats=["npy"], workers=workers)))
        assert pipeline.calls == 12 + 2 * 4  # each content once, and turned two ways where there is no dog
        written.append(outputs())
        shutil.rmtree(tmp_path / "out")
    assert len(written[0]) == 5 + 20 + 3
    assert written[0].keys() == written[1].keys()
    for name in written[0]:
        assert written[0][name] == written[1][name], name
    assert _failures(results[0]) == _failures(results[1])
    assert set(_failures(results[0])) == {"Rex/5a.png", "Rex/5b.png", "Rex/6a.jpg"}


def test_photos_are_worked_on_at_once(run: Run, write_photo: WritePhoto, pipeline: CountingPipeline) -> None:
    for number in range(6):
        write_photo(f"{number}.png", shade=number)
    find, together = pipeline._pipeline, threading.Barrier(3, timeout=20)

    def waiting(photo: Pyramid, min_score: float | None = None) -> list[Dog]:
        together.wait()
        return find(photo, min_score)

    pipeline._pipeline = waiting  # type: ignore[assignment]
    assert not _failures(run(Options(workers=3)))


def test_photos_of_similar_names_each_have_a_debug_picture(run: Run, write_photo: WritePhoto, tmp_path: Path) -> None:
    names = {"a.png", "a.png.jpg/b.png", "same.png", "same.png.jpg", f"{'long' * 62}.png"}
    for shade, name in enumerate(sorted(names)):
        write_photo(name, shade=shade)
    result = run()
    assert (len(result.collection.photos), _failures(result)) == (5, {})
    debug = tmp_path / "out" / "debug"
    pictures = {path.relative_to(debug).as_posix(): path.read_bytes() for path in debug.rglob("*.debug.jpg")}
    assert len(set(pictures.values())) == 5
    assert {f"{name}.debug.jpg" for name in names if "long" not in name} < set(pictures)


@pytest.mark.parametrize("photo", ["a.png", f"{chr(1) * 100}/a.png"])
def test_a_name_that_the_debug_picture_cannot_have_is_reported_and_every_dog_counts(
    run: Run, write_photo: WritePhoto, tmp_path: Path, photo: str
) -> None:
    write_photo(photo, shade=1)
    write_photo("b.png", shade=2)
    (tmp_path / "out" / "debug" / "a.png.debug.jpg").mkdir(parents=True)
    result = run()
    assert len(result.collection.detections) == 2
    (reason,) = _failures(result).values()
    assert "debug picture cannot be written" in reason
    assert (tmp_path / "out" / "debug" / "b.png.debug.jpg").is_file()


def test_the_name_goes_to_the_largest_dog_only(run: Run, write_photo: WritePhoto) -> None:
    write_photo("Rex/a.png", dogs=2)
    names = [detection.name for detection in run().collection.detections]
    assert sorted(names, key=str) == [None, "Rex"]


def test_one_photo_under_two_names_is_pointed_out(run: Run, write_photo: WritePhoto, tmp_path: Path) -> None:
    write_photo("Bella/a.png")
    write_photo("Rex/a.png")
    assert [photo.files for photo in run().collection.conflicts] == [("Bella/a.png", "Rex/a.png")]
    assert "One photo under two names" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("dogs", [0, 1, 2])
def test_tiny_folders_give_a_report(run: Run, write_photo: WritePhoto, tmp_path: Path, dogs: int) -> None:
    write_photo("a.png", dogs=dogs)
    assert len(run().collection.detections) == dogs
    assert (tmp_path / "out" / "report.html").read_text().endswith("</html>\n")


def test_dogs_of_one_photo_share_no_group_though_they_look_the_same(run: Run, write_photo: WritePhoto) -> None:
    write_photo("a.png", dogs=3)
    assert run().groups.tolist() == [-1, -1, -1]


def test_the_table_of_dogs_agrees_with_the_result(run: Run, write_photo: WritePhoto, tmp_path: Path) -> None:
    for number in range(5):
        write_photo(f"{number}.png", shade=number)
    result = run()
    with (tmp_path / "out" / "dogs.csv").open(newline="") as file:
        groups = [int(row["group"]) for row in csv.DictReader(file)]
    assert groups == (result.groups + 1).tolist() == [1] * 5


def test_file_names_cannot_put_anything_into_the_report(run: Run, write_photo: WritePhoto, tmp_path: Path) -> None:
    write_photo('<script>alert(1)<i x="y" onerror=alert(2)>.png')
    (tmp_path / "photos" / "<img src=x>.jpg").touch()
    run()
    report = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in report
    assert "<img src=x>" not in report
    assert "&lt;img src=x&gt;.jpg" in report


def test_the_report_needs_nothing_from_outside(run: Run, write_photo: WritePhoto, tmp_path: Path) -> None:
    write_photo("a.png", shade=1)
    write_photo("b.png", shade=2)
    write_photo("none.png", dogs=0)
    run()
    report = (tmp_path / "out" / "report.html").read_text()
    references = re.findall(r"""(?:src|href)=["']?([^"'\s>]{1,12})|url\(""", report)
    assert references
    assert all(reference.startswith(("data:image/", "#")) for reference in references)
    assert "http" not in report.replace("http-equiv", "")


def test_the_report_numbers_the_dogs_of_a_photo_as_their_keys_do(
    run: Run, write_photo: WritePhoto, tmp_path: Path
) -> None:
    write_photo("a.png", dogs=2)
    detections = run().collection.detections
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", (tmp_path / "out" / "report.html").read_text(), re.DOTALL)
    shown = {re.sub(r"<[^>]*>|\s", "", caption) for caption in captions}
    assert shown == {detection.key for detection in detections} == {"a.png#0", "a.png#1"}


def test_the_report_says_how_much_of_a_long_list_it_shows(
    run: Run, write_photo: WritePhoto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("immich_dog_plugin.identify.report._MAX_GROUP_PICTURES", 3)
    for number in range(7):
        write_photo(f"{number}.png", shade=number)
    run()
    assert "3 of 7 photos, evenly spread, are shown here" in (tmp_path / "out" / "report.html").read_text()


def test_missing_packages_are_named_before_the_work_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match="pip install jinja2"):
        require_packages()
