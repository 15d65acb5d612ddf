"""Where detectors were, as a TOML file says it."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...kernels.reconstruction.geometry import Grid, View
from ..errors import UsageError

__all__ = [
    "CArm",
    "Detector",
    "GammaCamera",
    "GeometryFile",
    "VoxelGrid",
    "read_geometry",
    "read_toml",
    "spelled_mistakes",
]

_LARGEST = 1 << 20  # [byte]; a list of a thousand views takes a tenth
Positive = Annotated[float, Field(gt=0)]
Pair = tuple[Positive, Positive]
Triple = tuple[float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GammaCamera(_Strict):
    """A parallel-hole camera around the patient.

    Parameters
    ----------
    angle : float
        0 anterior, 90 on the left hand, 180 posterior, 270 on the right hand [degrees].
    radius_mm : float, default 250
        From the isocentre to the face of the collimator [mm].
    spacing_mm : tuple of float, optional
        Distance between rows and between columns [mm]; the image's own where it has one.
    isocenter_mm : tuple of float, default (0, 0, 0)
        What the middle of the detector looks at, x, y, z [mm].
    """

    kind: Literal["gamma-camera"]
    angle: float
    radius_mm: Positive = 250.0
    spacing_mm: Pair | None = None
    isocenter_mm: Triple = (0.0, 0.0, 0.0)

    def view(self, shape: tuple[int, int], spacing_mm: Pair) -> View:
        """Return the view of an image."""
        return View.gamma_camera(
            shape, spacing_mm, self.angle, radius_mm=self.radius_mm, isocenter_mm=self.isocenter_mm
        )


class CArm(_Strict):
    """A cone-beam view of an angiography stand.

    Parameters
    ----------
    primary, secondary : float
        Where the detector is: left (LAO) and cranial positive [degrees].
    source_detector_mm, source_isocenter_mm : float
        Distances from the focal spot [mm].
    spacing_mm : tuple of float, optional
        Of pixels at the detector [mm]; the image's own where it has one.
    isocenter_mm : tuple of float, default (0, 0, 0)
        What the stand turns about, x, y, z [mm].
    """

    kind: Literal["c-arm"]
    primary: float
    secondary: float = 0.0
    source_detector_mm: Positive
    source_isocenter_mm: Positive
    spacing_mm: Pair | None = None
    isocenter_mm: Triple = (0.0, 0.0, 0.0)

    def view(self, shape: tuple[int, int], spacing_mm: Pair) -> View:
        """Return the view of an image."""
        return View.c_arm(
            shape,
            spacing_mm,
            self.primary,
            self.secondary,
            source_detector_mm=self.source_detector_mm,
            source_isocenter_mm=self.source_isocenter_mm,
            isocenter_mm=self.isocenter_mm,
        )


class Detector(_Strict):
    """Any detector, by vectors in the patient's coordinates.

    Parameters
    ----------
    center_mm : tuple of float
        The middle of the detector, x, y, z [mm].
    right, down : tuple of float
        Unit vectors along which columns and rows grow; right x down points from the detector to the patient.
    source_mm : tuple of float, optional
        The focal spot [mm]; parallel rays without.
    spacing_mm : tuple of float, optional
        Of pixels at the detector [mm]; the image's own where it has one.
    """

    kind: Literal["detector"]
    center_mm: Triple
    right: Triple
    down: Triple
    source_mm: Triple | None = None
    spacing_mm: Pair | None = None

    def view(self, shape: tuple[int, int], spacing_mm: Pair) -> View:
        """Return the view of an image."""
        return View(shape, spacing_mm, self.center_mm, self.right, self.down, self.source_mm)


class VoxelGrid(_Strict):
    """The voxels to solve for.

    Parameters
    ----------
    shape : tuple of int
        Slices, rows and columns.
    spacing_mm : tuple of float
        Along z, y and x [mm].
    center_mm : tuple of float, default (0, 0, 0)
        x, y and z of the middle [mm].
    """

    shape: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(min_length=3, max_length=3)
    spacing_mm: tuple[Positive, Positive, Positive]
    center_mm: Triple = (0.0, 0.0, 0.0)

    def grid(self) -> Grid:
        """Return the kernels' grid."""
        slices, rows, columns = self.shape
        return Grid((slices, rows, columns), self.spacing_mm, self.center_mm)


class GeometryFile(_Strict):
    """Everything that a geometry file may say.

    Parameters
    ----------
    view : tuple
        One for each image, in the order in which images are given.
    grid : VoxelGrid, optional
        The voxels; chosen from the views where it is missing.
    """

    view: tuple[Annotated[GammaCamera | CArm | Detector, Field(discriminator="kind")], ...] = Field(
        min_length=1, max_length=1024
    )
    grid: VoxelGrid | None = None


def read_geometry(path: Path) -> GeometryFile:
    """Return what a geometry file says.

    Parameters
    ----------
    path : Path
        TOML; a wrong or missing key fails.

    Raises
    ------
    UsageError
        If the file cannot be read or says something wrong.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "geometry.toml"
    >>> _ = path.write_text('''
    ... [grid]                      # optional
    ... shape = [64, 128, 128]      # slices, rows, columns
    ... spacing_mm = [4.0, 4.0, 4.0]
    ...
    ... [[view]]                    # for the first image
    ... kind = "gamma-camera"
    ... angle = 0                   # anterior
    ... spacing_mm = [4.0, 4.0]
    ...
    ... [[view]]                    # for the second
    ... kind = "gamma-camera"
    ... angle = 90                  # from the left hand
    ... radius_mm = 220.0
    ... spacing_mm = [4.0, 4.0]
    ... ''')
    >>> [view.angle for view in read_geometry(path).view]
    [0.0, 90.0]
    """
    try:
        return GeometryFile.model_validate(read_toml(path))
    except ValidationError as error:
        raise UsageError(f"{path}: {spelled_mistakes(error)}; correct it.") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a small TOML file holds.

    Raises
    ------
    UsageError
        If it cannot be read or is no TOML.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path}: is larger than {_LARGEST} bytes, which no geometry needs; check the path.")
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: is no TOML ({error}); correct it.") from error


def spelled_mistakes(error: ValidationError) -> str:
    """Return the first mistakes, with where they are; views and other things in lists count from 1."""
    told = [
        f"{'.'.join(str(part + 1) if isinstance(part, int) else part for part in one['loc']) or 'the file'}: "
        f"{one['msg'][0].lower()}{one['msg'][1:]}"
        for one in error.errors(include_url=False, include_input=False)
    ]
    return "; ".join(told[:4]) + ("; ..." if len(told) > 4 else "")
