"""From a network's raw output to frames that keep what physics keeps."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import frame_operations
from .bundle import Output
from .errors import InputError, ModelError
from .frames import Frames
from .result import Conservation

__all__ = ["Scaled", "finish", "scale_in", "scale_out"]

_PEAK_QUANTILE = 0.995


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """Frames divided by their peaks, and the peaks; None where nothing was scaled.

    Parameters
    ----------
    pixels : ndarray, shape (n, rows, columns), float32
        What goes into the graph.
    peaks : ndarray, shape (n,), float32, or None
        What to multiply the output by.
    """

    pixels: NDArray[np.float32]
    peaks: NDArray[np.float32] | None


def scale_in(pixels: NDArray[np.float32], scaling: Literal["none", "robust"], threads: int) -> Scaled:
    """Return frames as the graph wants them: as they are, or divided by their 99.5th percentile."""
    if scaling == "none":
        return Scaled(pixels, None)
    _, high = frame_operations.robust_scale(pixels, _PEAK_QUANTILE, threads=threads)
    peaks = np.where(high > 0, high, np.float32(1))
    return Scaled(frame_operations.normalise(pixels, 0.0, peaks, threads=threads), peaks)


def scale_out(output: NDArray[np.float32], scaled: Scaled) -> None:
    """Undo :func:`scale_in`, in place."""
    if scaled.peaks is not None:
        output *= scaled.peaks[:, np.newaxis, np.newaxis]


def finish(
    source: Frames, output: NDArray[np.float32], stats: NDArray[np.void], spec: Output, threads: int
) -> tuple[Frames, Conservation]:
    """Return output frames whose sum (or mean) is that of the source, and how far the bare model was off.

    Parameters
    ----------
    source : Frames
        What went in.
    output : ndarray, shape (n, scale * rows, scale * columns), float32
        What the graph gave; changed in place.
    stats : structured ndarray, shape (n,)
        ``frame_operations.statistics`` of the source.
    spec : Output
        Scale and the quantity to keep.
    threads : int
        Threads to use.

    Raises
    ------
    ModelError
        If the graph gave values that are not finite.
    """
    before = stats["sum"] / source.matrix.pixels if spec.conserve == "mean" else stats["sum"]
    try:
        model, after = _conserved(output, before, spec, threads)
    except InputError as error:
        raise ModelError(f"{source.source}: the model gave NaN, infinite or no positive values at all.") from error
    spacing = source.pixel_spacing_mm and (
        source.pixel_spacing_mm[0] / spec.scale,
        source.pixel_spacing_mm[1] / spec.scale,
    )
    return source.with_pixels(output, spacing), Conservation(spec.conserve, before, model, after)


def _conserved(
    output: NDArray[np.float32], target: NDArray[np.float64], spec: Output, threads: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale the output in place; return the quantity as the model left it and as it is now."""
    if spec.conserve == "sum":
        _, model, after = frame_operations.conserve(output, target, out=output, threads=threads)
        return model, after
    reduce = np.mean if spec.conserve == "mean" else np.sum
    model = reduce(output, axis=(1, 2), dtype=np.float64)
    if not np.isfinite(model).all():
        raise InputError("it holds NaN or infinite values")
    if spec.conserve == "none":
        return model, model
    # Concentrations may be negative, as noise about zero: scaled, not cut off, and only where a mean has a meaning.
    usable = (model > 0) & (target > 0)
    output *= np.where(usable, target / np.where(usable, model, 1.0), 1.0).astype(np.float32)[:, np.newaxis, np.newaxis]
    return model, reduce(output, axis=(1, 2), dtype=np.float64)
