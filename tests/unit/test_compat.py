"""The table of releases: what counts as passed, what is kept, and what is written. No release is fetched here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from harness.compat import __main__ as compat
from harness.compat.check import contents, own_test_counts
from harness.compat.outcome import Outcome, age
from harness.compat.table import as_json, as_markdown
from harness.upstream import COMMITS, Upstream
from immich_dog_plugin.errors import UpstreamError

GOOD = Outcome(
    name="v3.0.3",
    commit=COMMITS["v3.0.3"],
    python="3.11.2",
    family="v1.131 to v3.2",
    reverts=True,
    tests_released={"passed": 98, "skipped": 3},
    tests_patched={"passed": 98, "skipped": 3},
    orders={"detection, keypoint, recognition": "", "recognition, keypoint, detection": ""},
    own_answers={"faces": "", "no JSON": ""},
)


def changed(**values: object) -> Outcome:
    return GOOD.model_copy(update=values)


def test_a_release_passes_where_all_of_it_is_as_it_should_be() -> None:
    assert GOOD.passed


@pytest.mark.parametrize(
    "values",
    [
        {"misfit": "immich_ml/main.py, hunk 1: its lines are not there"},
        {"reverts": False},
        {"tests_patched": {"passed": 97, "failed": 1, "skipped": 3}},
        {"tests_released": {}, "tests_patched": {}},
        {"orders": GOOD.orders | {"detection, keypoint, recognition": "HTTP 400"}},
        {"orders": {}},
        {"own_answers": GOOD.own_answers | {"faces": "(200, b'[1]') instead of (200, b'[]')"}},
        {"own_answers": {}},
        {"faults": ["the answers: the service did not answer within 90 s"]},
    ],
    ids=", ".join,
)
def test_a_release_fails_by_each_thing_alone(values: dict[str, object]) -> None:
    assert not changed(**values).passed


def test_only_a_tree_may_come_without_immichs_own_tests() -> None:
    assert changed(commit=None, tests_released={}, tests_patched={}).passed


def test_releases_are_sorted_by_number_and_trees_come_last() -> None:
    names = ["v3.3", "tree", "v1.131.10", "v1.131.9", "v2.0.1"]
    assert sorted(names, key=age) == ["v1.131.9", "v1.131.10", "v2.0.1", "v3.3", "tree"]
    assert sorted(COMMITS, key=age) == list(COMMITS)


def test_the_table_has_a_row_a_release_and_says_how_it_was_made() -> None:
    text = as_markdown([GOOD], "2026-11-21")
    assert "`python -m harness.compat` on 2026-11-21: 1 of 1 releases passed." in text
    assert "| v3.0.3 (cd308ad93) | 3.11.2 | v1.131 to v3.2 | yes | 98 / 0 / 3 | 2 of 2 | 2 of 2 |" in text
    assert "What is not as it should be" not in text


def test_the_table_shows_what_is_wrong_and_where() -> None:
    bad = changed(
        reverts=False,
        tests_patched={"passed": 97, "failed": 1, "skipped": 3},
        orders=GOOD.orders | {"detection, keypoint, recognition": "HTTP 400: depends on"},
        own_answers=GOOD.own_answers | {"faces": "(200, b'[1]') instead of (200, b'[]')"},
        note="text recognition is a stand-in",
    )
    text = as_markdown([bad, Outcome(name="v9.9.9", commit="0" * 40, faults=["Immich v9.9.9 cannot be had"])], "-")
    assert "0 of 2 releases passed." in text
    assert "| **no** | **98 / 0 / 3 -> 97 / 1 / 3** | **1 of 2** | **1 of 2** |" in text
    assert '- order "detection, keypoint, recognition": HTTP 400: depends on' in text
    assert "- request \"faces\": (200, b'[1]') instead of (200, b'[]')" in text
    assert "**v3.0.3**: text recognition is a stand-in" in text
    assert "- Immich v9.9.9 cannot be had" in text


def test_the_json_can_be_read_back() -> None:
    read = json.loads(as_json([GOOD], "2026-11-21"))
    assert [Outcome.model_validate(release) for release in read["releases"]] == [GOOD]


def test_a_misfit_is_shown_and_nothing_else_is_claimed() -> None:
    text = as_markdown([Outcome(name="v9.9.9", python="3.12.0", family="v3.3 and newer", misfit="main.py: gone")], "-")
    assert "| v9.9.9 | 3.12.0 | does not fit | - | - | - | - |" in text
    assert "```\nmain.py: gone\n```" in text


def test_own_tests_are_counted_in_the_tree_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_main.py").write_text(
        "import pytest\n\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "@pytest.mark.skip\ndef test_other(): pass\n"
    )
    assert own_test_counts(Path(sys.executable), tmp_path, None) == {"passed": 1, "failed": 1, "skipped": 1}


def test_tests_that_cannot_be_collected_are_no_zero(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pytest counts nothing"):
        own_test_counts(Path(sys.executable), tmp_path, None)


def test_compiled_files_are_no_part_of_a_tree(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "main.pyc").write_bytes(b"1")
    (tmp_path / "main.py").write_bytes(b"2")
    assert contents(tmp_path) == {Path("main.py"): b"2"}


# The command, with a check of our own in place of the real one


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The releases that are checked; what is kept and written lies in an empty folder."""
    names: list[str] = []

    def run_check(upstream: Upstream) -> Outcome:
        names.append(upstream.tag)
        return changed(name=upstream.tag, commit=None, seconds=1)

    monkeypatch.setattr(compat, "run_check", run_check)
    monkeypatch.setattr(compat, "checkout", lambda tag: Upstream(tag, tmp_path, Path(sys.executable)))
    monkeypatch.setattr(compat, "COMMITS", {tag: COMMITS[tag] for tag in ("v2.7.5", "v3.0.3")})
    monkeypatch.setattr(compat, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(compat, "TABLE", tmp_path / "COMPATIBILITY")
    return names


def test_all_releases_are_checked_and_the_table_is_written(checked: list[str], tmp_path: Path) -> None:
    assert compat.main([]) == 0
    assert checked == ["v2.7.5", "v3.0.3"]
    assert "2 of 2 releases passed." in (tmp_path / "COMPATIBILITY.md").read_text()
    read = json.loads((tmp_path / "COMPATIBILITY.json").read_text())
    assert [release["commit"] for release in read["releases"]] == [COMMITS["v2.7.5"], COMMITS["v3.0.3"]]


def test_named_releases_are_printed_and_the_committed_table_stays(
    checked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compat.main(["v2.7.5"]) == 0
    assert "| v2.7.5 (95e57a24c) |" in capsys.readouterr().out
    assert not (tmp_path / "COMPATIBILITY.md").exists()


def test_a_second_run_goes_on_where_the_first_ended(checked: list[str]) -> None:
    assert compat.main(["v2.7.5"]) == 0
    assert compat.main([]) == 0
    assert checked == ["v2.7.5", "v3.0.3"]
    assert compat.main(["--fresh"]) == 0
    assert checked == ["v2.7.5", "v3.0.3", "v2.7.5", "v3.0.3"]


def test_what_was_kept_counts_no_more_when_the_plugin_changed(
    checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compat.main(["v2.7.5"]) == 0
    monkeypatch.setattr(compat, "plugin_state", lambda: "another")
    assert compat.main(["v2.7.5"]) == 0
    assert checked == ["v2.7.5", "v2.7.5"]


def test_a_release_that_cannot_be_had_does_not_stop_the_others_and_is_tried_again(
    checked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = compat.checkout

    def fail_once(tag: str) -> Upstream:
        if tag == "v2.7.5":
            raise UpstreamError("Immich v2.7.5 cannot be had", "Check the way there")
        return checkout(tag)

    with monkeypatch.context() as offline:
        offline.setattr(compat, "checkout", fail_once)
        assert compat.main([]) == 1
    assert checked == ["v3.0.3"]
    assert "Immich v2.7.5 cannot be had" in (tmp_path / "COMPATIBILITY.md").read_text()
    assert compat.main([]) == 0
    assert checked == ["v3.0.3", "v2.7.5"]


def test_a_tree_is_checked_beside_the_releases_and_stays_in_the_table(checked: list[str], tmp_path: Path) -> None:
    tree = ["--tree", str(tmp_path), "--python", sys.executable, "--name", "v3.3", "--note", "put together"]
    assert compat.main(tree) == 0
    assert compat.main([]) == 0
    assert checked == ["v3.3", "v2.7.5", "v3.0.3"]
    table = (tmp_path / "COMPATIBILITY.md").read_text()
    assert "2 of 2 releases passed, and 1 of 1 trees that are no release." in table
    assert "**v3.3**: put together" in table


def test_an_unknown_release_is_refused_with_where_to_pin_it(
    checked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert compat.main(["v0.0.1"]) == 1
    assert "harness/upstream.py" in capsys.readouterr().err
    assert checked == []
