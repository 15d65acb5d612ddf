"""Frames through a graph in memory of a device: uploaded once, staged, run, finished and downloaded in one queue.

The same class runs with a queue on the CPU, where each stage is done when it returns: what tests compare with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _native
from ..frame_operations import Floats
from ..tiling import Keep, Tiling
from .base import Lane, Tensor

__all__ = ["Buffers", "DeviceBatch", "DeviceLane", "Engine"]

# Shapes whose memory a lane keeps; a stack gives two for each matrix, its full batches and the rest.
_SHAPES_KEPT = 8
Run = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Buffers:
    """Where a graph reads and writes, for as long as its queue's pipeline lives.

    Parameters
    ----------
    input, output : int
        Addresses in memory of the device; float32, C-contiguous.
    input_shape, output_shape : tuple of int
        (frames, 1, rows, columns) of both.
    """

    input: int
    output: int
    input_shape: tuple[int, int, int, int]
    output_shape: tuple[int, int, int, int]


class Engine(Protocol):
    """A graph that runs where its queue's frames are."""

    @property
    def queue(self) -> _native.DeviceQueue:
        """The queue that everything runs in, one after the other."""
        ...

    @property
    def worn(self) -> bool:
        """Whether it has gathered so much that a new one should take its place."""
        ...

    def bind(self, buffers: Buffers) -> Run:
        """Return what puts one run of the graph on these buffers into the queue; it need not wait for its end."""
        ...

    def close(self) -> None:
        """Give back what it holds; nothing that it bound runs any more."""
        ...


@dataclass(slots=True, eq=False)  # made for every batch: not frozen, which costs microseconds
class DeviceBatch:
    """Frames and what becomes of them.

    Parameters
    ----------
    pixels : ndarray, shape (n, rows, columns), float32 or uint16
        What goes up; float32 that are whole and fit go as uint16.
    tiling : Tiling
        Which tiles the graph sees.
    keep : {"sum", "mean", "none"}
        What every frame keeps.
    target, gain
        As in :meth:`~photopeak.engine.tiling.Tiling.finish`.
    high : float or ndarray, shape (n,)
        Values that become 1.
    out : ndarray, shape (n, scale * rows, scale * columns), float32, optional
        Memory for the result.
    threads : int
        Threads that copy frames to and from pinned memory.
    """

    pixels: NDArray[np.generic]
    tiling: Tiling
    keep: Keep
    target: ArrayLike = 0.0
    gain: ArrayLike = 1.0
    high: ArrayLike = 1.0
    out: Floats | None = None
    threads: int = 1


class DeviceLane:
    """One caller's way through a graph on a device; not for two threads at once.

    Parameters
    ----------
    engines : callable
        Returns a new engine with a queue of its own.
    lane : Lane
        Runs tensors in host memory, for those who have no frames.

    Examples
    --------
    A graph that doubles, in NumPy, with a queue on the CPU:

    >>> import ctypes
    >>> class Doubler:
    ...     queue, worn = _native.DeviceQueue("cpu", 0), False
    ...     def bind(self, buffers):
    ...         place = ctypes.c_float * int(np.prod(buffers.input_shape))
    ...         read, written = (np.frombuffer(place.from_address(at), "f4") for at in (buffers.input, buffers.output))
    ...         return lambda: np.multiply(read, 2, out=written)
    ...     def close(self): ...
    >>> from photopeak.engine.matrix import MatrixSize
    >>> lane = DeviceLane(Doubler, None)
    >>> batch = DeviceBatch(np.ones((1, 2, 3), np.uint16), Tiling(MatrixSize(2, 3)), "none")
    >>> frames, before, after = lane.process(batch)
    >>> frames[0, 0], before, after
    (array([2., 2., 2.], dtype=float32), array([12.]), array([12.]))
    """

    def __init__(self, engines: Callable[[], Engine], lane: Lane) -> None:
        self._engines = engines
        self._lane = lane
        self._engine: Engine | None = None
        self._known: dict[tuple[object, ...], tuple[_native.DevicePipeline, Run]] = {}

    def run(self, tensor: Tensor) -> Tensor:
        """Return the graph's output for a tensor in host memory, as any lane does."""
        return self._lane.run(tensor)

    def process(self, batch: DeviceBatch) -> tuple[Floats, NDArray[np.float64], NDArray[np.float64]]:
        """Return what :meth:`~photopeak.engine.tiling.Tiling.finish` returns, of frames that went through the graph.

        Raises
        ------
        InputError
            As ``Tiling.stage`` and ``Tiling.finish``.
        DeviceError
            If the device fails; the message has CUDA's name for it. The lane is of no use then.
        """
        pipeline, run = self._prepared(batch)
        high, gain = batch.high, batch.gain
        pipeline.fill(batch.pixels, 1.0, 0.0, 0.0, high, batch.target, gain, batch.threads)
        pipeline.upload()
        for tile in range(len(batch.tiling)):
            pipeline.stage(tile)
            run()
            pipeline.collect(tile)
        pipeline.finish()
        pipeline.download()
        pipeline.wait()
        return pipeline.take(batch.out, batch.threads)

    def _prepared(self, batch: DeviceBatch) -> tuple[_native.DevicePipeline, Run]:
        """Return memory for batches like this one, and the graph bound to it; made once."""
        if self._engine is None or self._engine.worn:
            self._renew()
        tiling = batch.tiling
        key = tiling.matrix, tiling.tile, tiling.overlap, tiling.step, len(batch.pixels), batch.keep
        if key not in self._known:
            if len(self._known) >= _SHAPES_KEPT:
                self._renew()
            self._known[key] = self._made(batch)
        return self._known[key]

    def _renew(self) -> None:
        """Start again: what a graph recorded for memory cannot be taken back alone."""
        self._known.clear()
        if self._engine:
            self._engine.close()
        self._engine = None
        self._engine = self._engines()

    def _made(self, batch: DeviceBatch) -> tuple[_native.DevicePipeline, Run]:
        assert self._engine is not None
        tiling, n = batch.tiling, len(batch.pixels)
        pipeline = _native.DevicePipeline(self._engine.queue, tiling.layout, n, batch.keep)
        (rows, columns), scale = tiling.tile, tiling.scale
        buffers = Buffers(pipeline.input, pipeline.output, (n, 1, rows, columns), (n, 1, scale * rows, scale * columns))
        return pipeline, self._engine.bind(buffers)
