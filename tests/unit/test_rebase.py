"""Taking a patch to a release that it does not fit, with small files of our own in place of Immich's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness import immich_source
from harness.rebase import __main__ as rebase
from harness.rebase import merging
from harness.rebase.__main__ import main
from immich_dog_plugin import patching
from immich_dog_plugin.errors import PatchError, UpstreamError
from immich_dog_plugin.unified_diff import apply_to, parse

OLD = """\
import asyncio

TASKS = (
    "faces",
    "search",
)


def answer(request):
    first(request)
    second(request)
    return request
"""
PATCH = """\
--- a/immich_ml/main.py
+++ b/immich_ml/main.py
@@ -3,2 +3,3 @@
 TASKS = (
+    "dogs",
     "faces",
@@ -10,3 +11,3 @@
     first(request)
-    second(request)
+    every(request)
     return request
"""
PATCHED = OLD.replace('    "faces",', '    "dogs",\n    "faces",').replace("second", "every")


def write(folder: Path, text: str) -> Path:
    (folder / "immich_ml").mkdir(parents=True, exist_ok=True)
    (folder / "immich_ml" / "main.py").write_bytes(text.encode())
    return folder


def propose(tmp_path: Path, new: str) -> merging.Proposal:
    return merging.propose(PATCH, write(tmp_path / "old", OLD), write(tmp_path / "new", new))


def patched_with(proposal: merging.Proposal, new: str) -> str:
    """What the proposed patch makes of the new release, held against its way back."""
    assert proposal.patch is not None
    (diff,) = parse(proposal.patch)
    patched = apply_to(new.encode(), diff)
    assert isinstance(patched, bytes)
    assert apply_to(patched, diff.reversed()) == new.encode()
    return patched.decode()


def test_the_test_patch_makes_what_it_says() -> None:
    (diff,) = parse(PATCH)
    assert apply_to(OLD.encode(), diff) == PATCHED.encode()


@pytest.mark.parametrize(
    ("change", "to"),
    [
        pytest.param("    return request", "    return dict(request)", id="a line below"),
        pytest.param("    first(request)", "    zeroth(request)", id="a line above"),
        pytest.param("TASKS = (", "TASKS: tuple[str, ...] = (", id="the line that it follows"),
        pytest.param('    "faces",', '    "pets",\n    "faces",', id="one more at the same place"),
    ],
)
def test_what_moved_around_a_hunk_is_taken_along(tmp_path: Path, change: str, to: str) -> None:
    new = OLD.replace(change, to)
    proposal = propose(tmp_path, new)
    assert not any(proposal.conflicts.values())
    assert proposal.touching == {"immich_ml/main.py": 1}
    assert patched_with(proposal, new) == PATCHED.replace(change, to)


def test_both_versions_of_a_moved_seam_are_shown_with_their_lines(tmp_path: Path) -> None:
    new = "# a licence\n" + OLD.replace("    return request", "    # more\n    return request, None")
    (seam,) = propose(tmp_path, new).seams
    assert (seam.path, seam.hunk) == ("immich_ml/main.py", 2)
    assert seam.before == ((10, "    first(request)"), (11, "    second(request)"), (12, "    return request"))
    assert seam.now == (
        (11, "    first(request)"),
        (12, "    second(request)"),
        (13, "    # more"),
        (14, "    return request, None"),
    )


def test_a_seam_that_was_rewritten_is_left_to_a_person(tmp_path: Path) -> None:
    proposal = propose(tmp_path, OLD.replace("    second(request)", "    for step in steps:\n        step(request)"))
    assert proposal.patch is None
    assert proposal.conflicts == {"immich_ml/main.py": 1}
    merged = proposal.files["immich_ml/main.py"]
    assert merging.has_conflicts(merged)
    for side in ("for step in steps:", "second(request)", "every(request)", '"dogs",'):
        assert side in merged


def test_a_seam_that_is_gone_is_shown_as_nothing(tmp_path: Path) -> None:
    begin = OLD.index("\n\ndef answer")
    (seam,) = propose(tmp_path, OLD[:begin]).seams
    assert seam.hunk == 2
    assert seam.now == ()


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    base = write(tmp_path / "old", OLD)
    (tmp_path / "new" / "immich_ml").mkdir(parents=True)
    proposal = merging.propose(PATCH, base, tmp_path / "new")
    assert proposal.patch is None
    assert proposal.faults == ("immich_ml/main.py is gone: look for what took its place",)


def test_a_proposal_that_is_no_python_is_refused(tmp_path: Path) -> None:
    new = write(tmp_path / "new", OLD)
    proposal = merging.finish(PATCH, new, {"immich_ml/main.py": PATCHED.replace("def answer", "answer")})
    assert proposal.patch is None
    assert "main.py would not be Python: line 10" in proposal.faults[0]


def test_a_place_that_is_there_twice_gets_as_much_context_as_it_takes(tmp_path: Path) -> None:
    twice = "def one():\n    a()\n    b()\n    c()\n\n\ndef two():\n    a()\n    b()\n    c()\n"
    wanted = twice[: twice.rindex("b()")] + "dog()\n    " + twice[twice.rindex("b()") :]
    text = merging.diff_that_applies("f.py", twice, wanted)
    assert text is not None
    (diff,) = parse(text)
    assert apply_to(twice.encode(), diff) == wanted.encode()
    assert len(diff.hunks[0].old) > 2


def test_a_patch_that_does_not_fit_its_base_is_not_rebased(tmp_path: Path) -> None:
    base, new = write(tmp_path / "old", OLD.replace("second", "third")), write(tmp_path / "new", OLD)
    with pytest.raises(PatchError, match=r"(?s)does not fit .*old.* either.*--base"):
        merging.propose(PATCH, base, new)


def test_converted_line_ends_are_named_instead_of_merged(tmp_path: Path) -> None:
    with pytest.raises(PatchError, match=r"main\.py has line ends that no release has"):
        propose(tmp_path, OLD.replace("second", "third").replace("\n", "\r\n"))


def test_a_tree_that_is_patched_is_not_rebased_to(tmp_path: Path) -> None:
    with pytest.raises(PatchError, match="is patched already"):
        propose(tmp_path, PATCHED)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command is called in, beside trees of the old and the new release; the patch is ours."""
    monkeypatch.setattr(patching, "patch_text", lambda family: PATCH)
    for name in ("old", "new"):
        tree = write(tmp_path / name, OLD)
        (tree / "immich_ml" / "models").mkdir()
        (tree / "immich_ml" / "models" / "__init__.py").write_text("def get_model_class():\n    return None\n")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_command_has_nothing_to_do_where_the_patch_fits(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["../new"]) == 0
    assert "immich-ml-v1.131-v3.2.patch fits ../new: nothing to rebase" in capsys.readouterr().out
    assert list(here.iterdir()) == []


def test_the_command_shows_what_moved_and_writes_a_patch_that_the_release_takes(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here.parent / "new", OLD.replace("    return request", "    return dict(request)"))
    assert main(["../new", "--base", "../old"]) == 0
    said = capsys.readouterr().out
    assert "immich_ml/main.py, hunk 2 of immich-ml-v1.131-v3.2.patch: its lines are not there" in said
    assert "12 |     return request\n" in said
    assert "12 |     return dict(request)\n" in said
    proposed = (here / "immich-ml-new.patch").read_text()
    monkeypatch.setattr(patching, "patch_text", lambda family: proposed)
    assert patching.inspect(here.parent / "new").state is patching.State.APPLIES


def test_the_command_writes_over_no_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here.parent / "new", OLD.replace("    return request", "    return dict(request)"))
    working = here / "immich-ml-new.patch"
    working.write_text("a working patch\n")
    assert main(["../new", "--base", "../old"]) == 1
    assert (
        "immich-ml-new.patch is there already. Move it away, or name another file with --out" in capsys.readouterr().err
    )
    assert working.read_text() == "a working patch\n"
    assert main(["../new", "--base", "../old", "--out", "other.patch"]) == 0
    assert (here / "other.patch").is_file()


