"""One edge: where it runs, its profile, and the modulation that follows."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .edge_fit import find_steps, line_through, refine
from .mixture import Ladder, families, ladder
from .oversample import STEP
from .spread import collect, estimate
from .uncertainty import modulation_of, standard_errors

__all__ = ["Edge", "Profile", "find_edge", "modulation_with_errors", "profile_of"]

Floats = NDArray[np.float64]

# A bend is followed if it exceeds these many standard errors, and pixels over the length of the edge.
_BENT = (4.0, 0.01)
# Pixels that must lie on either side, and how far to look for the blur of an edge before its profile is known.
_MARGIN = 4.0
_FARTHEST = 24.0
NO_EDGE = "no edge was found in the region; choose one that a single edge crosses near its middle."


@dataclass(frozen=True)
class Edge:
    """An edge in a region whose rows it crosses.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Pixels.
    line : ndarray, shape (3,), float64
        Column of the edge in powers of the distance from the middle row.
    low, high : float
        Levels to the left and right, roughly.
    width, sag : float
        Blur of the edge, and how far it bends [pixel].
    transposed : bool
        Whether rows and columns were exchanged.
    """

    plane: Floats
    line: Floats
    low: float
    high: float
    width: float
    sag: float
    transposed: bool

    @property
    def cosine(self) -> float:
        """What a difference of columns is foreshortened by, along the normal."""
        return 1.0 / math.hypot(1.0, float(self.line[1]))

    @cached_property
    def path(self) -> Floats:
        """The column of the edge in each row."""
        across = np.arange(len(self.plane)) - 0.5 * (len(self.plane) - 1)
        return np.asarray(self.line[0] + across * (self.line[1] + across * self.line[2]))

    @property
    def reach(self) -> tuple[float, float]:
        """How far to the left and right every row reaches [pixel]."""
        path = self.path
        return float(path.min()) * self.cosine, (self.plane.shape[1] - 1 - float(path.max())) * self.cosine


@dataclass(frozen=True)
class Profile:
    """What :func:`~photopeak.kernels.mtf.spread.estimate` found, and where.

    Parameters
    ----------
    table : Ladder
        The steps to mix.
    start : int
        Row of the table for the first coefficient.
    before : int
        Knots before the edge.
    atoms, amounts : ndarray
        The mixture; first the constant.
    deviation, spline, envelope : ndarray, shape (coefficients,), float64
        Splines of the deviation and of the whole profile, and the outline of the deviation.
    band : ndarray, shape (coefficients, 4), float64
        Matrix of least squares.
    facts : ndarray, shape (8,), float64
        Noise variances at either level, shift, prior of the deviation, evidence, and range of the deviation.
    empty : float
        Share of the intervals next to the edge without a pixel.
    """

    table: Ladder
    start: int
    before: int
    atoms: NDArray[np.int64]
    amounts: Floats
    deviation: Floats
    spline: Floats
    envelope: Floats
    band: Floats
    facts: Floats
    empty: float

    @property
    def dark(self) -> float:
        """The noise variance to the left, in units of the squared contrast."""
        return float(self.facts[0])

    @property
    def bright(self) -> float:
        """The noise variance to the right."""
        return float(self.facts[1])

    @property
    def base(self) -> float:
        """The level to the left."""
        return float(self.amounts[0] + self.deviation[0])


def find_edge(plane: Floats) -> Edge:
    """Return the edge in a region, with rows and columns exchanged if it runs along the rows."""
    # The sum of all gradients, which is the difference of opposite borders, points along the normal.
    across = float(np.abs((plane[:, -3:] - plane[:, :3]).sum()))
    down = float(np.abs((plane[-3:] - plane[:3]).sum()))
    transposed = down > across
    if transposed:
        plane = np.ascontiguousarray(plane.T)
    rows, columns = plane.shape
    centre, slope, low, high, distance = line_through(find_steps(plane)).tolist()
    if not distance <= 0.05 * rows + 2.0:
        raise InputError(NO_EDGE)
    line = np.array([centre, slope, 0.0])
    reach = min(0.25 * columns, _FARTHEST)
    width, sag, sag_error, _ = refine(plane, line, low, 1.0 / (high - low), reach, 2).tolist()
    if abs(sag) > max(_BENT[0] * sag_error, _BENT[1]):
        width, sag, sag_error, _ = refine(plane, line, low, 1.0 / (high - low), reach, 3).tolist()
    if not (np.isfinite(line).all() and _MARGIN < line[0] < columns - 1 - _MARGIN and width < 0.5 * columns):
        raise InputError(NO_EDGE)
    return Edge(plane, line, low, high, width, sag, transposed)


NO_EDGE = "no edge was found in the region; choose one that a single edge crosses near its middle."


def profile_of(edge: Edge) -> Profile:
    """Return the profile across an edge, over the whole region."""
    path, cosine = edge.path, edge.cosine
    before = math.ceil(float(path.max()) * cosine / STEP) + 1
    after = math.ceil((edge.plane.shape[1] - 1 - float(path.min())) * cosine / STEP) + 1
    moments = collect(edge.plane, edge.line, edge.low, 1.0 / (edge.high - edge.low), before, after)
    table = ladder(max(before, after))
    start = table.steps.shape[0] // 2 - 1 - before
    suited = families(edge.width, min(before, after) * STEP)
    facts = np.zeros(8)
    atoms, amounts, deviation, spline, envelope, band = estimate(
        moments, edge.width, start, table.steps, table.envelopes, suited, facts
    )
    empty = float((moments[max(before - 8, 0) : before + 8, 0] == 0.0).mean())
    return Profile(table, start, before, atoms, amounts, deviation, spline, envelope, band, facts, empty)


def modulation_with_errors(profile: Profile, frequencies: Floats, every: int) -> tuple[Floats, Floats, float]:
    """Return the modulation, its posterior standard deviations and the height of the whole step.

    Parameters
    ----------
    profile : Profile
        Of an edge.
    frequencies : ndarray, shape (n,), float64
        From 0 in equal steps [cycles/pixel].
    every : int
        Standard deviations are computed at each such frequency, and by straight lines between them.
    """
    steps = profile.atoms[1:]
    mixture = profile.table.widths[steps], profile.table.offsets[steps], profile.table.leans[steps]
    shift, size, length = profile.facts[2:5].tolist()
    low, high = int(profile.facts[6]), int(profile.facts[7])
    # Beyond its range the deviation is 0.
    first = max(low - 1, 0)
    part = profile.deviation[first : high + 1]
    spectrum = modulation_of(frequencies, *mixture, profile.amounts[1:], shift, part, profile.before - first)
    rows = np.ones((profile.atoms.size, profile.spline.size))
    rows[1:] = profile.table.steps[profile.start : profile.start + profile.spline.size, steps].T
    some = np.ascontiguousarray(frequencies[::every])
    errors = standard_errors(
        some,
        np.ascontiguousarray(spectrum[:, ::every]),
        *mixture,
        rows,
        profile.band,
        profile.envelope[low:high],
        size,
        length,
        low,
        profile.before,
    )
    return spectrum[2], np.interp(frequencies, some, errors), float(spectrum[0, 0])
