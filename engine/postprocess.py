"""From a network's raw output to frames that keep what physics keeps."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import frame_operations
from .bundle import Output
from .errors import ModelError
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
    _, high = frame_operations.robust_range(pixels, 0.0, _PEAK_QUANTILE, threads=threads)
    peaks = np.where(high > 0, high, np.float32(1))
    return Scaled(frame_operations.normalise(pixels, np.zeros_like(peaks), peaks, threads=threads), peaks)


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
    before = np.maximum(stats["sum"], 0.0)
    # A mean is kept when the sum grows with the number of pixels.
    target = before * spec.scale**2 if spec.conserve == "mean" else before
    if spec.conserve == "none":
        model = after = frame_operations.statistics(output, threads=threads)["sum"]
    else:
        model, after = frame_operations.conserve(output, target, threads=threads)
    if not np.isfinite(model).all():
        raise ModelError(f"{source.source}: the model gave NaN or infinite values; ask for --precision fp32.")
    pixels = source.matrix.pixels
    per_frame = np.array(1.0 if spec.conserve != "mean" else 1.0 / pixels)
    growth = spec.scale**2 if spec.conserve == "mean" else 1
    kept = Conservation(spec.conserve, before * per_frame, model * per_frame / growth, after * per_frame / growth)
    spacing = source.pixel_spacing_mm and (
        source.pixel_spacing_mm[0] / spec.scale,
        source.pixel_spacing_mm[1] / spec.scale,
    )
    return source.with_pixels(output, spacing), kept
