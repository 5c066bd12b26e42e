"""Whether an image holds a release of Immich that the plugin was tested in, by what the image says of itself."""

from __future__ import annotations

import orjson
import pytest

from harness.compat.outcome import Outcome
from harness.upstream import COMMITS
from immich_dog_plugin import patching
from immich_dog_plugin.errors import DoubtfulInstallationError
from immich_dog_plugin.releases import COMMIT, TABLE, TAG, check_release, passed_releases


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An image that says nothing of itself; other variables may be set."""
    monkeypatch.delenv(TAG, raising=False)
    monkeypatch.delenv(COMMIT, raising=False)
    return monkeypatch


def test_the_passed_releases_are_those_that_passed_in_the_table_of_the_repository() -> None:
    outcomes = [Outcome(**release) for release in orjson.loads(patching.shipped_text(TABLE))["releases"]]
    assert passed_releases() == {
        outcome.name: outcome.commit for outcome in outcomes if outcome.passed and outcome.commit
    }
    assert set(passed_releases()) <= set(COMMITS)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"misfit": "main.py: line 3"},
        {"faults": ["no dependencies"]},
        {"orders": {"detection, keypoint, recognition": "HTTP 400"}},
        {"own_answers": {"faces": "another answer"}},
        {"orders": {}, "own_answers": {}},
        {"reverts": False},
        {"commit": None},
    ],
    ids=", ".join,
)
def test_a_release_that_did_not_pass_or_a_tree_that_is_none_does_not_count(
    spoilt: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {"name": "v2.0.0", "commit": "abc", "reverts": True, "orders": {"a": ""}, "own_answers": {"b": ""}}
    table = {"releases": [good, good | spoilt | {"name": "v2.1.0"}]}
    monkeypatch.setattr(patching, "shipped_text", lambda _: orjson.dumps(table).decode())
    assert passed_releases() == {"v2.0.0": "abc"}


@pytest.mark.parametrize("tag", ["v3.0.3", "main", None], ids=str)
def test_a_tested_release_is_known_by_its_commit_whatever_it_is_called(
    image: pytest.MonkeyPatch, tag: str | None
) -> None:
    if tag:
        image.setenv(TAG, tag)
    image.setenv(COMMIT, COMMITS["v3.0.3"])
    assert check_release() == "Immich v3.0.3, in which the plugin was tested"


def test_an_image_without_a_commit_is_known_by_its_tag(image: pytest.MonkeyPatch) -> None:
    image.setenv(TAG, "v2.7.5")
    assert check_release() == "Immich v2.7.5, in which the plugin was tested"


@pytest.mark.parametrize(
    ("tag", "tested"),
    [("v2.7.2", "v2.7.5"), ("v1.131.1", "v1.131.3"), ("v3.1.0", "v3.0.3"), ("v3.3.1", "v3.0.3"), ("main", "v3.0.3")],
)
def test_another_release_is_named_beside_the_nearest_that_was_tested_and_nobody_is_sent_back(
    image: pytest.MonkeyPatch, tag: str, tested: str
) -> None:
    image.setenv(TAG, tag)
    image.setenv(COMMIT, "0" * 40)
    with pytest.raises(
        DoubtfulInstallationError, match=rf"not tested in this release, Immich {tag}, but in {tested}\."
    ) as caught:
        check_release()
    assert "Do not go back to an older release of Immich than your server runs" in caught.value.cure


def test_a_tested_tag_on_another_commit_is_not_the_tested_release(image: pytest.MonkeyPatch) -> None:
    image.setenv(TAG, "v3.0.3")
    image.setenv(COMMIT, "0" * 40)
    with pytest.raises(DoubtfulInstallationError, match=f"calls itself Immich v3.0.3 and was built from {'0' * 40}"):
        check_release()


def test_an_image_that_says_nothing_of_itself_is_told_so(image: pytest.MonkeyPatch) -> None:
    with pytest.raises(DoubtfulInstallationError, match="does not say which release"):
        check_release()
