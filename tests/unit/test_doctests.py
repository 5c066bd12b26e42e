from __future__ import annotations

import pytest

from tests.doctests import check_examples, modules_with_examples


@pytest.mark.parametrize("module", modules_with_examples("immich_dog_plugin", "harness"))
def test_the_examples_in_the_docstrings_hold(module: str) -> None:
    check_examples(module)
