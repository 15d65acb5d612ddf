"""Volumes as NIfTI, and back for a solver to start from."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from ...kernels.reconstruction.geometry import Grid
from ..errors import InputError, UsageError

__all__ = ["VOLUME_SUFFIXES", "nifti_file", "read_volume"]

VOLUME_SUFFIXES = (".nii.gz", ".nii")
_SCANNER = 1  # coordinates of the scanner, NIfTI-1
_MOST_VOXELS = 1 << 29
# NIfTI counts x to the right and y to the front, DICOM to the left and to the back.
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def nifti_file(values: NDArray[np.float32], grid: Grid, path: Path, description: str) -> bytes:
    """Return a volume as a NIfTI-1 file.

    Parameters
    ----------
    values : ndarray, shape (slices, rows, columns), float32
        The volume.
    grid : Grid
        Its voxels.
    path : Path
        Its suffix says whether the file is compressed.
    description : str
        What the values are; at most 79 characters are kept.

    Raises
    ------
    UsageError
        If the suffix is neither ``.nii`` nor ``.nii.gz``.
    """
    if not path.name.lower().endswith(VOLUME_SUFFIXES):
        raise UsageError(f"{path}: a volume is written as {' or '.join(VOLUME_SUFFIXES)}; change the suffix.")
    affine = np.diag([*grid.spacing_mm[::-1], 1.0])
    affine[:3, 3] = grid.first_mm
    image = nibabel.Nifti1Image(np.ascontiguousarray(values.T), _FLIP @ affine)
    image.set_qform(_FLIP @ affine, code=_SCANNER)
    image.set_sform(_FLIP @ affine, code=_SCANNER)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode("ascii", "replace")[:79]
    content: bytes = image.to_bytes()
    # No time in the file: the same result is the same bytes.
    return gzip.compress(content, 6, mtime=0) if path.name.lower().endswith(".gz") else content


def read_volume(path: Path) -> tuple[NDArray[np.float32], Grid]:
    """Return the values of a NIfTI file whose axes are those of the patient, and its voxels.

    Raises
    ------
    InputError
        If it cannot be read, is not a volume of finite numbers, or is turned.
    """
    try:
        image = nibabel.Nifti1Image.from_filename(str(path))
        if len(image.shape) != 3 or np.prod(image.shape) > _MOST_VOXELS:
            raise InputError(f"{path}: {image.shape} is no volume that can be started from; give what -o wrote.")
        values = np.ascontiguousarray(np.asarray(image.dataobj, np.float32).T)
    except InputError:
        raise
    except Exception as error:  # nibabel raises what its readers and gzip happen to
        raise InputError(f"{path}: cannot be read as NIfTI ({type(error).__name__}); give what -o wrote.") from error
    affine = _FLIP @ np.asarray(image.affine, np.float64)
    spacing, first = np.diag(affine)[:3], affine[:3, 3]
    if (spacing <= 0).any() or not np.allclose(
        affine[:3, :3], np.diag(spacing), atol=1e-4 * float(np.abs(spacing).max())
    ):
        raise InputError(f"{path}: its axes are not those of the patient; give what -o wrote.")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: it holds values that are not finite numbers; give what -o wrote.")
    z, y, x = values.shape
    center = first + spacing * (np.array([x, y, z]) - 1) / 2
    return values, Grid((z, y, x), (float(spacing[2]), float(spacing[1]), float(spacing[0])), tuple(center.tolist()))
