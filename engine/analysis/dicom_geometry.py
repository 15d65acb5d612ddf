"""Where an image lies in the patient, for those whose header says."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ..dicom.attributes import numbers, text
from ..dicom.geometry import orientation, position

__all__ = ["Plane", "in_patient", "plane_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The plane of an image in the patient.

    Parameters
    ----------
    first_mm : ndarray, shape (3,), float64
        Centre of the first pixel [mm].
    along_row, along_column : ndarray, shape (3,), float64
        Way from a pixel to the next in its row, and to the next in its column [mm].
    frame_of_reference_uid : str
        Frame of Reference UID (0020,0052).
    """

    first_mm: NDArray[np.float64]
    along_row: NDArray[np.float64]
    along_column: NDArray[np.float64]
    frame_of_reference_uid: str


def plane_of(header: Dataset) -> Plane | None:
    """Return the plane of an image; None for projections, which have none, and images whose header does not say.

    References
    ----------
    * PS3.3 C.7.6.2 (image plane), C.7.4.1 (frame of reference).
    """
    uid, first, cosines = text(header, "FrameOfReferenceUID"), position(header), orientation(header)
    spacing = numbers(header, "PixelSpacing", 2)
    if not uid or first is None or cosines is None or not spacing:
        return None
    return Plane(np.array(first), cosines[0] * spacing[1], cosines[1] * spacing[0], uid)


def in_patient(plane: Plane, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where points of an image lie [mm].

    Parameters
    ----------
    plane : Plane
        Of the image.
    points : ndarray, shape (n, 2), float64
        Column and row [px] of edges: the centre of the first pixel is 0.5, 0.5.

    Returns
    -------
    ndarray, shape (n, 3), float64
        x, y, z in the patient.
    """
    steps = np.stack([plane.along_row, plane.along_column])
    return np.asarray(plane.first_mm + (points - 0.5) @ steps)
