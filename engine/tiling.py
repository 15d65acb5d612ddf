"""Cutting large frames into overlapping tiles, and blending them again without seams."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from . import _native
from .errors import UsageError
from .frame_operations import Device, Floats
from .matrix import MatrixSize

__all__ = ["Tiling"]


@dataclass(frozen=True, slots=True, eq=False)
class Tiling:
    """A plan for frames of one matrix size: where tiles lie, and how much each of their pixels counts.

    Tiles have one size, lie inside of the frame and overlap by at least `overlap`. The outer quarter of an overlap is
    context only; in its middle the weight goes from one tile to the next as a raised cosine, and the weights of all tiles
    that cover a pixel sum to 1.

    Parameters
    ----------
    matrix : MatrixSize
        Size of the frames.
    tile : MatrixSize
        Size of a tile; on an axis where the frame is smaller, the one tile has the frame's size.
    overlap : int
        Pixels that neighbouring tiles share at least: with four times what the model's receptive field reaches beyond a
        pixel, blended tiles are what the whole frame would give.
    scale : int
        How many times larger tiles are when they are blended.
    step : int
        Tiles start at multiples of this, so that models which pool see the pixels in the same groups.

    Raises
    ------
    UsageError
        If the overlap is negative or more than half a tile, scale or step is below 1, or frame and tile are not multiples
        of the step.

    Examples
    --------
    >>> plan = Tiling(MatrixSize(1024, 256), MatrixSize(512, 512), overlap=32)
    >>> plan.tile, plan.rows.tolist(), plan.columns.tolist()
    (MatrixSize(rows=512, columns=256), [0, 256, 512], [0])
    >>> frames = np.random.default_rng(0).random((1, 1024, 256), np.float32)
    >>> bool(np.allclose(plan.blend(plan.split(frames)), frames, rtol=1e-6))
    True
    """

    matrix: MatrixSize
    tile: MatrixSize
    overlap: int
    scale: int = 1
    step: int = 1
    rows: NDArray[np.int64] = field(init=False)
    columns: NDArray[np.int64] = field(init=False)
    row_weights: Floats = field(init=False)
    column_weights: Floats = field(init=False)

    def __post_init__(self) -> None:
        if min(self.tile) < 1 or not 0 <= self.overlap <= min(self.tile) // 2:
            raise UsageError(f"An overlap of {self.overlap} does not suit {self.tile} tiles; give 0 to half a tile.")
        if self.scale < 1:
            raise UsageError(f"Tiles cannot be enlarged {self.scale} times; give 1 or more.")
        if self.step < 1 or any(size % self.step for size in (*self.tile, *self.matrix)):
            raise UsageError(f"{self.tile} tiles of {self.matrix} frames cannot start at multiples of {self.step}.")
        tile = MatrixSize(min(self.tile.rows, self.matrix.rows), min(self.tile.columns, self.matrix.columns))
        rows, columns = (_starts(*axis, self.overlap, self.step) for axis in zip(self.matrix, tile, strict=True))
        plan = {
            "tile": tile,
            "rows": rows,
            "columns": columns,
            "row_weights": _weights(rows * self.scale, tile.rows * self.scale),
            "column_weights": _weights(columns * self.scale, tile.columns * self.scale),
        }
        for name, value in plan.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Return the number of tiles of a frame."""
        return len(self.rows) * len(self.columns)

    def split(self, frames: Floats, *, out: Floats | None = None, threads: int = 1, device: Device = "cpu") -> Floats:
        """Return the tiles of each frame, row by row.

        Parameters
        ----------
        frames : ndarray, shape (n, rows, columns), float32
            Frames of the plan's size.
        out : ndarray, shape (n * len(self), tile rows, tile columns), float32, optional
            Memory for the result.
        threads : int
            Most threads to use.
        device : {"cpu", "cuda"}
            Where to compute.

        Returns
        -------
        ndarray, shape (n * len(self), tile rows, tile columns), float32
            Copies.

        Raises
        ------
        InputError
            If the frames have another size or type.
        """
        return _native.split(frames, self.rows, self.columns, *self.tile, out, threads, device)

    def blend(self, tiles: Floats, *, out: Floats | None = None, threads: int = 1, device: Device = "cpu") -> Floats:
        """Return frames made of tiles that were processed, and perhaps enlarged.

        Parameters
        ----------
        tiles : ndarray, shape (n * len(self), scale * tile rows, scale * tile columns), float32
            In the order of ``split``.
        out : ndarray, shape (n, scale * rows, scale * columns), float32, optional
            Memory for the result.
        threads : int
            Most threads to use.
        device : {"cpu", "cuda"}
            Where to compute.

        Returns
        -------
        ndarray, shape (n, scale * rows, scale * columns), float32
            Weighted means of the tiles.

        Raises
        ------
        InputError
            If tiles are missing or of another size or type.
        """
        return _native.blend(
            tiles,
            self.rows * self.scale,
            self.columns * self.scale,
            self.row_weights,
            self.column_weights,
            self.matrix.rows * self.scale,
            self.matrix.columns * self.scale,
            out,
            threads,
            device,
        )


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
