from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drawn_dogs import VIEWS, DrawnPhoto, draw_dog, draw_group, draw_scene, look_of, write_tree
from drawn_dogs.body import build_body
from drawn_dogs.coat import paint
from drawn_dogs.joints import POSES, Pose, Turn
from drawn_dogs.looks import NAMES
from drawn_dogs.shape import Array, Shape
from immich_dog_plugin.geometry import KEYPOINT_NAMES

SMALL = (160, 120)


@pytest.fixture(scope="module")
def sitting_dog() -> DrawnPhoto:
    return draw_dog(1, 0, size=SMALL)


def test_a_photo_is_the_same_each_time_it_is_drawn(sitting_dog: DrawnPhoto) -> None:
    np.testing.assert_array_equal(draw_dog(1, 0, size=SMALL).image, sitting_dog.image)


@pytest.mark.parametrize(("identity", "photo", "seed"), [(2, 0, 0), (1, 4, 0), (1, 0, 1)])
def test_another_dog_another_photo_or_another_seed_gives_another_picture(
    sitting_dog: DrawnPhoto, identity: int, photo: int, seed: int
) -> None:
    other = draw_dog(identity, photo, size=SMALL, seed=seed)
    assert np.abs(other.image.astype(int) - sitting_dog.image).mean() > 3


def test_a_photo_has_the_size_asked_for_and_one_dog_with_a_name(sitting_dog: DrawnPhoto) -> None:
    assert sitting_dog.image.shape == (120, 160, 3)
    assert sitting_dog.image.dtype == np.uint8
    assert sitting_dog.boxes.shape == (1, 4)
    assert sitting_dog.keypoints.shape == (1, len(KEYPOINT_NAMES), 3)
    assert sitting_dog.names == (look_of(1).name,)


@pytest.mark.parametrize("photo", range(len(VIEWS)))
def test_every_view_shows_a_dog_of_some_size_with_its_visible_points_in_its_box(photo: int) -> None:
    drawn = draw_dog(0, photo, size=SMALL)
    assert drawn.view == VIEWS[photo]
    left, top, right, bottom = drawn.boxes[0]
    assert 0 <= left < right <= 160
    assert 0 <= top < bottom <= 120
    assert (right - left) * (bottom - top) > 0.08 * 160 * 120
    visible = drawn.keypoints[0][drawn.keypoints[0, :, 2] == 1]
    assert len(visible) >= 2
    assert (visible[:, :2] >= (left - 2, top - 2)).all()
    assert (visible[:, :2] <= (right + 2, bottom + 2)).all()


@pytest.mark.parametrize("photo", range(4))
def test_left_points_are_left_in_the_image_whichever_way_the_dog_faces(photo: int) -> None:
    points = dict(zip(KEYPOINT_NAMES, draw_dog(5, photo, size=SMALL).keypoints[0], strict=True))
    assert points["left_eye"][0] <= points["right_eye"][0]
    assert points["left_ear"][0] <= points["right_ear"][0]


def test_the_nose_point_lies_on_the_dark_nose_of_a_white_dog() -> None:
    drawn = draw_dog(9, 3, size=(320, 240))
    x, y, seen = drawn.keypoints[0, KEYPOINT_NAMES.index("nose")]
    assert seen == 1
    patch = drawn.image[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3]
    left, top, right, bottom = drawn.boxes[0].astype(int)
    assert patch.mean() < 0.6 * np.median(drawn.image[top:bottom, left:right])


def test_the_same_spot_of_the_body_has_the_same_colour_in_every_pose() -> None:
    spots = _colours_along_the_back(3, "stand", Turn())
    assert spots.std() > 0.1, "a spotted back, else this proves nothing"
    for pose in POSES:
        turned = _colours_along_the_back(3, pose, Turn(yaw=0.4, pitch=0.1, mouth=1.0, stride=0.5))
        assert np.corrcoef(spots, turned)[0, 1] > 0.95


def _colours_along_the_back(identity: int, pose: Pose, turn: Turn) -> Array:
    """Brightness of the coat at places fixed in the frame of the trunk's first part."""
    look = look_of(identity)
    body, rest = build_body(look, pose, turn), build_body(look, "stand", Turn())
    shape, rest_shape = Shape(body.parts), Shape(rest.parts)
    along = np.linspace(0.2, 0.8, 40)[:, None]
    places = shape.centre[0] + along * shape.length[0] * shape.axes[0, 1]
    places = (places + 0.9 * shape.radii[0, 0] * shape.axes[0, 0]).astype(np.float32)
    only_trunk = np.zeros((len(places), len(body.parts)), np.float32)
    only_trunk[:, 0] = 1
    carried = shape.carry_to(rest_shape, places, only_trunk)
    return paint(look, rest, carried, only_trunk, shape.names).mean(axis=1)


def test_two_dogs_of_one_photo_stand_side_by_side() -> None:
    drawn = draw_group([0, 1], 0, size=SMALL)
    assert drawn.names == (look_of(0).name, look_of(1).name)
    assert drawn.keypoints.shape == (2, len(KEYPOINT_NAMES), 3)
    centres = (drawn.boxes[:, 0] + drawn.boxes[:, 2]) / 2
    assert abs(centres[0] - centres[1]) > 16


@pytest.mark.parametrize("photo", range(3))
def test_a_scene_holds_no_dog_and_is_no_flat_colour(photo: int) -> None:
    drawn = draw_scene(photo, size=SMALL)
    assert drawn.boxes.shape == (0, 4)
    assert drawn.keypoints.shape == (0, len(KEYPOINT_NAMES), 3)
    assert drawn.names == ()
    assert drawn.image.std() > 5


def test_no_two_of_the_first_dogs_look_alike() -> None:
    looks = [look_of(identity) for identity in range(36)]
    assert len({(look.coat, look.pattern, look.ears, look.muzzle) for look in looks}) == 36
    assert len({look.name for look in looks}) == 36
    assert [look.name for look in looks[:24]] == list(NAMES)


def test_the_place_tells_nothing_about_the_dog() -> None:
    places = {identity: {draw_dog(identity, n, size=(32, 24)).place for n in range(5)} for identity in range(2)}
    assert all(len(seen) >= 2 for seen in places.values())
    assert places[0] & places[1]


def test_a_negative_number_is_no_dog() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        look_of(-1)


def test_a_tree_has_one_folder_for_each_dog_and_one_without(tmp_path: Path) -> None:
    paths = write_tree(tmp_path, dogs=1, photos=1, scenes=1, size=SMALL)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["amber/1.jpg", "no-dog/1.jpg"]
    assert all(path.stat().st_size > 1000 for path in paths)
