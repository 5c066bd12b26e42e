from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# Ten times as many examples: pytest tests/unit/test_people.py --hypothesis-profile long
settings.register_profile("long", max_examples=10 * settings.default.max_examples)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """An empty folder for photos."""
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder
