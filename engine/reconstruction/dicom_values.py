"""Values of a volume as whole numbers of 16 bits."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ..dicom.derived.magnify import decimals
from ..dicom.derived.values import Scale, round_to_stored, set_pixels

__all__ = ["LARGEST_STORED", "slope_of", "store"]

LARGEST_STORED = 32767  # some readers take 16 bits as signed


def slope_of(values: NDArray[np.float32]) -> float:
    """Return what a stored step is worth: the largest value takes the largest number, to the digits that DICOM writes."""
    peak = float(values.max())
    return float(str(decimals([peak / LARGEST_STORED if peak > 0 else 1.0])[0]))


def store(ds: Dataset, values: NDArray[np.float32], slope: float) -> None:
    """Put values, shape (slices, rows, columns), not negative, into an object as frames."""
    count = len(values)
    ds.NumberOfFrames = count
    scale = Scale(np.full(count, slope), np.zeros(count))
    set_pixels(ds, round_to_stored(values.astype(np.float32), scale, signed=False, keep_sum=False))
