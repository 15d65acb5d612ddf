"""Calls of a session with one given plan, on frames made of the bundle's golden ones: what a tuner times."""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .frames import Frames
from .matrix import MatrixSize
from .plan import Plan
from .providers import Runnable
from .session import Session
from .tuned import Cell

__all__ = ["Trials", "enlarged"]

Tensor = NDArray[np.float32]


class Trials:
    """What is run for one matrix and number of frames.

    Parameters
    ----------
    bundle : Bundle
        The model.
    cell : Cell
        Matrix that goes into the graph, and frames of each call.
    """

    def __init__(self, bundle: Bundle, cell: Cell) -> None:
        self._bundle = bundle
        self._cell = cell
        golden = bundle.golden_heads if bundle.manifest.analysis else bundle.golden
        chosen = np.arange(cell.frames) % len(golden.input)
        self._tensor = enlarged(golden.input[chosen], cell.matrix)

    def call(self, plan: Plan, runnable: Runnable) -> Callable[[], float]:
        """Return a call of a session with exactly this plan; it returns the time inside the graph [ms].

        Of models of findings it begins on the working grid and ends with the heads: the rest is the same for every plan.
        """
        if self._bundle.manifest.analysis is None:
            session, frames = self._session(plan, runnable), self._frames(self._tensor)
            return lambda: session.run(frames).timings_ms["infer"]
        from .analysis.session import AnalysisSession

        finder, tensor = AnalysisSession(self._bundle, plan, runnable, lambda *_: (plan, runnable)), self._tensor

        def infer() -> float:
            start = perf_counter()
            finder.infer(tensor)
            return 1e3 * (perf_counter() - start)

        return infer

    def seams(self, plan: Plan, runnable: Runnable) -> tuple[float, float]:
        """Return what tiles cost against the whole frame: loss of PSNR [dB], and largest difference relative to the peak [1].

        The seams count as noise that is added to the error of the first golden frame.
        """
        frames = self._frames(self._tensor[:1])
        whole, tiled = (
            self._session(one, runnable).run(frames).frames.pixels.astype(np.float64)
            for one in (replace(plan, tile=0, batch=1), replace(plan, batch=1))
        )
        golden = self._bundle.golden
        error = float(np.mean((golden.output[:1].astype(np.float64) - golden.truth[:1]) ** 2)) + 1e-20
        seams = float(np.mean((tiled - whole) ** 2))
        peak = max(float(np.abs(whole).max()), float(np.finfo(np.float32).tiny))
        return 10 * float(np.log10(1 + seams / error)), float(np.abs(tiled - whole).max()) / peak

    def _session(self, plan: Plan, runnable: Runnable) -> Session:
        return Session(self._bundle, plan, runnable, lambda *_: (plan, runnable))

    def _frames(self, tensor: Tensor) -> Frames:
        manifest = self._bundle.manifest
        pixels = np.ascontiguousarray(tensor[:, 0])
        return Frames(pixels, manifest.input.units, manifest.modalities[0])


def enlarged(images: Tensor, matrix: MatrixSize) -> Tensor:
    """Return images continued as their mirror images, or cut, to a matrix.

    Parameters
    ----------
    images : ndarray, shape (..., rows, columns)
        Any images.
    matrix : MatrixSize
        What they become.

    Examples
    --------
    >>> enlarged(np.array([[1, 2]], np.float32), MatrixSize(1, 5)).tolist()
    [[1.0, 2.0, 2.0, 1.0, 1.0]]
    """
    rows, columns = (_mirrored(*sizes) for sizes in zip(images.shape[-2:], matrix, strict=True))
    return np.ascontiguousarray(images[..., rows[:, np.newaxis], columns])


def _mirrored(size: int, wanted: int) -> NDArray[np.intp]:
    place = np.arange(wanted) % (2 * size)
    return np.minimum(place, 2 * size - 1 - place)
