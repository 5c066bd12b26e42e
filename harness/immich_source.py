"""Immich's own sources of a release: what there is to patch, cloned with git."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from immich_dog_plugin.errors import UpstreamError

REPOSITORY = "https://github.com/immich-app/immich"


def clone(tag: str, folder: Path, repository: str = REPOSITORY) -> str:
    """Put ``machine-learning`` of a release, and nothing else of Immich, into ``folder``; returns its commit.

    Raises:
        UpstreamError: git is not installed, there is no such tag, or no way to the repository.
    """
    git = require_git()
    what, cure = f"Immich {tag}", f"Check the tag, and the way to {repository}"
    partial = ["--depth", "1", "--filter=blob:none", "--sparse", "--no-checkout"]
    run([git, "clone", "--quiet", *partial, "--branch", tag, repository, str(folder)], what, cure)
    run([git, "-C", str(folder), "sparse-checkout", "set", "machine-learning"], what, cure)
    run([git, "-C", str(folder), "checkout", "--quiet"], what, cure)
    return run([git, "-C", str(folder), "rev-parse", "HEAD"], what, cure).strip()


def require_git() -> str:
    git = shutil.which("git")
    if git is None:
        raise UpstreamError("git is not installed", "Install it; it fetches and merges Immich's sources")
    return git


def run(
    command: Sequence[str], what: str, cure: str, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a program that fetches something; returns what it printed.

    Args:
        what: what is fetched, and ``cure``: what to do where it cannot be.

    Raises:
        UpstreamError: it failed; with the end of what it said.
    """
    # An activated environment would be taken for the target.
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment = {**inherited, "GIT_TERMINAL_PROMPT": "0", **(env or {})}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise UpstreamError(f"{what} cannot be had: `{' '.join(command)}` failed:\n{reason}", cure)
    return done.stdout