def test_conflicts_are_written_decided_by_hand_and_made_into_the_patch(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write(
        here.parent / "new", OLD.replace("    second(request)", "    for step in steps:\n        step(request)")
    )
    before = (new / "immich_ml" / "main.py").read_bytes()
    assert main(["../new", "--base", "../old"]) == 1
    assert "Left to decide: 1 in immich_ml/main.py" in capsys.readouterr().out
    merged = here / "immich-ml-new.conflicts" / "immich_ml" / "main.py"
    again = ["../new", "--base", "../old", "--merged", "immich-ml-new.conflicts"]

    assert main(again) == 1
    assert "main.py still holds conflicts" in capsys.readouterr().err

    text = merged.read_text()
    begin, end = text.index("<<<<<<<"), text.index("\n", text.index(">>>>>>>")) + 1
    merged.write_text(f"{text[:begin]}    for step in all_steps:\n        step(request)\n{text[end:]}")
    assert main(again) == 0
    patch = (here / "immich-ml-new.patch").read_text()
    assert "-    for step in steps:\n+    for step in all_steps:\n" in patch
    assert '+    "dogs",' in patch
    assert (new / "immich_ml" / "main.py").read_bytes() == before


def test_seams_of_no_known_family_are_rebased_from_the_base_that_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here.parent / "new" / "immich_ml" / "models" / "__init__.py").write_text("# get_model_class moved away\n")
    assert main(["../new"]) == 1
    assert "no release that is known" in capsys.readouterr().err
    assert main(["../new", "--base", "../old"]) == 0


def test_without_git_the_command_says_so(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here.parent / "new", OLD.replace("    return request", "    return dict(request)"))
    monkeypatch.setattr(immich_source.shutil, "which", lambda name: None)
    assert main(["../new", "--base", "../old"]) == 1
    assert "git is not installed" in capsys.readouterr().err


def test_a_tag_is_cloned(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cloned: list[str] = []

    def clone(tag: str, folder: Path) -> str:
        cloned.append(tag)
        shutil.copytree(here.parent / ("old" if tag == "v3.0.3" else "new"), folder / "machine-learning")
        return "0" * 40

    write(here.parent / "new", OLD.replace("    return request", "    return dict(request)"))
    monkeypatch.setattr(rebase, "clone", clone)
    assert main(["v9.9.9"]) == 0
    assert cloned == ["v9.9.9", "v3.0.3"]
    assert (here / "immich-ml-v9.9.9.patch").is_file()


def test_a_tag_that_is_not_there_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository = (here / "no-repository").as_uri()
    with pytest.raises(UpstreamError, match=r"(?s)Immich v9\.9\.9 cannot be had.*Check the tag"):
        immich_source.clone("v9.9.9", here / "clone", repository)
