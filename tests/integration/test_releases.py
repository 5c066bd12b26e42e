"""A release's tree and environment: Immich's own tests there, and the plugin's command."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.compat.check import own_test_counts
from harness.upstream import Upstream


def test_immichs_own_tests_give_the_same_counts_with_the_patch(
    upstream: Upstream, patched_tree: Path, released_tree: Path, plugin: Path
) -> None:
    released = own_test_counts(upstream.python, released_tree, None)
    patched = own_test_counts(upstream.python, patched_tree, plugin)
    print(f"Immich {upstream.tag}: as released {released}, patched {patched}")
    assert released["passed"] > 80
    assert patched == released


def test_the_installed_plugin_patches_a_tree_with_nothing_but_what_immichs_environment_holds(
    upstream: Upstream, plugin: Path, tmp_path: Path
) -> None:
    tree = upstream.copy(tmp_path / "tree", patched=False)

    def patch(action: str) -> str:
        command = [str(upstream.python), "-m", "immich_dog_plugin", "patch", action, str(tree)]
        env = {"PYTHONPATH": str(plugin), "PATH": ""}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "the patch applies" in patch("check")
    assert "patched" in patch("apply")
    assert "the patch is applied" in patch("check")
    assert "nothing changed" in patch("apply")
    assert "reverted" in patch("revert")
    for file in (upstream.source / "immich_ml").rglob("*.py"):
        assert (tree / file.relative_to(upstream.source)).read_bytes() == file.read_bytes()
