"""Immich's ML service as it was released: its sources at a pinned commit and its locked dependencies.

``python -m harness.upstream v3.0.3`` puts both under ``vendor/``, which is not part of the repository; a second call
does nothing. One of the dependencies, insightface, comes as source, so a C++ compiler is needed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from immich_dog_plugin import patching
from immich_dog_plugin.errors import DogPluginError

REPOSITORY = "https://github.com/immich-app/immich"
# A tag can be moved; the commit says what was tested.
COMMITS = {
    "v2.7.5": "95e57a24cb11b4bcff39b770ae2d81443434c210",
    "v3.0.3": "cd308ad93093735135f99d85ce6980c8e93df231",
}
ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "vendor"


class UpstreamError(DogPluginError):
    """Immich's sources or their dependencies cannot be had here."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One release.

    Attributes:
        tag: its name, such as ``v3.0.3``.
        source: the folder ``machine-learning`` of the checkout, never changed.
        python: the interpreter of the environment that holds the release's locked dependencies, and not the plugin.
    """

    tag: str
    source: Path
    python: Path

    def copy(self, folder: Path, *, patched: bool) -> Path:
        """A copy of the sources to run or test, with the plugin's patch or as released; returns ``folder``."""
        shutil.copytree(self.source, folder, ignore=shutil.ignore_patterns("__pycache__"))
        if patched:
            patching.apply(folder)
        return folder


def checkout(tag: str) -> Upstream:
    """The release ``tag``, cloned and installed unless it is there already.

    Raises:
        UpstreamError: unknown tag, no way to the repository or the package index, or another commit behind the tag.
    """
    if tag not in COMMITS:
        raise UpstreamError(
            f"No commit is pinned for {tag}", f"Name one of {', '.join(COMMITS)}, or add it to {__file__}"
        )
    home = VENDOR / f"immich-{tag}"
    source, environment, complete = home / "source", home / "environment", home / "complete"
    upstream = Upstream(tag, source / "machine-learning", environment / "bin" / "python")
    state = f"{COMMITS[tag]} {sys.version_info.major}.{sys.version_info.minor}"
    if complete.is_file() and complete.read_text() == state:
        return upstream
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    _clone(tag, source)
    _install(upstream.source, environment)
    complete.write_text(state)
    return upstream


def install_plugin(folder: Path, python: Path) -> Path:
    """Build the plugin's wheel and install it, without its dependencies, into ``folder`` for use on ``PYTHONPATH``.

    The release's environment stays as it was, so that the service can be run with and without the plugin.
    """
    wheels = folder.with_name(f"{folder.name}-wheel")
    _run([uv(), "build", "--wheel", "--out-dir", str(wheels), "--python", sys.executable, str(ROOT)], "The wheel")
    (wheel,) = wheels.glob("*.whl")
    _run(
        [uv(), "pip", "install", "--no-deps", "--python", str(python), "--target", str(folder), str(wheel)],
        "The plugin",
    )
    return folder


def _clone(tag: str, source: Path) -> None:
    git = shutil.which("git")
    if git is None:
        raise UpstreamError("git is not installed", "Install it; it fetches Immich's sources")
    partial = ["--depth", "1", "--filter=blob:none", "--sparse", "--no-checkout"]
    _run([git, "clone", "--quiet", *partial, "--branch", tag, REPOSITORY, str(source)], f"Immich {tag}")
    _run([git, "-C", str(source), "sparse-checkout", "set", "machine-learning"], f"Immich {tag}")
    _run([git, "-C", str(source), "checkout", "--quiet"], f"Immich {tag}")
    commit = _run([git, "-C", str(source), "rev-parse", "HEAD"], f"Immich {tag}").strip()
    if commit != COMMITS[tag]:
        raise UpstreamError(
            f"Immich's tag {tag} is at {commit}, not at {COMMITS[tag]}", "Find out why before you trust it"
        )


def _install(source: Path, environment: Path) -> None:
    command = [
        uv(),
        "sync",
        "--frozen",
        "--no-install-project",
        "--no-default-groups",
        "--extra",
        "cpu",
        "--group",
        "test",
    ]
    command += ["--python", sys.executable, "--no-python-downloads"]
    _run(command, "Immich's locked dependencies", cwd=source, env={"UV_PROJECT_ENVIRONMENT": str(environment)})


def uv() -> str:
    try:
        from uv import find_uv_bin
    except ImportError:
        found = shutil.which("uv")
        if found is None:
            raise UpstreamError(
                "uv is not installed", "Install it with: pip install 'immich-dog-plugin[harness]'"
            ) from None
        return found
    return str(find_uv_bin())


def _run(command: Sequence[str], what: str, *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    # An activated environment would be taken for the target.
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment = {**inherited, "GIT_TERMINAL_PROMPT": "0", **(env or {})}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise UpstreamError(
            f"{what} cannot be had: `{' '.join(command)}` failed:\n{reason}",
            f"Check the way to {REPOSITORY} and to the package index, then run: python -m harness.upstream",
        )
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.upstream", description=__doc__)
    parser.add_argument("tags", nargs="*", metavar="TAG", help=f"default: {' '.join(COMMITS)}", default=list(COMMITS))
    try:
        for tag in parser.parse_args().tags:
            upstream = checkout(tag)
            print(f"Immich {tag}: {upstream.source}, run with {upstream.python}")
    except DogPluginError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
