"""Immich's ML service as it was released: its sources at a pinned commit and its locked dependencies.

``python -m harness.upstream v3.0.3`` puts both under ``vendor/``, which is not part of the repository; a second call
does nothing. One of the dependencies, insightface, comes as source, so a C++ compiler is needed.
"""

from __future__ import annotations

import argparse
import fcntl
import platform
import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

from harness.immich_source import REPOSITORY, clone, run
from immich_dog_plugin import patching
from immich_dog_plugin.errors import DogPluginError, UpstreamError

# The first release that the plugin knows, and the last of each minor. A tag can be moved: the commit says what was
# tested.
COMMITS = {
    "v1.131.0": "5b63b9fc8b58919bd16cb64b3c3a5b8deacfcffb",
    "v1.131.3": "00d3b8d83a648ae136d4ca34c28b82741bfe62bd",
    "v1.132.3": "02994883fe3f3972323bb6759d0170a4062f5236",
    "v1.133.1": "54bafccbf91d249f2d98575dd3a1f13453f0c478",
    "v1.134.0": "58ae77ec9204a2e43a8cb2f1fd27482af40d0891",
    "v1.135.3": "6563fa608a5a4414f40264b847e60928916fb986",
    "v1.136.0": "089085fcdbd748f8019797c0ff829508e295d4d0",
    "v1.137.3": "007ba1d9efdc571c87ca1553dd28dbbfe7eeee2f",
    "v1.138.1": "3d515f50729f7877d3c07a7b9849f73861e4a0a3",
    "v1.139.4": "b44d2a241d8b7132faf68f2545288c3590d7b482",
    "v1.140.1": "f15376a107f5cab7acca9ad8968afa6a0f9caaf2",
    "v1.141.1": "db0ea0f3a84863921ef6683650e75a953cbbf222",
    "v1.142.1": "859b2451bbc6ab1cfde75fcb8738048919c4c073",
    "v1.143.1": "f193c5a53f6448b22a708dd6e06026e675cc761b",
    "v1.144.1": "f1f8c8e7a37eead203912a95deac0712cd04f92c",
    "v2.0.1": "bb72d723e25fcf886ab7556d4a9d4b57fbfe36e6",
    "v2.1.0": "43eccca86a4b25deb132bda72ac4d846332f3e6d",
    "v2.2.3": "28eb1bc13cfd4642fe90fd8cf724ba7acf94f675",
    "v2.3.1": "edbdc14178b244e75d0c01c2d808b407d5547541",
    "v2.4.1": "50d7956c0770de5543c7b7da80ff2b9c29649720",
    "v2.5.6": "3be8e265cd5bd6ca921ff9e665e274c5de45caa0",
    "v2.6.3": "a2ff075e9a84cc44e0d5f7f6b639a456e73ad5c0",
    "v2.7.5": "95e57a24cb11b4bcff39b770ae2d81443434c210",
    "v3.0.3": "cd308ad93093735135f99d85ce6980c8e93df231",
}
ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "vendor"
CURE = f"Check the way to {REPOSITORY} and to the package index, then run: python -m harness.upstream TAG"


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
    with _alone_with(home):
        if complete.is_file() and complete.read_text() == _state(tag, upstream.source):
            return upstream
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        commit = clone(tag, source, REPOSITORY)
        if commit != COMMITS[tag]:
            raise UpstreamError(
                f"Immich's tag {tag} is at {commit}, not at {COMMITS[tag]}", "Find out why before you trust it"
            )
        _install(upstream.source, environment)
        complete.write_text(_state(tag, upstream.source))
    return upstream


@contextmanager
def _alone_with(home: Path) -> Iterator[None]:
    """One process at a time: a second one waits until the first has put the release there."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_plugin(folder: Path, python: Path) -> Path:
    """Build the plugin's wheel and install it, without its dependencies, into ``folder`` for use on ``PYTHONPATH``.

    The release's environment stays as it was, so that the service can be run with and without the plugin.
    """
    wheels = folder.with_name(f"{folder.name}-wheel")
    build = [uv(), "build", "--wheel", "--out-dir", str(wheels), "--python", sys.executable, str(ROOT)]
    run(build, "The wheel", CURE)
    (wheel,) = wheels.glob("*.whl")
    install = [uv(), "pip", "install", "--no-deps", "--python", str(python), "--target", str(folder), str(wheel)]
    run(install, "The plugin", CURE)
    return folder


def _state(tag: str, source: Path) -> str:
    """What a complete checkout is complete for."""
    major, minor, *_ = platform.python_version_tuple()
    return f"{COMMITS[tag]} {f'{major}.{minor}' if _fits(source) else _requires_python(source)}"


def _requires_python(source: Path) -> str:
    requires: str = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    return requires


def _fits(source: Path) -> bool:
    """Whether the release runs on the Python that this runs on."""
    return platform.python_version() in SpecifierSet(_requires_python(source))


def _install(source: Path, environment: Path) -> None:
    # Otherwise uv looks for one that the release runs on, or says that there is none.
    python = sys.executable if _fits(source) else _requires_python(source)
    groups = ["--no-install-project", "--no-default-groups", "--extra", "cpu", "--group", "test"]
    run(
        [uv(), "sync", "--frozen", *groups, "--python", python, "--no-python-downloads"],
        "Immich's locked dependencies",
        CURE,
        cwd=source,
        env={"UV_PROJECT_ENVIRONMENT": str(environment)},
    )


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.upstream", description=__doc__)
    parser.add_argument("tags", nargs="+", metavar="TAG", help=f"one of {', '.join(COMMITS)}")
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
