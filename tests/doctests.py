"""The examples in docstrings, of every module that has some."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def modules_with_examples(*packages: str) -> list[str]:
    """Names of the modules below ``packages`` in whose text an example stands."""
    files = (file for package in packages for file in sorted((ROOT / package).rglob("*.py")))
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if ">>> " in file.read_text()]


def check_examples(name: str) -> None:
    """Run them; what differs is printed."""
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
