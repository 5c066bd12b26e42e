from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from immich_dog_plugin import patching
from immich_dog_plugin.cli import main
from immich_dog_plugin.errors import PatchError
from immich_dog_plugin.patching import State
from immich_dog_plugin.unified_diff import parse
from tests.immich_trees import patch_files, write_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "machine-learning", patching.TWO_WAVES)


@pytest.fixture(params=patching.FAMILIES, ids=[family.patch for family in patching.FAMILIES])
def any_tree(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_tree(tmp_path / "machine-learning", request.param)


def snapshot(tree: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in tree.rglob("*") if file.is_file()}


@pytest.mark.parametrize("path", [".", "immich_ml", ".."])
def test_a_tree_is_found_from_the_package_its_parent_and_the_checkout(tree: Path, path: str) -> None:
    inspection = patching.inspect((tree / path).resolve())
    assert inspection.root == tree
    assert inspection.family.releases == "v1.131 to v3.2"
    assert inspection.state is State.APPLIES


def test_a_tree_is_found_from_inside_it(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "immich_ml")
    assert patching.inspect(Path()).root == tree


def test_checking_changes_nothing(tree: Path) -> None:
    before = snapshot(tree)
    patching.inspect(tree)
    assert snapshot(tree) == before


def test_applying_adds_the_task_the_type_the_registry_and_the_levels(tree: Path) -> None:
    assert patching.apply(tree)
    assert 'DOG_IDENTIFICATION = "dog-identification"' in (tree / "immich_ml/schemas.py").read_text()
    assert 'KEYPOINT = "keypoint"' in (tree / "immich_ml/schemas.py").read_text()
    assert 'entry_points(group="immich_ml.models")' in (tree / "immich_ml/models/__init__.py").read_text()
    assert "while with_deps:" in (tree / "immich_ml/main.py").read_text()


def test_applying_to_v3_3_adds_the_task_the_type_and_the_plugins_entries(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, patching.PIPELINE)
    assert patching.inspect(tree).family.releases == "v3.3 and newer"
    assert patching.apply(tree)
    assert 'DOG_IDENTIFICATION = "dog-identification"' in (tree / "immich_ml/schemas.py").read_text()
    assert 'KEYPOINT = "keypoint"' in (tree / "immich_ml/schemas.py").read_text()
    assert 'entry_points(group="immich_ml.entries")' in (tree / "immich_ml/main.py").read_text()
    assert "while with_deps:" not in (tree / "immich_ml/main.py").read_text()


def test_applying_twice_changes_nothing(any_tree: Path) -> None:
    tree = any_tree
    assert patching.apply(tree)
    patched = snapshot(tree)
    assert patching.inspect(tree).state is State.APPLIED
    assert not patching.apply(tree)
    assert snapshot(tree) == patched


def test_reverting_what_is_not_patched_changes_nothing(tree: Path) -> None:
    before = snapshot(tree)
    assert not patching.revert(tree)
    assert snapshot(tree) == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda content: content, id="as released"),
        pytest.param(lambda content: content.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda content: content.removesuffix(b"\n"), id="no line end at the end"),
        pytest.param(lambda content: b"\xef\xbb\xbf# \xff\xfe\n" + content, id="byte order mark and no UTF-8"),
        pytest.param(lambda content: b"# more\n" * 500 + content + b"\n\n\n", id="at other lines"),
        pytest.param(
            lambda content: content.replace(b"# something else", b"# form feed \f, \x1c"), id="odd line breaks"
        ),
    ],
)
def test_reverting_restores_every_byte(any_tree: Path, change: Any) -> None:
    tree = any_tree
    for file, content in snapshot(tree).items():
        file.write_bytes(change(content))
    before = snapshot(tree)
    assert patching.apply(tree)
    patched = [file for file, content in snapshot(tree).items() if content != before[file]]
    assert {file.relative_to(tree).as_posix() for file in patched} == {
        diff.path for diff in patch_files(patching.find_family(tree))
    }
    assert patching.revert(tree)
    assert snapshot(tree) == before


def test_a_patched_file_keeps_its_line_ends(tree: Path) -> None:
    for file, content in snapshot(tree).items():
        file.write_bytes(content.replace(b"\n", b"\r\n"))
    patching.apply(tree)
    for content in snapshot(tree).values():
        assert content.count(b"\n") == content.count(b"\r\n")


def test_a_patched_file_keeps_its_mode(tree: Path) -> None:
    file = tree / "immich_ml/main.py"
    file.chmod(0o640)
    patching.apply(tree)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_changed_line_is_shown_beside_the_expected_one_and_no_file_is_touched(tree: Path) -> None:
    main_py = tree / "immich_ml/main.py"
    main_py.write_text(main_py.read_text().replace("    if with_deps:", "    if with_deps is not None:"))
    before = snapshot(tree)
    with pytest.raises(PatchError) as caught:
        patching.apply(tree)
    message = str(caught.value)
    assert "immich_ml/main.py, hunk 1: its lines are not there" in message
    assert "|     if with_deps:\n" in message
    assert "3 |     if with_deps is not None:\n" in message
    assert "schemas.py" not in message
    assert snapshot(tree) == before


