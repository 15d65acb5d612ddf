"""A gamma camera: what the body absorbs, and how the collimator blurs with distance."""

from dataclasses import dataclass
from math import hypot
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _native
from ..errors import InputError, UsageError
from .geometry import Geometry, View

__all__ = ["GammaCamera"]

_UPRIGHT = 1e-6  # of a direction's length
_MM_PER_CM = 10.0


@dataclass(frozen=True, eq=False)
class GammaCamera:
    """What a parallel-hole camera makes of activity.

    A plane at some depth is weakened by the attenuation between it and the detector, along the ray, and blurred by a
    Gaussian whose width grows with the distance from the collimator. The blur is built up from plane to plane, from the
    farthest to the nearest, by kernels of seven taps: where resolution is 2 pixels or more, the image of a point stays
    within 1 % of its peak of the Gaussian.
    Activity behind the collimator's face counts as touching it. Scatter and penetration of septa are not modelled.

    Parameters
    ----------
    mu_per_cm : float, default 0
        Linear attenuation coefficient [1/cm], the same everywhere in `body`: about 0.15 for Tc-99m in water.
    body : ndarray, shape (slices, rows, columns), bool, optional
        Where that holds; without it, in the whole volume.
    attenuation_map : ndarray, shape (slices, rows, columns), float32, optional
        Linear attenuation coefficients [1/cm], instead of the two above.
    intrinsic_mm : float, default 0
        Resolution of the detector itself, full width at half maximum [mm].
    face_mm : float, default 0
        Resolution of the collimator at its face [mm].
    slope : float, default 0
        What the collimator's resolution grows per distance [mm/mm].
    efficiency : float, default 1
        Counts in a pixel per activity x mm.

    Raises
    ------
    UsageError
        If a number is negative or not finite, efficiency is 0, or a map comes with a coefficient of its own.
    InputError
        If the map holds values below 0 or that are not finite.

    References
    ----------
    * B. M. W. Tsui, G. T. Gullberg, The geometric transfer function for cone and fan beam collimators, Phys. Med. Biol. 35
      (1990) 81-93.
    * G. L. Zeng, G. T. Gullberg, Frequency domain implementation of the three-dimensional geometric point response
      correction in SPECT imaging, IEEE Trans. Nucl. Sci. 39 (1992) 1444-1453.

    Examples
    --------
    >>> camera = GammaCamera.with_holes(1.5, 24.0, intrinsic_mm=3.8, mu_per_cm=0.15)
    >>> round(camera.width_mm(100.0), 2)  # 10 cm from the collimator
    8.63
    """

    mu_per_cm: float = 0.0
    body: ArrayLike | None = None
    attenuation_map: ArrayLike | None = None
    intrinsic_mm: float = 0.0
    face_mm: float = 0.0
    slope: float = 0.0
    efficiency: float = 1.0

    def __post_init__(self) -> None:
        for name in ("mu_per_cm", "intrinsic_mm", "face_mm", "slope", "efficiency"):
            if not 0 <= getattr(self, name) < np.inf:
                raise UsageError(f"{name} of a camera is {getattr(self, name)}; use a number from 0 on.")
        if not self.efficiency:
            raise UsageError("a camera of efficiency 0 counts nothing; give counts in a pixel per activity x mm.")
        if self.attenuation_map is not None and (self.mu_per_cm or self.body is not None):
            raise UsageError("a camera has an attenuation map and a coefficient or a body; give one or the other.")
        if self.body is not None and not self.mu_per_cm:
            raise UsageError("a camera has a body that does not attenuate; give mu_per_cm, about 0.15 for Tc-99m.")

    @classmethod
    def with_holes(
        cls, diameter_mm: float, length_mm: float, *, gap_mm: float = 0.0, intrinsic_mm: float = 0.0, **others: Any
    ) -> "GammaCamera":
        """Return a camera whose collimator is known by its holes.

        Parameters
        ----------
        diameter_mm, length_mm : float
            Of the holes [mm]; the length less what septa let through, about 2 over their attenuation coefficient.
        gap_mm : float
            From the back of the collimator to the middle of the crystal [mm].
        intrinsic_mm, **others
            See the class.
        """
        if not (0 < diameter_mm < np.inf and 0 < length_mm < np.inf and 0 <= gap_mm < np.inf):
            raise UsageError(
                f"holes of {diameter_mm} mm x {length_mm} mm, {gap_mm} mm from the crystal, are none; give sizes above 0."
            )
        face = diameter_mm * (length_mm + gap_mm) / length_mm
        return cls(intrinsic_mm=intrinsic_mm, face_mm=face, slope=diameter_mm / length_mm, **others)

    def width_mm(self, distance_mm: float) -> float:
        """Return the full width at half maximum of a point's image, so far from the face of the collimator [mm]."""
        return float(np.hypot(self.intrinsic_mm, self.face_mm + self.slope * max(distance_mm, 0.0)))

    def attenuation_per_mm(self, shape: tuple[int, int, int]) -> NDArray[np.float32] | None:
        """Return linear attenuation coefficients on the voxels of a volume [1/mm]; None without attenuation."""
        if self.attenuation_map is not None:
            values = np.asarray(self.attenuation_map)
            _check_shape(values, shape, "the attenuation map")
            if values.dtype.kind not in "uif" or not (np.isfinite(values).all() and values.min() >= 0):
                raise InputError("the attenuation map holds values that are no coefficients; give 1/cm from 0 on.")
            return np.ascontiguousarray(values / _MM_PER_CM, np.float32)
        if not self.mu_per_cm:
            return None
        inside = np.ones(shape, bool) if self.body is None else np.asarray(self.body)
        _check_shape(inside, shape, "the body")
        if inside.dtype != bool:
            raise InputError(f"the body holds {inside.dtype}; give True where it attenuates.")
        return np.ascontiguousarray(inside * np.float32(self.mu_per_cm / _MM_PER_CM))

    def check(self, geometry: Geometry) -> None:
        """Raise UsageError if the camera cannot see `geometry`: cone beams, or detectors that do not stand upright."""
        if geometry.cone_beam:
            raise UsageError("a camera with parallel holes has no focal spot; use parallel views, or no camera.")
        for number, view in enumerate(geometry.views):
            if not _upright(view):
                raise UsageError(
                    f"view {number} looks along {view.looking}; a camera needs rows or columns along the patient's z."
                )

    def native(self) -> _native.Camera:
        """Return what the compiled code takes."""
        return _native.Camera(self.intrinsic_mm, self.face_mm, self.slope, self.efficiency)


def _upright(view: View) -> bool:
    return min(hypot(*view.right[:2]), hypot(*view.down[:2])) < _UPRIGHT


def _check_shape(values: NDArray[Any], shape: tuple[int, int, int], name: str) -> None:
    if values.shape != shape:
        raise InputError(f"{name} has shape {values.shape}, and the grid {shape}; give one that fits.")
