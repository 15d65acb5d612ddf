"""Transfer functions of images: regions as people write them, spacing from the header, before and after on one axis."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ... import kernels
from ...kernels.mtf.curve import Mtf
from ..errors import InputError, UsageError
from .images import Image

__all__ = [
    "METHODS",
    "Curve",
    "Roi",
    "exact",
    "frame_pixels",
    "measure_mtf",
    "measure_pair",
    "parse_roi",
    "read_mtf",
    "rescaled",
    "spacing_for",
    "spelled",
]

Roi = tuple[tuple[int, int], tuple[int, int]]
Spacing = tuple[float, float]
Floats = NDArray[np.float64]

UNITS = {"_mm": " mm", "_px": " px", "_deg": "\u00b0"}
METHODS = ("edge", "disk", "line", "point")


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A transfer function and where it was measured.

    Parameters
    ----------
    roi : tuple of tuple of int
        ``((row0, row1), (column0, column1))``, half-open.
    mtf : Mtf
        The curve.
    scale : int
        How many pixels of its image lie along one of the image that it is compared with.
    """

    roi: Roi
    mtf: Mtf
    scale: int = 1

    @property
    def frequencies(self) -> Floats:
        """Frequencies [cycles/mm], or [cycles/pixel of the first image] where the spacing is not known."""
        return self.mtf.frequencies * self.per_frequency

    @property
    def per_frequency(self) -> float:
        """What turns cycles/pixel into the unit of `frequencies`."""
        return self.scale if self.mtf.pixel_spacing_mm is None else 1 / self.mtf.pixel_spacing_mm

    @property
    def unit(self) -> str:
        """The unit of `frequencies`."""
        return "cycles/pixel" if self.mtf.pixel_spacing_mm is None else "cycles/mm"

    @property
    def scalars(self) -> dict[str, float]:
        """What the method found on its way that is a number: angle, radius, widths."""
        return {name: float(value) for name, value in self.mtf.details.items() if _is_number(value)}

    @property
    def widths(self) -> dict[str, str]:
        """Full widths at half and at a tenth of the maximum, where the method gives them: in mm if these are known.

        A point has two, from row to row and from column to column.
        """
        unit = "px" if self.mtf.pixel_spacing_mm is None else "mm"
        keys = {f"{name} [{unit}]": f"{name.lower()}_{unit}" for name in ("FWHM", "FWTM")}
        found = {heading: self.mtf.details.get(key) for heading, key in keys.items()}
        return {
            heading: " \u00d7 ".join(f"{float(width):.3f}" for width in np.atleast_1d(value))
            for heading, value in found.items()
            if value is not None
        }

    @property
    def spelled_scalars(self) -> str:
        """The other numbers of `scalars` in words, such as ``snr 9.1, radius 47.8 mm``."""
        words = []
        for name, value in self.scalars.items():
            if name.startswith(("fwhm", "fwtm")):
                continue
            stem, unit = next(
                ((name.removesuffix(end), u) for end, u in UNITS.items() if name.endswith(end)), (name, "")
            )
            words.append(f"{stem.replace('_', ' ')} {value:.4g}{unit}")
        return ", ".join(words)


def parse_roi(text: str) -> Roi:
    """Return the region that ``R0:R1,C0:C1`` names.

    Raises
    ------
    UsageError
        If it is not two ranges of whole numbers.

    Examples
    --------
    >>> parse_roi("20:80,30:90")
    ((20, 80), (30, 90))
    """
    try:
        (row0, row1), (column0, column1) = (map(int, part.split(":")) for part in text.split(","))
    except ValueError:
        row0 = row1 = column0 = column1 = 0
    if not (0 <= row0 < row1 and 0 <= column0 < column1):
        raise UsageError(f"{text!r} is no region; write R0:R1,C0:C1 with the last row and column excluded.")
    return (row0, row1), (column0, column1)


def spacing_for(image: Image, given_mm: float | None = None) -> Spacing | None:
    """Return row and column spacing [mm]: what is given, or else the header's; None if neither is known.

    Raises
    ------
    UsageError
        If the spacing given is not positive.
    """
    if given_mm is None:
        return image.frames.pixel_spacing_mm
    if not (np.isfinite(given_mm) and given_mm > 0):
        raise UsageError(f"the spacing {given_mm:g} mm makes no sense; give a positive number.")
    return given_mm, given_mm


def measure_mtf(
    image: Image,
    method: str,
    *,
    frame: int = 1,
    rois: Sequence[Roi] = (),
    auto: bool = False,
    spacing_mm: Spacing | None = None,
    threads: int = 1,
) -> tuple[Curve, ...]:
    """Return the transfer function of each region of one frame.

    Parameters
    ----------
    image : Image
        What to measure.
    method : {"edge", "disk", "line", "point"}
        What the regions show.
    frame : int
        Number of the frame, from 1.
    rois : sequence of tuples
        The regions; the whole frame if there are none.
    auto : bool
        Whether to look for regions in place of that.
    spacing_mm : tuple of float, optional
        Row and column spacing [mm].
    threads : int
        Regions to work on side by side.

    Raises
    ------
    InputError
        If nothing can be measured in a region, or none is found.
    UsageError
        If there is no such method or frame, or regions are named and to be looked for.

    Examples
    --------
    >>> from photopeak.engine.frames import Frames
    >>> from photopeak.engine.quality.images import image_of
    >>> row, column = np.mgrid[:64, :64]
    >>> disk = 100 / (1 + np.exp((np.hypot(row - 31.2, column - 32.1) - 18) / 0.8))
    >>> (curve,) = measure_mtf(image_of(Frames.from_array(disk)), "disk")
    >>> curve.roi, 0.1 < curve.mtf.mtf50 < 0.2
    (((0, 64), (0, 64)), True)
    """
    pixels = frame_pixels(image, frame)
    if auto and rois:
        raise UsageError("--roi names regions and --auto looks for them; give one of the two.")
    if auto:
        rois = _found(pixels, method, image.file_of(frame - 1), spacing_mm)
    rows, columns = image.frames.matrix
    wanted = list(rois) or [((0, rows), (0, columns))]
    mtfs = _method(method)(pixels, pixel_spacing_mm=spacing_mm, rois=wanted, threads=threads)
    return tuple(Curve(roi, mtf) for roi, mtf in zip(wanted, mtfs, strict=True))


