"""Physical values of an object, with pydicom and NumPy only."""

import numpy as np
from pydicom.dataset import Dataset


def scaling(ds: Dataset) -> np.ndarray:
    """Return slope and intercept of each frame, shape (n, 2), with pydicom and NumPy only."""
    if "PerFrameFunctionalGroupsSequence" in ds:
        steps = [group.PixelValueTransformationSequence[0] for group in ds.PerFrameFunctionalGroupsSequence]
    elif "RealWorldValueMappingSequence" in ds:
        mapping = ds.RealWorldValueMappingSequence[0]
        return np.array([[mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept]] * int(ds.NumberOfFrames))
    else:
        steps = [ds] * int(ds.get("NumberOfFrames") or 1)
    return np.array([[float(step.get("RescaleSlope", 1)), float(step.get("RescaleIntercept", 0))] for step in steps])


def values(ds: Dataset) -> np.ndarray:
    """Return physical values, shape (n, rows, columns)."""
    slope, intercept = scaling(ds).T[:, :, None, None]
    return ds.pixel_array.reshape(-1, ds.Rows, ds.Columns) * slope + intercept


def stored_step(ds: Dataset) -> float:
    """Return the largest physical difference of neighbouring stored values."""
    return float(scaling(ds)[:, 0].max())
