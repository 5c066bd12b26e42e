"""The plugin's wheel, built with nothing but Python's standard library: ``python -m image.build_wheel FOLDER``.

The image's build uses it: an image of Immich's ML service has neither pip nor a build backend, and building on it must
not need a package index. ``pyproject.toml`` stays the only description of the wheel; a test compares this one with the
one that the build backend makes of it. It leaves out the extras, which are for machines that have pip.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WHEEL = b"Wheel-Version: 1.0\nGenerator: image.build_wheel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_wheel(folder: Path, root: Path = ROOT) -> Path:
    """Build the wheel of the checkout ``root`` into ``folder``; returns the file."""
    config = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    project = config["project"]
    stem = f"{re.sub(r'[-_.]+', '_', project['name'])}-{project['version']}"
    info = f"{stem}.dist-info"
    contents = {
        **_package_files(root, config["tool"]["hatch"]["build"]["targets"]["wheel"]),
        f"{info}/METADATA": _metadata(project),
        f"{info}/WHEEL": WHEEL,
        f"{info}/entry_points.txt": _entry_points(project),
        **{f"{info}/licenses/{name}": (root / name).read_bytes() for name in project["license-files"]},
    }
    record = f"{info}/RECORD"
    contents[record] = "".join([*_record(contents), f"{record},,\n"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            archive.writestr(path, content)
    return wheel


def _package_files(root: Path, target: Mapping[str, Any]) -> dict[str, bytes]:
    folders = {package: package for package in target["packages"]} | target["force-include"]
    return {
        f"{place}/{file.relative_to(root / source).as_posix()}": file.read_bytes()
        for source, place in folders.items()
        for file in sorted((root / source).rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def _metadata(project: Mapping[str, Any]) -> bytes:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        *(f"License-File: {name}" for name in project["license-files"]),
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {requirement}" for requirement in project["dependencies"]),
    ]
    return "\n".join([*lines, ""]).encode()


def _entry_points(project: Mapping[str, Any]) -> bytes:
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    blocks = [
        "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in points.items()), ""])
        for group, points in groups.items()
    ]
    return "\n".join(blocks).encode()


def _record(contents: Mapping[str, bytes]) -> Iterator[str]:
    for path, content in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        yield f"{path},sha256={digest},{len(content)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m image.build_wheel", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the wheel goes")
    print(build_wheel(parser.parse_args().folder))


if __name__ == "__main__":
    main()
