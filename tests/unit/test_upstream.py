"""Fetching a pinned release, with a small repository of our own in place of Immich's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import upstream
from harness.upstream import UpstreamError, checkout


def git(repository: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", *identity, "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write_requirement(source: Path, requires: str) -> None:
    (source / "pyproject.toml").write_text(f'[project]\nname = "immich-ml"\nrequires-python = "{requires}"\n')


@pytest.fixture
def installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A repository with the tag v9.9.9, pinned; what would be installed from is kept in this list."""
    repository = tmp_path / "repository"
    (repository / "machine-learning" / "immich_ml").mkdir(parents=True)
    (repository / "machine-learning" / "immich_ml" / "main.py").write_text("# main\n")
    write_requirement(repository / "machine-learning", ">=3.10,<4.0")
    (repository / "web").mkdir()
    (repository / "web" / "large.js").write_text("// not for us\n")
    git(repository, "init", "--quiet")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "release")
    git(repository, "tag", "v9.9.9")
    installed: list[Path] = []
    monkeypatch.setattr(upstream, "REPOSITORY", repository.as_uri())
    monkeypatch.setattr(upstream, "VENDOR", tmp_path / "vendor")
    monkeypatch.setattr(upstream, "COMMITS", {"v9.9.9": git(repository, "rev-parse", "HEAD")})
    monkeypatch.setattr(upstream, "_install", lambda source, environment: installed.append(source))
    return installed


def test_only_the_service_of_the_release_is_checked_out(installs: list[Path]) -> None:
    release = checkout("v9.9.9")
    assert (release.source / "immich_ml" / "main.py").read_text() == "# main\n"
    assert not (release.source.parent / "web").exists()
    assert installs == [release.source]


def test_a_second_call_does_nothing(installs: list[Path]) -> None:
    first = checkout("v9.9.9")
    (first.source / "kept").touch()
    assert checkout("v9.9.9") == first
    assert (first.source / "kept").exists()
    assert len(installs) == 1


def test_a_checkout_that_was_interrupted_is_made_again(installs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: Path, environment: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(upstream, "_install", fail)
        with pytest.raises(KeyboardInterrupt):
            checkout("v9.9.9")
    checkout("v9.9.9")
    assert len(installs) == 1


def test_a_tag_at_another_commit_than_the_pinned_is_refused(
    installs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "COMMITS", {"v9.9.9": "0" * 40})
    with pytest.raises(UpstreamError, match=f"not at {'0' * 40}"):
        checkout("v9.9.9")
    assert installs == []


def test_a_repository_that_cannot_be_reached_is_named(
    installs: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(upstream, "REPOSITORY", (tmp_path / "nowhere").as_uri())
    with pytest.raises(UpstreamError, match=r"(?s)Immich v9\.9\.9 cannot be had.*nowhere"):
        checkout("v9.9.9")


def test_a_release_that_is_not_pinned_is_refused_with_those_that_are() -> None:
    with pytest.raises(UpstreamError, match=r"Name one of v1\.131\.0, .*, v3\.0\.3, or add it to .*upstream\.py"):
        checkout("v0.0.1")


@pytest.mark.parametrize(("requires", "asked"), [(">=3.11,<4.0", sys.executable), (">=3.99", ">=3.99")])
def test_a_release_is_installed_with_this_python_or_else_with_one_that_it_runs_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requires: str, asked: str
) -> None:
    commands: list[Sequence[str]] = []
    monkeypatch.setattr(upstream, "run", lambda command, *_, **__: commands.append(command))
    write_requirement(tmp_path, requires)
    upstream._install(tmp_path, tmp_path / "environment")
    (command,) = commands
    assert command[command.index("--python") + 1] == asked


def test_of_two_at_once_the_second_finds_what_the_first_has_installed(installs: list[Path]) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(checkout, ["v9.9.9", "v9.9.9"])
    assert first == second
    assert len(installs) == 1
