"""Where the heads of a gamma camera were, from the header of their images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ...kernels.reconstruction.geometry import Vector, View
from ..dicom.attributes import integers, items, number, tag_name, text
from ..dicom.geometry import normal, orientation, pixel_spacing, position
from ..errors import InputError
from ..frames import FrameInfo

__all__ = ["ANGLES", "Camera", "nuclear_view"]

# Degrees around the patient as View.gamma_camera counts them.
ANGLES = {
    "anterior": 0.0,
    "left anterior oblique": 45.0,
    "left lateral": 90.0,
    "left posterior oblique": 135.0,
    "posterior": 180.0,
    "right posterior oblique": 225.0,
    "right lateral": 270.0,
    "right anterior oblique": 315.0,
}
_RADIUS_MM = 250.0
_SAME_WAY = 0.7  # cosine: within 45 degrees


@dataclass(frozen=True)
class Camera:
    """One frame's camera.

    Parameters
    ----------
    view : View
        Of the upright image; looks at the origin unless `placed`.
    radius_mm : float
        From the centre of rotation to the collimator [mm].
    flipped : bool
        Whether the stored image is mirrored, left to right, against what the camera sees.
    placed : bool
        Whether its place comes from Image Position (0020,0032), in the frame of reference of the patient.
    notes : tuple of str
        Sentences about what was assumed.
    """

    view: View
    radius_mm: float
    flipped: bool = False
    placed: bool = False
    notes: tuple[str, ...] = ()


def nuclear_view(ds: Dataset, info: FrameInfo, shape: tuple[int, int]) -> Camera:
    """Return the camera of one frame of an NM object.

    Parameters
    ----------
    ds : Dataset
        The header.
    info : FrameInfo
        Which frame; its ``view`` is what the engine's reader found.
    shape : tuple of int
        Rows and columns.

    Raises
    ------
    InputError
        If the header says neither where the detector looks from nor how large pixels are.

    References
    ----------
    * PS3.3 C.8.4.11 (detector), C.8.4.12 (tomography): Start Angle (0054,0200) is 0 at the patient's back and grows towards
      the left side.
    """
    spacing = pixel_spacing(ds)
    if spacing is None:
        raise InputError(
            f"{tag_name('PixelSpacing')} is missing; give `spacing_mm` of each view in a file for --geometry."
        )
    head = _item(ds, "DetectorInformationSequence", info.detector)
    kind = text(ds, "ImageType").upper().split("\\")[2:3]
    if kind and "TOMO" in kind[0]:
        if kind[0].startswith("RECON"):
            raise InputError("holds reconstructed slices; give the projections that they were made from.")
        return _around(ds, head, info, shape, spacing)
    cosines = orientation(head)
    if cosines is None:
        cosines = orientation(ds)
    if cosines is not None and abs(float(normal(cosines)[2])) < _SAME_WAY:
        return _oriented(head, ds, cosines, info, shape, spacing)
    if not info.view:
        return _started(ds, head, info, shape, spacing)
    radius, notes = _radius(ds, head, 0)
    return Camera(View.gamma_camera(shape, spacing, ANGLES[info.view], radius_mm=radius), radius, notes=notes)


def _item(ds: Dataset, keyword: str, index: int) -> Dataset:
    """Return item `index` (from 1) of a sequence; the first where frames have no index, an empty one where it is missing."""
    found = items(ds, keyword)
    return found[max(index - 1, 0)] if len(found) >= max(index, 1) else Dataset()


def _radius(ds: Dataset, head: Dataset, index: int) -> tuple[float, tuple[str, ...]]:
    """Return how far the collimator is from the centre of rotation [mm], and a note where nothing says."""
    for item in (head, ds):
        found = [float(part) for part in text(item, "RadialPosition").split("\\") if part]
        if found and min(found) > 0:
            return found[index] if index < len(found) else found[0], ()
    note = f"{tag_name('RadialPosition')} is missing: the camera is taken to be {_RADIUS_MM:g} mm from the middle."
    return _RADIUS_MM, (note,)


def _oriented(
    head: Dataset,
    ds: Dataset,
    cosines: NDArray[np.float64],
    info: FrameInfo,
    shape: tuple[int, int],
    spacing: tuple[float, float],
) -> Camera:
    """Return the camera of a planar frame with Image Orientation (0020,0037)."""
    right, down = _orthonormal(cosines)
    looking = np.cross(right, down)
    flipped = False
    if info.view:
        nominal = View.gamma_camera(shape, spacing, ANGLES[info.view]).looking
        flipped = bool(np.dot(looking, nominal) < -_SAME_WAY)
        if not flipped and np.dot(looking, nominal) < _SAME_WAY:
            raise InputError(
                f"frame {info.number} is called {info.view} but {tag_name('ImageOrientationPatient')} says otherwise; give "
                "the views in a file for --geometry."
            )
    place = position(head) or position(ds)
    radius, notes = _radius(ds, head, 0)
    middle = np.zeros(3)
    if place is not None:
        offset = right * spacing[1] * (shape[1] - 1) / 2 + down * spacing[0] * (shape[0] - 1) / 2
        middle = np.asarray(place) + offset
    if flipped:
        right, looking = -right, -looking
    # The depth of Image Position is anything from the crystal to the middle of the patient; the radius is meant for it.
    center = middle - looking * (middle @ looking) - looking * radius
    view = View(shape, spacing, _triple(center), _triple(right), _triple(down))
    return Camera(view, radius, flipped, place is not None, notes)


def _orthonormal(cosines: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return exact unit vectors at right angles from what was written with a few digits."""
    right = cosines[0] / np.linalg.norm(cosines[0])
    down = cosines[1] - right * (right @ cosines[1])
    return right, np.asarray(down / np.linalg.norm(down))


