"""Frames from files without a DICOM header: NumPy arrays and NIfTI.

Axis order of NIfTI: a volume is stored as ``data[x, y, z]``. Frames are ``pixels[z, y, x]``: columns run along x, rows along
y, frames along z, so ``pixels = data.T`` and ``data = pixels.T``, nothing flipped. ``Frames.affine`` keeps what places (x, y, z)
indices in the patient.
"""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from .dicom.guard import DEFAULT_LIMITS, FRAME_OVERHEAD, Limits, check_memory, open_regular
from .dicom.quiet import input_errors
from .errors import InputError
from .frames import Frames

__all__ = ["npy_pixels", "read_nifti", "read_npy", "shape_of"]

# Extensions lie between header and data; longer ones are no text, and packed they may hide gigabytes [byte].
_LAST_START = 16 << 20

Shape = tuple[int, int, int]


def shape_of(path: Path, limits: Limits = DEFAULT_LIMITS) -> Shape:
    """Return (frames, rows, columns) of a ``.npy`` or NIfTI file from its header."""
    return _npy_shape(path, limits) if path.suffix.lower() == ".npy" else _open_nifti(path, limits)[1]


def read_npy(path: Path, limits: Limits = DEFAULT_LIMITS) -> Frames:
    """Return the frames of a ``.npy`` file.

    Parameters
    ----------
    path : Path
        Array of shape (rows, columns) or (n, rows, columns), any real type; pickled objects are refused.
    limits : Limits
        What reading may cost.

    Raises
    ------
    InputError
        If it is no such array or larger than the limit.
    """
    with input_errors(path):
        return Frames.from_array(npy_pixels(path, limits), source=path.name)


def npy_pixels(path: Path, limits: Limits = DEFAULT_LIMITS) -> NDArray[Any]:
    """Return the array of a ``.npy`` file in the type that it stores.

    Raises
    ------
    InputError
        As :func:`read_npy`.
    """
    _npy_shape(path, limits)
    with input_errors(path):
        array: NDArray[Any] = np.load(path, allow_pickle=False)
        return array


def read_nifti(path: Path, limits: Limits = DEFAULT_LIMITS) -> Frames:
    """Return the frames of a NIfTI volume (``.nii``, ``.nii.gz``), scaled by its slope and intercept.

    Parameters
    ----------
    path : Path
        Volume of shape (x, y) or (x, y, z).
    limits : Limits
        What reading may cost.

    Returns
    -------
    Frames
        ``pixels[k, j, i] = data[i, j, k]``, spacing from the affine, units NONE: the format has no unit for pixel values.

    Raises
    ------
    InputError
        If it is no such volume or larger than the limit.

    References
    ----------
    * NIfTI-1 Data Format, sections "dimensions" and "3D image orientation".
    """
    image, (n, rows, columns) = _open_nifti(path, limits)
    with input_errors(path):
        data = image.get_fdata(dtype=np.float32, caching="unchanged").reshape(columns, rows, n)
        across, down = (float(np.linalg.norm(image.affine[:3, axis])) for axis in (0, 1))
        spacing = (down, across) if min(across, down) > 0 else None
        affine = np.array(image.affine, np.float64)
        return Frames(np.ascontiguousarray(data.T), pixel_spacing_mm=spacing, source=path.name, affine=affine)


def _npy_shape(path: Path, limits: Limits) -> Shape:
    """Check an array's header, which says what will be allocated, and return its shape as a stack."""
    with input_errors(path), open_regular(path, limits) as stream:
        if stream.peek(6)[:6] != npy_format.MAGIC_PREFIX:
            raise InputError(f"{path}: is not a NumPy array; save it with numpy.save.")
        readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
        reader = readers.get(npy_format.read_magic(stream))
        shape, _, dtype = reader(stream) if reader else ((), False, np.dtype(object))
        if dtype.kind not in "biuf" or len(shape) not in (2, 3) or 0 in shape:
            raise InputError(
                f"{path}: holds {dtype} of shape {shape}; save a (frames, rows, columns) array of numbers."
            )
        n, rows, columns = (1, *shape) if len(shape) == 2 else shape
        needed = n * (rows * columns * (dtype.itemsize + 4) + FRAME_OVERHEAD)
        check_memory(needed, f"{path}: an array of shape {shape}", limits)
        if stream.size - stream.tell() < n * rows * columns * dtype.itemsize:
            raise InputError(f"{path}: is shorter than an array of shape {shape}; the file is cut off.")
        return n, rows, columns


def _open_nifti(path: Path, limits: Limits) -> tuple[Any, Shape]:
    """Return a volume whose data are not read yet, and its shape as a stack."""
    import nibabel  # takes 0.2 s to import, and most inputs are DICOM

    with input_errors(path):
        open_regular(path, limits).close()
        second = nibabel.Nifti2Image.path_maybe_image(path)[0]
        _check_start(path, nibabel.Nifti2Header if second else nibabel.Nifti1Header)
        image: Any = (nibabel.Nifti2Image if second else nibabel.Nifti1Image).from_filename(path)
        shape = tuple(int(size) for size in image.shape)
        kind = image.get_data_dtype()
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        if len(shape) not in (2, 3) or kind.kind not in "iuf" or min(shape) < 1:
            raise InputError(
                f"{path}: holds {kind} of shape {image.shape}; split it into (x, y, z) volumes of numbers."
            )
        columns, rows, n = (*shape, 1)[:3]
        needed = n * (rows * columns * (kind.itemsize + 12) + FRAME_OVERHEAD)
        check_memory(needed, f"{path}: a volume of shape {shape}", limits)
        return image, (n, rows, columns)


def _check_start(path: Path, kind: Any) -> None:
    """Refuse a volume whose data start far behind its header: nibabel takes memory for all that lies between."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        start = float(kind(stream.read(kind.sizeof_hdr), check=False)["vox_offset"])
    if not start <= _LAST_START:
        raise InputError(f"{path}: its data start at byte {start:.0f}, over {_LAST_START}; save it without extensions.")
