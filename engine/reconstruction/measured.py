"""What was measured: views with where their detectors were, and where they come from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ...kernels.reconstruction.geometry import Geometry

__all__ = ["Kind", "Measured"]

# Gamma camera, X-ray angiography, or a file that does not say.
Kind = Literal["nm", "xa", "other"]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Views and their geometry.

    Parameters
    ----------
    images : tuple of ndarray, shape (rows, columns), float32
        One for each view: counts (gamma camera), or line integrals (X-rays, after the logarithm) [1].
    geometry : Geometry
        Views in the order of `images`, and the voxels to solve for.
    kind : str
        ``nm``, ``xa`` or ``other``.
    sources : tuple of Path
        The file of each view; views of one multi-frame object share it.
    datasets : tuple of Dataset
        The header of each view's object, without its pixels, with ``file_meta``; empty unless all are DICOM. Never
        modified.
    warnings : tuple of str
        Sentences about what deserves one.
    frames : tuple of int
        Number of each view's frame in its object, from 1; empty if `datasets` is.
    facts : tuple of (str, str)
        Names and values of what else a reader should know of the geometry, such as the residual of a calibration.
    """

    images: tuple[NDArray[np.float32], ...]
    geometry: Geometry
    kind: Kind
    sources: tuple[Path, ...]
    datasets: tuple[Dataset, ...] = ()
    warnings: tuple[str, ...] = ()
    frames: tuple[int, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
