"""Where a frame lies and which side of the patient it shows."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from .attributes import numbers, text

Vector = tuple[float, float, float]
_SIDES = (("left lateral", "right lateral"), ("posterior", "anterior"), ("superior", "inferior"))
_AXES = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "H": (2, 1), "F": (2, -1)}
_VIEWS = (
    "left anterior oblique",
    "right anterior oblique",
    "left posterior oblique",
    "right posterior oblique",
    "left lateral",
    "right lateral",
    "anterior",
    "posterior",
)
_SHORT = {
    "ant": "anterior",
    "post": "posterior",
    "lat": "lateral",
    "lt": "left",
    "rt": "right",
    "lao": _VIEWS[0],
    "rao": _VIEWS[1],
    "lpo": _VIEWS[2],
    "rpo": _VIEWS[3],
}


def pixel_spacing(ds: Dataset) -> tuple[float, float] | None:
    """Return the distance between rows and between columns [mm]; in the detector plane for projections without another.

    References
    ----------
    * PS3.3 10.7.1.3: Pixel Spacing (0028,0030) before Imager Pixel Spacing (0018,1164).
    """
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = numbers(ds, keyword, 2)
        if spacing and min(spacing) > 0:
            return spacing[0], spacing[1]
    return None


def rounded(spacing: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return a spacing to 0.1 um: slices of one series may write it with different numbers of digits."""
    return spacing and (round(spacing[0], 4), round(spacing[1], 4))


def position(ds: Dataset) -> Vector | None:
    """Return Image Position (0020,0032) [mm]."""
    found = numbers(ds, "ImagePositionPatient", 3)
    return (found[0], found[1], found[2]) if found else None


def orientation(ds: Dataset) -> NDArray[np.float64] | None:
    """Return the unit vectors along rows and columns, shape (2, 3), from Image Orientation (0020,0037); None if unusable."""
    found = numbers(ds, "ImageOrientationPatient", 6)
    if not found:
        return None
    cosines = np.array(found).reshape(2, 3)
    square = np.abs(cosines @ cosines.T - np.eye(2)).max() < 1e-2
    return cosines if square else None


def normal(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit vector that points away from who looks at the image."""
    (a, b, c), (d, e, f) = cosines.tolist()
    return np.array([b * f - c * e, c * d - a * f, a * e - b * d])  # numpy.cross takes 60 us


def view_of_orientation(ds: Dataset) -> str:
    """Return which side a projection shows, from its orientation; empty when that is not one of the main directions."""
    cosines = orientation(ds)
    if cosines is None:
        cosines = _patient_orientation(ds)
    if cosines is None:
        return ""
    away = normal(cosines)
    axis = int(np.argmax(np.abs(away)))
    if abs(away[axis]) < 0.985 or axis == 2:
        return ""
    return _SIDES[axis][int(away[axis] > 0)]


def view_of_text(words: str) -> str:
    """Return the view that a code meaning or an image's name spells out, such as ``Left anterior oblique``."""
    spelled = words.lower().replace("-", " ").replace("_", " ")
    if "antero" in spelled or "postero" in spelled:  # the way of an X-ray beam, not a side
        return ""
    parts = {_SHORT.get(part, part) for part in spelled.split()}
    parts = {word for part in parts for word in part.split()}
    if {"anterior", "posterior"} <= parts:
        return ""
    return next((view for view in _VIEWS if set(view.split()) <= parts), "")


def _patient_orientation(ds: Dataset) -> NDArray[np.float64] | None:
    """Return cosines for a Patient Orientation (0020,0020) of two letters, such as left and foot."""
    letters = text(ds, "PatientOrientation").split("\\")
    if len(letters) != 2 or not all(letter in _AXES for letter in letters):
        return None
    cosines = np.zeros((2, 3))
    for row, letter in zip(cosines, letters, strict=True):
        axis, sign = _AXES[letter]
        row[axis] = sign
    return cosines
