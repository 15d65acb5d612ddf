"""Images in memory for measurements."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from photopeak.engine.frames import Frames
from photopeak.engine.quality.images import Image


@pytest.fixture(scope="session")
def of_array() -> Callable[..., Image]:
    """Return ``make(array, **attributes of Frames) -> Image`` that keeps the type of the array."""

    def make(array: NDArray[Any], **attributes: Any) -> Image:
        frames = Frames.from_array(array, **attributes)
        return Image(frames, array.reshape(frames.pixels.shape))

    return make


@pytest.fixture(scope="session")
def body() -> NDArray[np.uint16]:
    """Return three frames of counts with structure and noise, 128 x 128."""
    y, x = np.mgrid[:128, :128]
    rng = np.random.default_rng(5)
    mean = 4 + 40 * np.exp(-((x - 60) ** 2 + (y - 70) ** 2) / 900) + 10 * (np.hypot(x - 40, y - 30) < 12)
    return rng.poisson(np.stack([mean, mean / 2, mean * 2])).astype(np.uint16)
