"""From frames to the tensors that a graph takes, and back: rescaled, normalised, padded, cut, blended, conserved.

Each way is one operation, because each would otherwise be several passes that mostly move memory.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _native
from .errors import UsageError
from .frame_operations import Device, Floats
from .matrix import MatrixSize

__all__ = ["Keep", "Tiling"]

Keep = Literal["sum", "mean", "none"]
_WHOLE = MatrixSize(0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Tiling:
    """A plan for frames of one matrix size: which tiles a graph sees, and how much each of their pixels counts.

    A frame goes on below and to the right as its mirror image, as ``numpy.pad(mode="reflect")`` does, up to multiples of
    `step`. Tiles have one size, cover that and overlap by at least `overlap`. The outer quarter of an overlap is context
    only; in its middle the weight goes from one tile to the next as a raised cosine, and the weights of all tiles that
    cover a pixel sum to 1. Without `tile` there is one: the padded frame.

    Parameters
    ----------
    matrix : MatrixSize
        Size of the frames.
    tile : MatrixSize, optional
        Size of a tile; on an axis where the padded frame is smaller, the one tile has its size.
    overlap : int
        Pixels that neighbouring tiles share at least: with four times what the model's receptive field reaches beyond a
        pixel, blended tiles are what the whole frame would give.
    scale : int
        How many times larger tiles come back.
    step : int
        Tiles start at multiples of this and their size is one, so that models which pool see the pixels in the same groups.

    Raises
    ------
    UsageError
        If the overlap is negative or more than half a tile, scale or step is below 1, or the tile is no multiple of the
        step.

    Examples
    --------
    >>> plan = Tiling(MatrixSize(1024, 250), MatrixSize(512, 512), overlap=32, step=8)
    >>> plan.tile, plan.rows.tolist(), plan.columns.tolist()
    (MatrixSize(rows=512, columns=256), [0, 256, 512], [0])
    >>> frames = np.random.default_rng(0).random((1, 1024, 250), np.float32)
    >>> tiles = plan.stage(frames)
    >>> tiles.shape
    (3, 512, 256)
    >>> blended, _, _ = plan.finish(tiles, keep="none")
    >>> bool(np.allclose(blended, frames, rtol=1e-6))
    True
    """

    matrix: MatrixSize
    tile: MatrixSize = _WHOLE
    overlap: int = 0
    scale: int = 1
    step: int = 1
    rows: NDArray[np.int64] = field(init=False)
    columns: NDArray[np.int64] = field(init=False)
    row_weights: Floats = field(init=False)
    column_weights: Floats = field(init=False)
    layout: _native.Layout = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.scale < 1:
            raise UsageError(f"Tiles cannot be enlarged {self.scale} times; give 1 or more.")
        if self.step < 1 or any(size % self.step for size in self.tile):
            raise UsageError(f"{self.tile} tiles cannot start and end at multiples of {self.step}.")
        padded = MatrixSize(*(size + -size % self.step for size in self.matrix))
        wanted = padded if self.tile == _WHOLE else self.tile
        if min(wanted) < 1 or not 0 <= self.overlap <= min(wanted) // 2:
            raise UsageError(f"An overlap of {self.overlap} does not suit {wanted} tiles; give 0 to half a tile.")
        tile = MatrixSize(min(wanted.rows, padded.rows), min(wanted.columns, padded.columns))
        rows, columns = (_starts(*axis, self.overlap, self.step) for axis in zip(padded, tile, strict=True))
        weights = (
            _weights(rows * self.scale, tile.rows * self.scale),
            _weights(columns * self.scale, tile.columns * self.scale),
        )
        starts, flat = (rows.tolist(), columns.tolist()), (weights[0].ravel().tolist(), weights[1].ravel().tolist())
        plan = {
            "tile": tile,
            "rows": rows,
            "columns": columns,
            "row_weights": weights[0],
            "column_weights": weights[1],
            "layout": _native.Layout(self.matrix, tile, starts, flat, self.scale),
        }
        for name, value in plan.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Return the number of tiles of a frame."""
        return len(self.rows) * len(self.columns)

    @property
    def enlarged(self) -> MatrixSize:
        """Size of the frames that ``finish`` gives."""
        return MatrixSize(self.scale * self.matrix.rows, self.scale * self.matrix.columns)

    def stage(
        self,
        pixels: NDArray[Any],
        *,
        slope: ArrayLike = 1.0,
        intercept: ArrayLike = 0.0,
        low: ArrayLike = 0.0,
        high: ArrayLike = 1.0,
        tile: int | None = None,
        out: Floats | None = None,
        threads: int = 1,
        device: Device = "cpu",
    ) -> Floats:
        """Return the tiles of each frame, row by row, as the graph wants their values: one pass over memory.

        A pixel becomes ``(physical - low) / (high - low)`` with ``physical = pixel * slope + intercept``; the latter is
        computed in float64 and rounded once, and all of a frame becomes 0 when its limits are equal.

        Parameters
        ----------
        pixels : ndarray, shape (n, rows, columns)
            Frames of the plan's size: float32, or integers of 8, 16 or 32 bits.
        slope, intercept : float or ndarray, shape (n,)
            For all frames or for each of them; the slope is positive.
        low, high : float or ndarray, shape (n,)
            Physical values that become 0 and 1; used as float32. Nothing is clipped.
        tile : int, optional
            Only this tile of each frame.
        out : ndarray, shape (n * len(self), tile rows, tile columns), float32, optional
            Memory for the result, such as what a graph reads; n tiles with `tile`.
        threads : int
            Most threads to use.
        device : {"cpu", "cuda"}
            Where to compute.

        Returns
        -------
        ndarray, shape (n * len(self), tile rows, tile columns), float32
            Copies, also when nothing else is to be done.

        Raises
        ------
        InputError
            If the frames have another size or type, a slope is not positive, a limit is not finite or `low` above `high`.

        Examples
        --------
        >>> plan = Tiling(MatrixSize(1, 3), step=5)
        >>> plan.stage(np.array([[[0, 5, 20]]], np.uint16), high=10.0)[0, 0]
        array([0. , 0.5, 2. , 0.5, 0. ], dtype=float32)
        """
        return _native.stage(pixels, self.layout, slope, intercept, low, high, tile, out, threads, device)

    def finish(
        self,
        tiles: Floats,
        target: ArrayLike = 0.0,
        *,
        keep: Keep = "sum",
        gain: ArrayLike = 1.0,
        out: Floats | None = None,
        threads: int = 1,
        device: Device = "cpu",
    ) -> tuple[Floats, NDArray[np.float64], NDArray[np.float64]]:
        """Return frames made of tiles that were processed, with the sum or the mean that they should have.

        With ``keep="sum"`` pixels below zero become 0 first. A mean is kept only where it and the target are positive;
        nothing is cut off. What lies beyond the frame, and tiles where their weight is 0, are not looked at.

        Parameters
        ----------
        tiles : ndarray, shape (n * len(self), scale * tile rows, scale * tile columns), float32
            In the order of ``stage``; finite values.
        target : float or ndarray, shape (n,)
            Sum or mean that every frame should have; not used with ``keep="none"``.
        keep : {"sum", "mean", "none"}
            What the target is.
        gain : float or ndarray, shape (n,)
            What takes the values of the tiles to the units of the target, such as the peaks they were divided by.
        out : ndarray, shape (n, scale * rows, scale * columns), float32, optional
            Memory for the result.
        threads : int
            Most threads to use.
        device : {"cpu", "cuda"}
            Where to compute; the sums of the two agree to about 1e-12.

        Returns
        -------
        frames : ndarray, shape (n, scale * rows, scale * columns), float32
            Their sums meet the target to the precision of a float32 factor, 6e-8.
        before, after : ndarray, shape (n,), float64
            Sum of each frame as the tiles gave it and as it is now, or the mean with ``keep="mean"``.

        Raises
        ------
        InputError
            If tiles are missing or of another size or type, a pixel is not finite, the target of a sum is negative, or a
            frame without a positive pixel should get counts.

        Examples
        --------
        >>> Tiling(MatrixSize(1, 3)).finish(np.array([[[-1, 1, 3]]], np.float32), 8.0)
        (array([[[0., 2., 6.]]], dtype=float32), array([3.]), array([8.]))
        """
        return _native.finish(tiles, self.layout, target, keep, gain, out, threads, device)


