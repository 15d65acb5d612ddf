"""Noise power spectra of images: uniform areas as people name them, laid out with regions of one size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels.noise.power import NoisePowerSpectrum
from ...kernels.noise.spectrum import noise_power_spectrum
from ..errors import InputError, UsageError
from .images import Image
from .sharpness import Roi, frame_pixels, spelled

__all__ = ["Layout", "layout", "measure_nps"]

MOST_PIXELS = 64
# The spectrum of larger values is a sum of squares that no float holds.
_LARGEST = 1e100


@dataclass(frozen=True, slots=True)
class Layout:
    """Where noise is measured.

    Parameters
    ----------
    areas : tuple of tuples
        Uniform areas ``((row0, row1), (column0, column1))``, half-open.
    size : int
        Rows and columns of a region [pixels].
    regions : tuple of tuples
        The regions, half overlapping.
    """

    areas: tuple[Roi, ...]
    size: int
    regions: tuple[Roi, ...]


def layout(image: Image, areas: Sequence[Roi] = (), size: int | None = None) -> Layout:
    """Return regions that cover uniform areas of an image, each overlapping the next by half or a little more.

    Parameters
    ----------
    image : Image
        What is measured.
    areas : sequence of tuples
        Uniform areas; the whole frame if there are none.
    size : int, optional
        Rows and columns of a region; by default 64, or less where an area is smaller.

    Raises
    ------
    InputError
        If an area lies outside of the image, or is smaller than a region.
    UsageError
        If regions shall have no pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from photopeak.engine.frames import Frames
    >>> from photopeak.engine.quality.images import image_of
    >>> image = image_of(Frames.from_array(np.zeros((128, 128))))
    >>> found = layout(image, [((0, 96), (0, 64))])
    >>> found.size, found.regions
    (64, (((0, 64), (0, 64)), ((32, 96), (0, 64))))
    """
    if size is not None and size < 1:
        raise UsageError(f"regions of {size} pixels hold nothing; give 8 or more, such as --roi-size {MOST_PIXELS}.")
    rows, columns = image.frames.matrix
    chosen = tuple(areas) or (((0, rows), (0, columns)),)
    side = size or min(MOST_PIXELS, *(stop - start for area in chosen for start, stop in area))
    for area in chosen:
        (row0, row1), (column0, column1) = area
        if row1 > rows or column1 > columns:
            raise InputError(
                f"{image.file_of(0)}: the area {spelled(area)} lies outside of {rows} x {columns} pixels; keep it inside."
            )
        if min(row1 - row0, column1 - column0) < side:
            raise InputError(
                f"{image.file_of(0)}: the area {spelled(area)} is smaller than a region of {side} x {side} pixels; "
                "give a larger one or a smaller --roi-size."
            )
    regions = (region for area in chosen for region in _laid_out(area, side))
    return Layout(chosen, side, tuple(dict.fromkeys(regions)))


def measure_nps(
    image: Image,
    where: Layout,
    *,
    frame: int | None = None,
    spacing_mm: tuple[float, float] | None = None,
    threads: int = 1,
    **options: Any,
) -> NoisePowerSpectrum:
    """Return the noise power spectrum of an image.

    Parameters
    ----------
    image : Image
        Something uniform; its frames show the same thing, each with noise of its own.
    where : Layout
        From `layout`.
    frame : int, optional
        Number of the only frame to use, from 1.
    spacing_mm : tuple of float, optional
        Row and column spacing [mm].
    threads : int
        Most threads to use.
    **options
        ``detrend``, ``window`` and ``subtract`` of :func:`photopeak.kernels.noise_power_spectrum`.

    Raises
    ------
    InputError
        If values are too large to be squared, or as the kernel says.

    Examples
    --------
    >>> import numpy as np
    >>> from photopeak.engine.frames import Frames
    >>> from photopeak.engine.quality.images import image_of
    >>> image = image_of(Frames.from_array(np.random.default_rng(0).poisson(50, (4, 128, 128))))
    >>> spectrum = measure_nps(image, layout(image))
    >>> abs(float(spectrum.power.mean()) / 50 - 1) < 0.03
    True
    """
    pixels = image.pixels if frame is None else frame_pixels(image, frame)
    if pixels.size and np.isfinite(pixels).all() and float(np.abs(pixels).max()) > _LARGEST:
        raise InputError(
            f"{image.file_of(0)}: values beyond {_LARGEST:g} have no power that numbers hold; rescale them."
        )
    return noise_power_spectrum(pixels, pixel_spacing_mm=spacing_mm, rois=where.regions, threads=threads, **options)


def _laid_out(area: Roi, side: int) -> list[Roi]:
    rows, columns = (_starts(start, stop, side) for start, stop in area)
    return [((row, row + side), (column, column + side)) for row in rows for column in columns]


def _starts(start: int, stop: int, side: int) -> list[int]:
    """Return where regions start that cover a length evenly, each overlapping the next by half or a little more."""
    slack = stop - start - side
    steps = -(-2 * slack // side)
    return [start + round(i * slack / max(steps, 1)) for i in range(steps + 1)]