def frame_pixels(image: Image, frame: int) -> NDArray[Any]:
    """Return the pixels of the frame with a number, as integers where they are.

    Raises
    ------
    UsageError
        If there is no such frame.
    """
    if not 1 <= frame <= len(image):
        raise UsageError(f"{image.file_of(0)}: has {len(image)} frame(s), so that there is no frame {frame}.")
    return exact(image.pixels[frame - 1])


def exact(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers that are stored as floats, as counts from DICOM are, in an integer type.

    What is whole may have been clipped or rounded, which kernels look for.
    """
    if pixels.dtype.kind != "f" or not np.isfinite(pixels).all() or np.abs(pixels).max() >= 2**31:
        return pixels
    rounded = np.rint(pixels)
    return rounded.astype(np.int32) if np.array_equal(rounded, pixels) else pixels


def rescaled(rois: Sequence[Roi], before: Image, after: Image) -> tuple[tuple[Roi, ...], int]:
    """Return regions of the image before on the matrix of the image after, and how many times finer that is.

    Raises
    ------
    InputError
        If one matrix is not a whole multiple of the other, the same down and across.
    """
    (rows, columns), (new_rows, new_columns) = before.frames.matrix, after.frames.matrix
    scale = new_rows // rows
    if scale < 1 or (new_rows, new_columns) != (scale * rows, scale * columns):
        raise InputError(
            f"{after.file_of(0)}: its matrix {after.frames.matrix} is no whole multiple of {before.frames.matrix}; "
            "measure it by itself."
        )
    return tuple(cast(Roi, tuple((scale * a, scale * b) for a, b in roi)) for roi in rois), scale


def read_mtf(path: Path) -> Mtf:
    """Return the first curve of what ``photopeak mtf --json`` printed.

    Raises
    ------
    InputError
        If the file holds no such curve.
    """
    try:
        curve = json.loads(path.read_text("utf-8"))["curves"][0]
        columns = [curve[name] for name in ("frequencies", "modulation", "lower", "upper")]
        frequencies, modulation, lower, upper = np.array(columns, np.float64)
        spacing = None if curve["pixel_spacing_mm"] is None else float(curve["pixel_spacing_mm"])
        return Mtf(str(curve["method"]), frequencies, modulation, lower, upper, pixel_spacing_mm=spacing)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(f"{path}: holds no curve; write one with photopeak mtf FILE --json > {path.name}.") from error


def measure_pair(
    before: Image,
    after: Image,
    curves: Sequence[Curve],
    *,
    frame: int = 1,
    spacing_mm: Spacing | None = None,
    threads: int = 1,
) -> tuple[Curve, ...]:
    """Return the curves of the same regions of another image, which may have a finer matrix.

    Parameters
    ----------
    before, after : Image
        What was measured, and what to measure now.
    curves : sequence of Curve
        From `measure_mtf` of the image before.
    frame : int
        Number of the frame, from 1.
    spacing_mm : tuple of float, optional
        Row and column spacing of the image before [mm]; that of the other follows from the matrix.
    threads : int
        Regions to work on side by side.

    Raises
    ------
    InputError
        If the matrices do not fit, or nothing can be measured.
    """
    rois, scale = rescaled([curve.roi for curve in curves], before, after)
    spacing = spacing_mm and (spacing_mm[0] / scale, spacing_mm[1] / scale)
    method = curves[0].mtf.method
    found = measure_mtf(after, method, frame=frame, rois=rois, spacing_mm=spacing, threads=threads)
    return tuple(replace(curve, scale=scale) for curve in found)


def spelled(roi: Roi) -> str:
    """Return a region as it is written on the command line.

    Examples
    --------
    >>> spelled(((20, 80), (30, 90)))
    '20:80,30:90'
    """
    return ",".join(f"{start}:{stop}" for start, stop in roi)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _method(name: str) -> Callable[..., tuple[Mtf, ...]]:
    if name not in METHODS:
        raise UsageError(f"there is no method {name!r}; choose from {', '.join(METHODS)}.")
    return cast(Callable[..., tuple[Mtf, ...]], getattr(kernels, f"{name}_mtf"))


def _found(pixels: NDArray[Any], method: str, file: str, spacing_mm: Spacing | None) -> tuple[Roi, ...]:
    from ...kernels.mtf.roi import Method, find_rois

    _method(method)
    found = find_rois(pixels, cast(Method, method), pixel_spacing_mm=spacing_mm)
    if not found:
        raise InputError(f"{file}: no {method} was found; name a region with --roi R0:R1,C0:C1.")
    return found