def test_lines_that_are_there_twice_are_not_guessed_at(tree: Path) -> None:
    schemas = tree / "immich_ml/schemas.py"
    schemas.write_text(schemas.read_text() + schemas.read_text())
    inspection = patching.inspect(tree)
    assert inspection.state is State.MISFIT
    assert {misfit.reason for misfit in inspection.misfits} == {"its lines are there more than once"}


def test_a_tree_that_is_patched_in_part_is_named_as_such(tree: Path) -> None:
    original = (tree / "immich_ml/schemas.py").read_bytes()
    patching.apply(tree)
    (tree / "immich_ml/schemas.py").write_bytes(original)
    before = snapshot(tree)
    inspection = patching.inspect(tree)
    assert inspection.state is State.MISFIT
    assert {(misfit.path, misfit.reason) for misfit in inspection.misfits} == {
        ("immich_ml/main.py", "is in place already, while others are not"),
        ("immich_ml/models/__init__.py", "is in place already, while others are not"),
    }
    with pytest.raises(PatchError):
        patching.revert(tree)
    assert snapshot(tree) == before


def test_mixed_line_ends_are_refused_because_reverting_could_not_restore_them(tree: Path) -> None:
    main_py = tree / "immich_ml/main.py"
    main_py.write_bytes(b"# one\r\n" + main_py.read_bytes())
    (misfit,) = patching.inspect(tree).misfits
    assert "mixed line ends" in str(misfit)


def test_a_file_that_cannot_be_replaced_leaves_all_files_as_they_were(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(tree)
    replace = os.replace
    replaced: list[str] = []

    def replace_two(source: Path, target: Path) -> None:
        replaced.append(target.name)
        if len(replaced) == 3:
            raise PermissionError(errno.EACCES, "Permission denied", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_two)
    with pytest.raises(PatchError, match=r"schemas\.py cannot be written: Permission denied; the tree is as it was"):
        patching.apply(tree)
    assert replaced[:3] == ["main.py", "__init__.py", "schemas.py"]
    assert snapshot(tree) == before


def test_a_full_disk_leaves_all_files_as_they_were(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(tree)
    copymode = shutil.copymode

    def fill_the_disk(source: Path, target: Path) -> None:
        if source.name == "schemas.py":
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        copymode(source, target)

    monkeypatch.setattr(shutil, "copymode", fill_the_disk)
    with pytest.raises(PatchError, match=r"schemas\.py cannot be written: No space left on device"):
        patching.apply(tree)
    assert snapshot(tree) == before


def test_each_family_is_told_by_its_seam_alone(any_tree: Path) -> None:
    family = patching.find_family(any_tree)
    assert [other for other in patching.FAMILIES if other.has(any_tree)] == [family]
    (any_tree / "immich_ml" / family.seam[0]).write_text("# moved\n")
    with pytest.raises(PatchError, match="no release that is known"):
        patching.inspect(any_tree)


def test_a_release_before_v1_131_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "app" / "models").mkdir(parents=True)
    (tmp_path / "app" / "main.py").touch()
    with pytest.raises(PatchError, match=r"before v1\.131"):
        patching.inspect(tmp_path)


def test_seams_of_no_known_release_are_named(tree: Path) -> None:
    (tree / "immich_ml/models/__init__.py").write_text("")
    with pytest.raises(PatchError, match=r"(?s)no release that is known.*class PipelineRequest.*v3\.3 and newer"):
        patching.inspect(tree)


def test_a_missing_file_is_named(tree: Path) -> None:
    (tree / "immich_ml/schemas.py").unlink()
    with pytest.raises(PatchError, match=r"schemas\.py cannot be read: No such file"):
        patching.inspect(tree)


@pytest.mark.parametrize("path", ["no/such/folder", "."])
def test_what_is_no_tree_is_refused_with_a_hint_where_it_is_in_the_image(tmp_path: Path, path: str) -> None:
    with pytest.raises(PatchError, match="/usr/src"):
        patching.inspect(tmp_path / path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no file at all"),
        ("--- a/f\n+++ b/f\n", "a file without a hunk"),
        ("@@ -1 +1 @@\n-a\n+b\n", "a hunk before any file name"),
        ("--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n-b\n+c\n", "shorter than its header says"),
        ("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\nnoise\n", "unexpected line 'noise'"),
    ],
)
def test_a_damaged_patch_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PatchError, match=reason):
        parse(text)


def test_the_command_says_what_it_did(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for action in ("check", "apply", "apply", "check", "revert", "revert"):
        assert main(["patch", action, str(tree)]) == 0
        said.append(capsys.readouterr().out.strip().rpartition(": ")[2].rpartition(", ")[2])
    assert said == [
        "the patch applies",
        "patched",
        "nothing changed",
        "the patch is applied",
        "reverted",
        "nothing changed",
    ]


def test_the_command_exits_with_1_where_the_patch_does_not_fit_and_2_on_wrong_usage(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "immich_ml/main.py").write_text("# nothing that the patch knows\n")
    assert main(["patch", "check", str(tree)]) == 1
    assert "immich_ml/main.py, hunk 1: its lines are not there" in capsys.readouterr().out
    assert main(["patch", "apply", str(tree)]) == 1
    assert "nothing was changed" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["patch", "check"])
    assert caught.value.code == 2
