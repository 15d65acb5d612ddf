"""How much of the evidence lies in which region of an image."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import npy_pixels, read_nifti
from ..dicom.guard import DEFAULT_LIMITS, Limits, check_memory, open_regular
from ..dicom.quiet import input_errors
from ..errors import InputError
from ..matrix import MatrixSize

__all__ = ["LabelMap", "RegionShare", "read_labels", "shares"]

_ELSEWHERE = "elsewhere"
MOST_LABELS = 256
_LONGEST_NAMES = 1 << 20  # bytes, of the file that holds them


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Which region each pixel belongs to.

    Parameters
    ----------
    labels : ndarray, shape (rows, columns), intp
        Whole numbers from 0 on; 0 is none of the regions.
    names : mapping of int to str
        What regions are called; the others are called by their number.
    source : str
        For messages.
    """

    labels: NDArray[np.intp]
    names: Mapping[int, str]
    source: str = "labels"


@dataclass(frozen=True, slots=True)
class RegionShare:
    """How much of the evidence for one class lies in one region.

    Parameters
    ----------
    label : int
        The region.
    name : str
        What it is called.
    energy : float
        Its share of the whole class activation [1]; NaN where there is none at all.
    area : float
        Its share of the image's pixels [1]: an energy above it is more than chance.
    """

    label: int
    name: str
    energy: float
    area: float


def shares(cam: NDArray[np.floating[Any]], regions: LabelMap) -> tuple[RegionShare, ...]:
    """Return how the evidence for a class is divided among regions.

    Parameters
    ----------
    cam : ndarray, shape (rows, columns)
        Class activation, not negative.
    regions : LabelMap
        Of the same matrix.

    Returns
    -------
    tuple of RegionShare
        One for each label of the map, in their order, the rest of the image (0) among them; energies sum to 1.

    Raises
    ------
    InputError
        If the map is of another matrix.

    References
    ----------
    * Wang, H. et al. (2020). Score-CAM: score-weighted visual explanations for convolutional neural networks. CVPR Workshops.
      (The energy-based pointing game: energy is the sum of the activation.)

    Examples
    --------
    >>> cam = np.array([[3.0, 1.0], [0.0, 0.0]])
    >>> table = shares(cam, LabelMap(np.array([[1, 2], [0, 0]]), {1: "heart"}))
    >>> [(row.name, row.energy, row.area) for row in table]
    [('elsewhere', 0.0, 0.5), ('heart', 0.75, 0.25), ('region 2', 0.25, 0.25)]
    """
    if cam.shape != regions.labels.shape:
        raise InputError(
            f"{regions.source}: labels {MatrixSize(*regions.labels.shape)}, the image is {MatrixSize(*cam.shape)}; "
            "give a label map of the image's matrix."
        )
    energy = np.bincount(regions.labels.ravel(), weights=cam.ravel().astype(np.float64))
    area = np.bincount(regions.labels.ravel())
    whole = energy.sum()
    return tuple(
        RegionShare(
            label,
            regions.names.get(label, f"region {label}" if label else _ELSEWHERE),
            float(energy[label] / whole) if whole > 0 else float("nan"),
            float(area[label] / cam.size),
        )
        for label in np.flatnonzero(area).tolist()
    )


def read_labels(path: Path, limits: Limits = DEFAULT_LIMITS) -> LabelMap:
    """Read a label map.

    Parameters
    ----------
    path : Path
        A ``.npy`` array or a NIfTI file of whole numbers, or a binary DICOM Segmentation. Names of regions come from the
        Segmentation, or from a file beside the array with the ending ``.json``: ``{"1": "heart"}``.
    limits : Limits
        What reading may cost.

    Raises
    ------
    InputError
        If it is no label map.
    """
    name = path.name.lower()
    if name.endswith((".npy", ".nii", ".nii.gz")):
        values = npy_pixels(path, limits) if name.endswith(".npy") else read_nifti(path, limits).pixels
        stem = name.removesuffix(".gz").rpartition(".")[0]
        names = _names(path.with_name(path.name[: len(stem)] + ".json"), limits)
        return LabelMap(_whole(np.squeeze(values), path), names, path.name)
    return _segmentation(path, limits)


def _whole(values: NDArray[Any], path: Path) -> NDArray[np.intp]:
    """Return values as labels, once they are known to be some."""
    if values.ndim != 2 or not np.isfinite(values).all() or (values != np.rint(values)).any():
        raise InputError(f"{path}: is no label map; give a (rows, columns) array of whole numbers.")
    if values.min() < 0 or values.max() >= MOST_LABELS:
        raise InputError(
            f"{path}: labels reach from {values.min():g} to {values.max():g}; use 0 to {MOST_LABELS - 1}, 0 for no region."
        )
    return values.astype(np.intp)


def _names(path: Path, limits: Limits) -> dict[int, str]:
    """Return the names of labels, without those that are blank."""
    if not path.exists():
        return {}
    try:
        with open_regular(path, replace(limits, file_bytes=min(limits.file_bytes, _LONGEST_NAMES))) as file:
            found = json.loads(file.read().decode("utf-8"))
        return {int(label): str(name).strip() for label, name in found.items() if str(name).strip()}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f'{path}: holds no names of regions ({error}); write them as {{"1": "heart"}}.') from error


def _segmentation(path: Path, limits: Limits) -> LabelMap:
    """Read a binary DICOM Segmentation of one image.

    References
    ----------
    * PS3.3 A.51 and C.8.20 (Segmentation).
    """
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian, SegmentationStorage

    with input_errors(path):
        with open_regular(path, limits) as file:
            # Which pydicom would inflate without a bound.
            if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                raise InputError("is deflated; write it in another transfer syntax, such as explicit little endian.")
            ds = dcmread(file)
        if ds.SOPClassUID != SegmentationStorage or ds.SegmentationType != "BINARY":
            raise InputError("is no binary DICOM Segmentation; give one, or a label map as .npy or NIfTI.")
        frames = int(ds.NumberOfFrames)
        check_memory(frames * ds.Rows * ds.Columns, f"{path}: {frames} segments", limits)
        planes = np.asarray(ds.pixel_array).reshape(frames, ds.Rows, ds.Columns)
        numbers = [
            int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
            for group in ds.PerFrameFunctionalGroupsSequence
        ]
        names = {int(item.SegmentNumber): str(item.SegmentLabel) for item in ds.SegmentSequence}
    return LabelMap(_stacked(planes, numbers, path), names, path.name)


def _stacked(planes: NDArray[Any], numbers: list[int], path: Path) -> NDArray[np.intp]:
    labels = np.zeros(planes.shape[1:], np.intp)
    for plane, number in zip(planes > 0, numbers, strict=True):
        if not 0 < number < MOST_LABELS or (labels[plane] > 0).any():
            raise InputError(f"{path}: its segments overlap or lie in several slices; give segments of one image.")
        labels[plane] = number
    return labels
