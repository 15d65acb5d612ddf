"""Frames: what every stage of the engine hands on."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .matrix import MatrixSize

if TYPE_CHECKING:
    from .dicom.instance import Instance


class Units(StrEnum):
    """Physical meaning of a pixel value; the spelling is that of DICOM (0054,1001) where it has one."""

    COUNTS = "CNTS"
    BECQUEREL_PER_ML = "BQML"
    SUV_BODY_WEIGHT = "SUVbw"
    HOUNSFIELD = "HU"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """Where one frame came from and what it shows.

    Parameters
    ----------
    instance : int
        Index into ``Frames.instances``.
    number : int
        Frame number inside that instance, from 1 as in DICOM.
    view : str
        ``anterior``, ``posterior``, ``left lateral``, ...; View Position (0018,5101), such as ``PA``, for X-rays; empty when the
        header does not say.
    detector, energy_window : int
        Detector and energy window number, from 1; 0 when not applicable.
    duration_s : float
        Acquisition time of this frame [s]; NaN when unknown.
    slope, intercept : float
        What turns this frame's stored values into ``Frames.units``.
    position_mm : tuple of float or None
        Image Position (0020,0032) [mm], patient coordinates.
    """

    instance: int = 0
    number: int = 1
    view: str = ""
    detector: int = 0
    energy_window: int = 0
    duration_s: float = float("nan")
    slope: float = 1.0
    intercept: float = 0.0
    position_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A stack of images of one series, in physical units.

    Parameters
    ----------
    pixels : ndarray, shape (n, rows, columns), float32, C-contiguous
        Values in `units`.
    units : Units
        What the values mean.
    modality : str
        DICOM Modality (0008,0060): NM, PT, CT, XA, CR, DX; OT for files without a header.
    pixel_spacing_mm : tuple of float or None
        Distance between rows and between columns [mm].
    info : tuple of FrameInfo
        One entry for each frame.
    instances : tuple of Instance
        DICOM objects that the frames came from, in frame order; empty for other files.
    source : str
        Short name for messages, such as the file's name.
    notes : tuple of str
        What the reader found remarkable, as sentences; they become warnings of the result.
    affine : ndarray, shape (4, 4), float64, or None
        NIfTI files only: from (column, row, frame) indices to patient coordinates, right-anterior-superior [mm].

    Raises
    ------
    InputError
        If the array is not (n, rows, columns) float32 or `info` has another length.

    Examples
    --------
    >>> import numpy as np
    >>> frames = Frames.from_array(np.full((2, 64, 64), 5, np.uint16), units=Units.COUNTS)
    >>> len(frames), frames.matrix, frames.units
    (2, MatrixSize(rows=64, columns=64), <Units.COUNTS: 'CNTS'>)
    """

    pixels: NDArray[np.float32]
    units: Units = Units.NONE
    modality: str = "OT"
    pixel_spacing_mm: tuple[float, float] | None = None
    info: tuple[FrameInfo, ...] = ()
    instances: "tuple[Instance, ...]" = ()
    source: str = "array"
    notes: tuple[str, ...] = ()
    affine: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.dtype != np.float32 or 0 in self.pixels.shape:
            raise InputError(
                f"{self.source}: pixels are {self.pixels.dtype} of shape {self.pixels.shape}; "
                "give a non-empty (frames, rows, columns) array of float32."
            )
        if not self.info:
            object.__setattr__(self, "info", tuple(FrameInfo(number=i + 1) for i in range(len(self.pixels))))
        if len(self.info) != len(self.pixels):
            raise InputError(f"{self.source}: {len(self.info)} frame descriptions for {len(self.pixels)} frames.")

    @classmethod
    def from_array(cls, array: NDArray[Any], **attributes: Any) -> "Frames":
        """Return frames from a (rows, columns) or (n, rows, columns) array of any real type."""
        if np.iscomplexobj(array) or array.dtype.kind not in "biuf":
            raise InputError(
                f"{attributes.get('source', 'array')}: cannot use {array.dtype} values; give real numbers."
            )
        stack = array[np.newaxis] if array.ndim == 2 else array
        with np.errstate(over="ignore"):  # sessions refuse what is infinite then, and name the frame
            return cls(np.ascontiguousarray(stack, dtype=np.float32), **attributes)

    @property
    def matrix(self) -> MatrixSize:
        """Rows and columns of every frame."""
        return MatrixSize(self.pixels.shape[1], self.pixels.shape[2])

    def __len__(self) -> int:
        return len(self.pixels)

    def with_pixels(self, pixels: NDArray[np.float32], pixel_spacing_mm: tuple[float, float] | None = None) -> "Frames":
        """Return frames with other pixels (and spacing), everything else kept."""
        # As dataclasses.replace does it, in a fraction of its time.
        spacing = pixel_spacing_mm or self.pixel_spacing_mm
        return Frames(
            pixels, self.units, self.modality, spacing, self.info, self.instances, self.source, self.notes, self.affine
        )
