"""What a camera does to the photons, from options of a command: attenuation in a body, blur of a collimator."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...kernels.reconstruction.camera import GammaCamera
from ...kernels.reconstruction.geometry import Grid
from ..errors import InputError, UsageError
from .volume_files import VOLUME_SUFFIXES, read_volume

__all__ = ["Physics", "cylinder", "values_on"]

_DENSEST = 5.0  # [1/cm]: bone, at the lowest energies that cameras see, has under 3
_PAIR = re.compile(r"(\d+(?:\.\d*)?)x(\d+(?:\.\d*)?)")


@dataclass(frozen=True, slots=True)
class Physics:
    """Attenuation and blur; none of either by default.

    Parameters
    ----------
    mu_per_cm : float
        Linear attenuation coefficient of the body [1/cm].
    body_mm : tuple of float or None
        Width, from hand to hand, and depth, from front to back, of the body: an upright elliptic cylinder round the middle
        of the volume [mm].
    attenuation_map : Path or None
        NIfTI file of attenuation coefficients [1/cm] on the voxels of the reconstruction, in place of both.
    holes_mm : tuple of float or None
        Diameter and length of the collimator's holes [mm].
    """

    mu_per_cm: float = 0.0
    body_mm: tuple[float, float] | None = None
    attenuation_map: Path | None = None
    holes_mm: tuple[float, float] | None = None

    @classmethod
    def parsed(cls, attenuation: str | None, body: str | None, collimator: str | None) -> "Physics":
        """Return what options say.

        Parameters
        ----------
        attenuation : str or None
            A coefficient, such as ``0.15``, or the name of a NIfTI file.
        body, collimator : str or None
            Two lengths, such as ``320x220``.

        Raises
        ------
        UsageError
            If they are neither, one of coefficient and body is missing, or holes are wider than long.

        Examples
        --------
        >>> Physics.parsed("0.15", "320x220", None).body_mm
        (320.0, 220.0)
        """
        outline = _pair(body, "--body", "320x220")
        holes = _pair(collimator, "--collimator", "1.5x24")
        if holes and holes[0] >= holes[1]:
            raise UsageError(
                f"--collimator {collimator}: holes are wider than long; give diameter x length, 1.5x24, say."
            )
        if attenuation and attenuation.lower().endswith(VOLUME_SUFFIXES):
            if outline:
                raise UsageError("a map of attenuation holds the body too; leave --body out.")
            return cls(attenuation_map=Path(attenuation), holes_mm=holes)
        try:
            mu = float(attenuation or 0)
        except ValueError:
            mu = -1.0
        if not 0 <= mu <= _DENSEST:
            raise UsageError(
                f"--attenuation {attenuation} is no coefficient of a body, from 0 to {_DENSEST:g} / cm, and no NIfTI file; "
                "give 0.15, say."
            )
        if bool(mu) != bool(outline):
            raise UsageError(
                "attenuation needs a body to happen in: give --attenuation 0.15 and --body 320x220, say, or neither."
            )
        return cls(mu, outline, None, holes)

    def camera(self, grid: Grid) -> GammaCamera | None:
        """Return the camera over the voxels of a reconstruction; None if nothing is modelled."""
        blur = {"face_mm": self.holes_mm[0], "slope": self.holes_mm[0] / self.holes_mm[1]} if self.holes_mm else {}
        if self.attenuation_map:
            return GammaCamera(attenuation_map=values_on(self.attenuation_map, grid), **blur)
        if self.body_mm:
            return GammaCamera(mu_per_cm=self.mu_per_cm, body=cylinder(grid, self.body_mm), **blur)
        return GammaCamera(**blur) if blur else None

    def spelled(self) -> list[tuple[str, str]]:
        """Return names and facts, for people."""
        rows = []
        if self.body_mm:
            width, depth = self.body_mm
            rows.append(("Attenuation", f"{self.mu_per_cm:g} / cm in a body of {width:g} \u00d7 {depth:g} mm"))
        if self.attenuation_map:
            rows.append(("Attenuation", "from a map"))
        if self.holes_mm:
            rows.append(("Collimator", f"holes of {self.holes_mm[0]:g} mm, {self.holes_mm[1]:g} mm long"))
        return rows


def cylinder(grid: Grid, size_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """Return which voxels lie in an upright elliptic cylinder round the middle of a volume.

    Parameters
    ----------
    grid : Grid
        The voxels.
    size_mm : tuple of float
        Along x and along y [mm].
    """
    _, y, x = grid.axes()
    inside = (2 * (x[None, :] - grid.center_mm[0]) / size_mm[0]) ** 2 + (
        2 * (y[:, None] - grid.center_mm[1]) / size_mm[1]
    ) ** 2 <= 1
    return np.ascontiguousarray(np.broadcast_to(inside, grid.shape))


def values_on(path: Path, grid: Grid) -> NDArray[np.float32]:
    """Return the values of a NIfTI file whose voxels are those of a reconstruction.

    Raises
    ------
    InputError
        If it cannot be read, or they are others.
    """
    values, where = read_volume(path)
    near = np.allclose(where.first_mm, grid.first_mm, atol=1e-2 * min(grid.spacing_mm))
    if where.shape != grid.shape or not near or not np.allclose(where.spacing_mm, grid.spacing_mm, rtol=1e-4):
        raise InputError(
            f"{path}: its voxels ({_spelled(where)}) are not those of these views ({_spelled(grid)}); give a volume on the same "
            "voxels, or set them with --voxel or a geometry file."
        )
    return values


def _spelled(grid: Grid) -> str:
    size, step = ("x".join(f"{value:.4g}" for value in values) for values in (grid.shape, grid.spacing_mm))
    middle = ", ".join(f"{value:.4g}" for value in grid.center_mm)
    return f"{size} of {step} mm around {middle} mm"


def _pair(text: str | None, option: str, example: str) -> tuple[float, float] | None:
    if text is None:
        return None
    found = _PAIR.fullmatch(text)
    if not found or not min(map(float, found.groups())) > 0:
        raise UsageError(f"{option} {text} is no pair of lengths in mm; give {example}, say.")
    return float(found[1]), float(found[2])
