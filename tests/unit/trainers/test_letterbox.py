from __future__ import annotations

import numpy as np
import pytest
from ultralytics.data.augment import LetterBox

from immich_dog_plugin.geometry import letterbox


@pytest.mark.parametrize("shape", [(100, 200), (333, 127), (480, 640), (91, 55), (256, 256)])
def test_the_letterbox_puts_a_photo_where_ultralytics_puts_it(shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(1).integers(120, 255, (*shape, 3), dtype=np.uint8)
    theirs = LetterBox((256, 256), auto=False, scaleup=True)(image=photo)
    ours, _ = letterbox(photo, 256)
    np.testing.assert_array_equal((ours == 114).all(axis=2), (theirs == 114).all(axis=2))