def _starts(length: int, tile: int, overlap: int, step: int) -> NDArray[np.int64]:
    """Return where tiles start, in multiples of the step, that cover an axis evenly with at least the overlap."""
    if tile == length:
        return np.zeros(1, np.int64)
    way, stride = (length - tile) // step, (tile - overlap) // step
    if stride < 1:
        raise UsageError(f"Tiles of {tile} pixels cannot share {overlap} and start at multiples of {step}.")
    return step * np.rint(np.linspace(0, way, 1 - (-way // stride))).astype(np.int64)


def _weights(starts: NDArray[np.int64], tile: int) -> Floats:
    """Return one row of weights for each tile of an axis; those that meet at a pixel sum to 1."""
    weights = np.ones((len(starts), tile))
    for left, right in pairwise(range(len(starts))):
        shared = tile - int(starts[right] - starts[left])
        if shared == 0:
            continue
        context = shared // 4
        way = np.clip((np.arange(shared) + 0.5 - context) / (shared - 2 * context), 0, 1)
        rise = np.sin(np.pi / 2 * way) ** 2
        weights[left, tile - shared :] *= rise[::-1]
        weights[right, :shared] *= rise
    total = np.zeros(int(starts[-1]) + tile)
    for start, row in zip(starts, weights, strict=True):
        total[start : start + tile] += row
    return np.stack([row / total[start : start + tile] for start, row in zip(starts, weights, strict=True)]).astype(
        np.float32
    )
