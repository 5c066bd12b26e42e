"""Whether this Python has the packages that the plugin needs: ``python -m image.requirements``.

``immich-dogs check`` says it too, with everything else, but cannot be imported where a package is missing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]


def misfits(requirements: Sequence[str]) -> list[str]:
    """What is missing of ``requirements``, or, where nothing is, what has another version than asked for."""
    if missing := [requirement for requirement in requirements if _installed(requirement) is None]:
        return [f"{requirement} is not installed" for requirement in missing]
    from packaging.requirements import Requirement  # itself one of the packages that may be missing

    return [
        f"{requirement} is needed, and {found} is installed"
        for requirement in requirements
        if (found := _installed(requirement)) and not Requirement(requirement).specifier.contains(found, True)
    ]


def _installed(requirement: str) -> str | None:
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = misfits(project["dependencies"])
    print("; ".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