def _started(
    ds: Dataset, head: Dataset, info: FrameInfo, shape: tuple[int, int], spacing: tuple[float, float]
) -> Camera:
    """Return the camera of a planar frame of which only Start Angle is known."""
    start = number(head, "StartAngle")
    if start is None:
        raise InputError(
            f"where the camera stood for frame {info.number} is unknown, since neither {tag_name('ViewCodeSequence')} nor "
            f"{tag_name('ImageOrientationPatient')} nor {tag_name('StartAngle')} says it; give `angle` of each view in a "
            "file for --geometry."
        )
    radius, notes = _radius(ds, head, 0)
    return Camera(View.gamma_camera(shape, spacing, (180 - start) % 360, radius_mm=radius), radius, notes=notes)


def _around(
    ds: Dataset, head: Dataset, info: FrameInfo, shape: tuple[int, int], spacing: tuple[float, float]
) -> Camera:
    """Return the camera of a frame of a tomographic acquisition, upright as all of them."""
    index = info.number - 1
    rotation = _item(ds, "RotationInformationSequence", _entry(ds, "RotationVector", index))
    start = number(head, "StartAngle")
    if start is None:
        start = number(rotation, "StartAngle")
    step = number(rotation, "AngularStep")
    way = text(rotation, "RotationDirection").upper()
    angular = _entry(ds, "AngularViewVector", index)
    missing = [
        tag_name(keyword)
        for keyword, absent in (
            ("StartAngle", start is None),
            ("AngularStep", step is None),
            ("RotationDirection", way not in ("CW", "CC")),
            ("AngularViewVector", angular < 1),
        )
        if absent
    ]
    if start is None or step is None or missing:
        raise InputError(f"{missing[0]} is missing; give `angle` of each view in a file for --geometry.")
    turned = start + abs(step) * (angular - 1) * (1 if way == "CC" else -1)
    radius, notes = _radius(rotation, head, angular - 1)
    return Camera(View.gamma_camera(shape, spacing, (180 - turned) % 360, radius_mm=radius), radius, notes=notes)


def _entry(ds: Dataset, keyword: str, index: int) -> int:
    """Return a frame's entry of a vector; 0 where there is none."""
    found = integers(ds, keyword)
    return found[index] if index < len(found) else (found[0] if len(found) == 1 else 0)


def _triple(vector: NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in vector)
    return x, y, z
