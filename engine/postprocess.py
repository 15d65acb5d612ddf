"""Between frames and a network: what its input is scaled by, and what its output keeps."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import frame_operations
from .bundle import Output
from .errors import InputError, ModelError
from .frames import Frames
from .matrix import MatrixSize
from .result import Conservation
from .tiling import Tiling

__all__ = ["Finisher", "Scaled", "peaks", "scale_in", "scale_out"]

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
    """Return frames scaled as a session does, for those who run or train a graph without one."""
    if scaling == "none":
        return Scaled(pixels, None)
    found = peaks(pixels, scaling, threads)
    return Scaled(Tiling(MatrixSize(*pixels.shape[1:])).stage(pixels, high=found, threads=threads), found)


def scale_out(output: NDArray[np.float32], scaled: Scaled) -> None:
    """Undo :func:`scale_in`, in place."""
    if scaled.peaks is not None:
        output *= scaled.peaks[:, np.newaxis, np.newaxis]


def peaks(pixels: NDArray[np.float32], scaling: Literal["none", "robust"], threads: int) -> NDArray[np.float32]:
    """Return what frames are divided by for the graph: 1, or their 99.5th percentile where that is positive."""
    if scaling == "none":
        return np.ones(len(pixels), np.float32)
    _, high = frame_operations.robust_scale(pixels, _PEAK_QUANTILE, threads=threads)
    return np.where(high > 0, high, np.float32(1))


@dataclass(slots=True, eq=False)  # made for every call: not frozen, which costs microseconds
class Finisher:
    """Turns what a graph gives into frames whose sum (or mean) is that of the source.

    Parameters
    ----------
    source : Frames
        What went in.
    peaks : ndarray, shape (n,), float32
        What the frames were divided by.
    kept : Conservation
        The quantity of the source in ``before``, its mean where nothing is kept; filled batch by batch with that of the bare
        output and of the result.
    pixels : ndarray, shape (n, scale * rows, scale * columns), float32
        Memory for the result.
    spec : Output
        Scale and the quantity to keep.
    """

    source: Frames
    peaks: NDArray[np.float32]
    kept: Conservation
    pixels: NDArray[np.float32]
    spec: Output

    @classmethod
    def of(cls, source: Frames, stats: NDArray[np.void], peaks: NDArray[np.float32], spec: Output) -> "Finisher":
        """Return one for frames, their ``frame_operations.statistics`` and their peaks."""
        n, (rows, columns) = len(source), source.matrix
        before = stats["sum"] if spec.conserve == "sum" else stats["sum"] / source.matrix.pixels
        kept = Conservation(spec.conserve, before, np.empty(n), np.empty(n))
        return cls(source, peaks, kept, np.empty((n, spec.scale * rows, spec.scale * columns), np.float32), spec)

    def finish(self, batch: slice, tiles: NDArray[np.float32], tiling: Tiling, threads: int) -> None:
        """Put the tiles of a batch of frames together.

        Raises
        ------
        ModelError
            If the graph gave values that are not finite.
        """
        try:
            _, model, after = tiling.finish(
                tiles,
                self.kept.before[batch],
                keep=self.spec.conserve,
                gain=self.peaks[batch],
                out=self.pixels[batch],
                threads=threads,
            )
        except InputError as error:
            name = self.source.source
            raise ModelError(f"{name}: the model gave NaN, infinite or no positive values at all.") from error
        if self.spec.conserve == "none":  # what is told is the mean
            model, after = model / self.pixels[0].size, after / self.pixels[0].size
        self.kept.model[batch], self.kept.after[batch] = model, after

    def frames(self) -> Frames:
        """Return the result, with the pixel spacing that its scale gives."""
        spacing = self.source.pixel_spacing_mm
        finer = spacing and (spacing[0] / self.spec.scale, spacing[1] / self.spec.scale)
        return self.source.with_pixels(self.pixels, finer)
