"""One frame of one result: its images for the viewer, and what is computed from them."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frames import Units
from ..result import Result
from . import charts, facts
from .images import Packed, display_step, pack, rebin, scale_between
from .statistics import Residual, histogram, residual, residual_histogram

__all__ = ["Planes", "Shown", "area_ratio", "show"]

BINS = 64


class Planes:
    """Packed images by content, so that an input that several models share is stored once."""

    def __init__(self) -> None:
        self.packed: dict[str, Packed] = {}

    def add(self, image: NDArray[np.float32], step: float) -> str:
        """Return the identifier of an image."""
        key = "p" + hashlib.sha256(image.tobytes() + repr((image.shape, step)).encode()).hexdigest()[:16]
        if key not in self.packed:
            self.packed[key] = pack(image, step)
        return key


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame as the page needs it.

    Parameters
    ----------
    label : str
        Name in the list of frames.
    before, after : str
        Identifiers of the packed images.
    change : float
        Nearly the largest difference, for the range of the difference map.
    hottest : tuple of int
        Row and column of the input pixel with the most counts afterwards.
    values : list
        Histograms of pixel values before and after, as a chart takes them.
    residual : Residual or None
        For counts, when there are enough.
    reading : str
        What the residual says.
    """

    label: str
    before: str
    after: str
    change: float
    hottest: tuple[int, int]
    values: list[dict[str, list[float]]]
    residual: Residual | None
    reading: str

    def data(self) -> dict[str, Any]:
        """Return what the viewer's script needs."""
        spread = residual_histogram(self.residual) if self.residual else None
        return {
            "label": self.label,
            "before": self.before,
            "after": self.after,
            "change": self.change,
            "row": self.hottest[0],
            "column": self.hottest[1],
            "values": self.values,
            "residual": charts.series(spread.centres, spread.fraction) if spread else None,
        }


def area_ratio(result: Result) -> float:
    """Return how many times the value of a pixel shrinks because its area does; 1 for concentrations."""
    scale = scale_between(result.source.pixels, result.frames.pixels)
    return float(scale**2) if result.conservation.kind == "sum" else 1.0


def show(result: Result, index: int, planes: Planes) -> Shown:
    """Return one frame of a result, its images added to `planes`."""
    before, after = result.source.pixels[index], result.frames.pixels[index]
    units, ratio = result.source.units, area_ratio(result)
    matched = rebin(after, scale_between(before, after), keep_sum=ratio > 1)
    row, column = np.unravel_index(int(np.argmax(matched)), matched.shape)
    found = residual(before.astype(np.float64), matched) if units is Units.COUNTS else None
    return Shown(
        label=facts.frame_label(result.source, index),
        before=planes.add(before, display_step(before, units)),
        after=planes.add(after, display_step(after, units, ratio)),
        change=float(np.percentile(np.abs(matched - before), 99.5)),
        hottest=(int(row), int(column)),
        values=_spectra(before, after * np.float32(ratio), whole=units is Units.COUNTS),
        residual=found,
        reading=facts.reading(found) if found else "",
    )


def _spectra(before: NDArray[np.float32], after: NDArray[np.float32], *, whole: bool) -> list[dict[str, list[float]]]:
    """Return the histograms of two images in the same bins, empty bins left out for the logarithm's sake."""
    lower, upper = float(min(before.min(), after.min())), float(max(before.max(), after.max()))
    if whole:
        # Every bin holds equally many whole numbers; the histogram of counts would be jagged otherwise.
        lower = math.floor(lower) - 0.5
        upper = lower + BINS * math.ceil((upper - lower) / BINS)
    spreads = [histogram(image.astype(np.float64), lower, max(upper, lower + 1e-6), BINS) for image in (before, after)]
    return [charts.series(s.centres[s.fraction > 0], s.fraction[s.fraction > 0]) for s in spreads]
