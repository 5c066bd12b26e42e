from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from immich_dog_plugin.cli import main
from immich_dog_plugin.geometry import FloatArray, ImageArray
from immich_dog_plugin.identify.turned import MIN_FACE_SCORE, MIN_SCORE, look
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import Dog
from immich_dog_plugin.pyramid import Pyramid

POINTS = np.float32([[20, 12, 0.9], [30, 12, 0.9], [15, 5, 0.9], [35, 5, 0.9], [25, 20, 0.9]])
DOG = Dog(np.float32([10, 4, 40, 34]), 0.9, POINTS, "body", np.float32([1]))
PHOTO = np.zeros((120, 80, 3), dtype=np.uint8)  # as it lies; upright it is 120 wide


def with_mark(photo: ImageArray, box: FloatArray) -> ImageArray:
    x1, y1, x2, y2 = box.astype(int)
    marked = photo.copy()
    marked[y1:y2, x1:x2] = 255
    return marked


def seen_only(quarters: int, dogs: list[Dog]) -> Callable[[Pyramid, float | None], list[Dog]]:
    """A pipeline that finds its dogs only in the photo turned by so many quarters (numpy's, counter-clockwise)."""
    marked = np.rot90(mark(), quarters)

    def find(photo: Pyramid, min_score: float | None) -> list[Dog]:
        pixels = photo.level(1, 1, least=1)[0]
        same = pixels.shape == marked.shape and np.array_equal(pixels, marked)
        return [dog for dog in dogs if same and dog.score >= (min_score or 0)]

    return find


def mark() -> ImageArray:
    photo = PHOTO.copy()
    photo[:10, :20] = 200  # one corner, so that every turn is another picture
    return photo


@pytest.mark.parametrize(("quarters", "turned"), [(1, 270), (3, 90)])
def test_a_dog_of_a_photo_on_its_side_is_found_where_it_lies(quarters: int, turned: int) -> None:
    found = look(seen_only(quarters, [DOG]), Pyramid(mark()), 0.35)
    assert found.turned == turned
    (dog,) = found.dogs
    # The dog's box painted where it is found turns into the dog's box of the turned look, and its points with it.
    upright = np.rot90(with_mark(PHOTO, dog.box), quarters)
    assert np.array_equal(upright, with_mark(np.rot90(PHOTO, quarters).copy(), DOG.box))
    assert dog.keypoints is not None
    for (x, y, score), (x_up, y_up, _) in zip(dog.keypoints.tolist(), POINTS.tolist(), strict=True):
        assert score == pytest.approx(0.9)
        pixel = np.zeros(PHOTO.shape[:2])
        pixel[int(y - 0.5 if quarters == 3 else y), int(x - 0.5 if quarters == 1 else x)] = 1
        ((y_found, x_found),) = np.argwhere(np.rot90(pixel, quarters))
        assert (x_found, y_found) == pytest.approx((x_up, y_up), abs=1)


def test_an_upright_dog_is_not_looked_for_turned() -> None:
    looks: list[Pyramid] = []

    def find(photo: Pyramid, min_score: float | None) -> list[Dog]:
        looks.append(photo)
        return [DOG]

    found = look(find, Pyramid(mark()), 0.35)
    assert (found.dogs, found.turned, len(looks)) == ([DOG], 0, 1)


@pytest.mark.parametrize(
    "dog",
    [
        pytest.param(replace(DOG, score=MIN_SCORE - 0.01), id="an unsure dog"),
        pytest.param(replace(DOG, keypoints=None), id="no face"),
        pytest.param(
            replace(DOG, keypoints=np.float32([*POINTS[:1], [30, 12, MIN_FACE_SCORE - 0.01], *POINTS[2:]])),
            id="an unsure eye",
        ),
    ],
)
def test_a_turned_look_asks_for_more(dog: Dog) -> None:
    found = look(seen_only(1, [dog]), Pyramid(mark()), 0.1)
    assert (found.dogs, found.turned) == ([], 0)


def test_boxes_are_in_pixels_of_a_large_photo() -> None:
    large = np.repeat(np.repeat(mark(), 40, axis=0), 40, axis=1)  # 3200 x 4800: looked at on a coarser level

    def find(photo: Pyramid, min_score: float | None) -> list[Dog]:
        return [DOG] if photo.width > photo.height else []

    (dog,) = look(find, Pyramid(large), 0.35).dogs
    span = 4800 / Pyramid(large).overview(1440).shape[0]
    assert span > 1
    assert dog.box[2:] - dog.box[:2] == pytest.approx(span * np.array([30, 30]))


def test_the_report_and_the_table_say_which_photo_was_turned(
    photos: Path,
    write_photo: Callable[..., Path],
    tmp_path: Path,
    tiny_package: ModelPackage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from immich_dog_plugin.identify import analyse

    write_photo("a.png", shade=1)
    write_photo("b.png", shade=2)
    upright = analyse.look

    def first_is_turned(find: object, photo: Pyramid, min_score: float) -> object:
        found = upright(find, photo, min_score)  # type: ignore[arg-type]
        return replace(found, turned=90)

    monkeypatch.setattr(analyse, "look", first_is_turned)
    assert main(["identify", str(photos), "--out", str(tmp_path / "out"), "--model", str(tiny_package.path)]) == 0
    assert "2 photos showed a dog only after a quarter turn" in capsys.readouterr().out
    with (tmp_path / "out" / "dogs.csv").open(encoding="utf-8-sig", newline="") as file:
        assert {row["turned"] for row in csv.DictReader(file)} == {"90"}
    assert "turned by 90°" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
