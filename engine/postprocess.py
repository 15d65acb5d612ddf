"""Between frames and a network: what its input is scaled by, and what its output keeps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import frame_operations
from .bundle import Output
from .errors import InputError, ModelError
from .frames import Frames
from .matrix import MatrixSize
from .providers.device_lane import DeviceBatch, DeviceLane
from .result import Conservation
from .tiling import Tiling

__all__ = ["Finisher", "Scaled", "peaks", "scale_in", "scale_out"]

_PEAK_QUANTILE = 0.995
Finished = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]


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
    found = peaks(pixels, threads)
    return Scaled(Tiling(MatrixSize(*pixels.shape[1:])).stage(pixels, high=found, threads=threads), found)


def scale_out(output: NDArray[np.float32], scaled: Scaled) -> None:
    """Undo :func:`scale_in`, in place."""
    if scaled.peaks is not None:
        output *= scaled.peaks[:, np.newaxis, np.newaxis]


def peaks(pixels: NDArray[np.float32], threads: int) -> NDArray[np.float32]:
    """Return the 99.5th percentile of each frame, or 1 where that is not positive."""
    _, high = frame_operations.robust_scale(pixels, _PEAK_QUANTILE, threads=threads)
    return np.where(high > 0, high, np.float32(1))


@dataclass(slots=True, eq=False)  # made for every call: not frozen, which costs microseconds
class Finisher:
    """Turns what a graph gives into frames whose sum (or mean) is that of the source, batch by batch.

    Parameters
    ----------
    source : Frames
        What went in.
    before : ndarray, shape (n,), float64
        The quantity of the source that is kept, or its mean where nothing is.
    peaks : ndarray, shape (n,), float32, or None
        What the frames were divided by, if they were.
    spec : Output
        Scale and the quantity to keep.
    threads : int
        Threads to use.
    """

    source: Frames
    before: NDArray[np.float64]
    peaks: NDArray[np.float32] | None
    spec: Output
    threads: int
    _batches: list[Finished] = field(default_factory=list)
    _pixels: NDArray[np.float32] | None = None

    def finish(self, batch: slice, tiles: NDArray[np.float32], tiling: Tiling) -> None:
        """Put the tiles of a batch of frames together.

        Raises
        ------
        ModelError
            If the graph gave values that are not finite.
        """
        target, gain, out = self.before[batch], self._gain(batch), self._memory(batch, tiling)
        keep, threads = self.spec.conserve, self.threads
        self._take(lambda: tiling.finish(tiles, target, keep=keep, gain=gain, out=out, threads=threads))

    def finish_on(self, lane: DeviceLane, batch: slice, pixels: NDArray[np.float32], tiling: Tiling) -> None:
        """Take a batch of frames through the graph on a device, from pixels to frames.

        Raises
        ------
        ModelError
            If the graph gave values that are not finite.
        """
        gain, out = self._gain(batch), self._memory(batch, tiling)
        work = DeviceBatch(
            pixels, tiling, self.spec.conserve, self.before[batch], gain, high=gain, out=out, threads=self.threads
        )
        self._take(lambda: lane.process(work))

    def _gain(self, batch: slice) -> float | NDArray[np.float32]:
        return 1.0 if self.peaks is None else self.peaks[batch]

    def _memory(self, batch: slice, tiling: Tiling) -> NDArray[np.float32] | None:
        """Return where a batch goes; one that is all there is needs no place of its own."""
        n = len(self.before)
        if batch.stop - batch.start < n and self._pixels is None:
            self._pixels = np.empty((n, *tiling.enlarged), np.float32)
        return None if self._pixels is None else self._pixels[batch]

    def _take(self, finish: Callable[[], Finished]) -> None:
        try:
            self._batches.append(finish())
        except InputError as error:
            name = self.source.source
            raise ModelError(f"{name}: the model gave NaN, infinite or no positive values at all.") from error

    def frames(self) -> Frames:
        """Return the result, with the pixel spacing that its scale gives."""
        spacing = self.source.pixel_spacing_mm
        finer = spacing and (spacing[0] / self.spec.scale, spacing[1] / self.spec.scale)
        return self.source.with_pixels(self._batches[0][0] if self._pixels is None else self._pixels, finer)

    def conservation(self) -> Conservation:
        """Return what was kept."""
        if len(self._batches) == 1:
            _, model, after = self._batches[0]
        else:
            model, after = (np.concatenate([found[i] for found in self._batches]) for i in (1, 2))
        if self.spec.conserve == "none":  # what is told is the mean
            pixels = self.source.matrix.pixels * self.spec.scale**2
            model, after = model / pixels, after / pixels
        return Conservation(self.spec.conserve, self.before, model, after)
