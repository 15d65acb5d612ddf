"""Six regions of a frontal chest radiograph, found without a network.

The thorax is found by matching a template: two dark lungs with apices, diaphragm and a heart between them, in a bright
surround. The template has a place, a height, a width and an angle; a coarse search and a descent from its three best places
find the highest normalised correlation with the image, whose local mean and contrast were removed before, so that neither
grey levels nor processing matter. The regions divide the frame that was found, right and left of the midline and in thirds
of the lungs' height, as radiologists name zones of the lungs:

=====  ============  ==========================================================
label  name          what lies there
=====  ============  ==========================================================
1      right upper   apex, clavicle, medial border of the scapula
2      right middle  hilum, scapula's tip, middle ribs
3      right lower   right border of the heart, diaphragm, lower ribs
4      left upper    apex, clavicle, medial border of the scapula
5      left middle   hilum, pulmonary trunk, middle ribs
6      left lower    heart, diaphragm, lower ribs
=====  ============  ==========================================================

Right and left are the patient's: the right lung lies on the left of the image. 0 is outside of the thorax.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..matrix import MatrixSize
from .prepare import fit_placement, resample

__all__ = ["REGIONS", "Thorax", "chest_regions", "find_thorax"]

REGIONS = ("right upper", "right middle", "right lower", "left upper", "left middle", "left lower")
"""Names of the labels 1 to 6."""

Floats = NDArray[np.float64]
_SIDE = 32  # px of the search: ribs are blurred away, lungs are not
_REACH = 8  # px to either side over which mean and contrast are taken
_MARGIN = 1.2  # of the lungs' half width and height: chest wall, clavicles, diaphragm
_HALVINGS = 3
_STARTS = 3
_TILT_COST = 0.5  # of the correlation, at an angle of 1 rad: patients are upright unless the image says otherwise
_LEAST_CONTRAST = 1e-6


@dataclass(frozen=True, slots=True)
class Thorax:
    """Where the lungs lie in an image.

    Parameters
    ----------
    row, column : float
        Middle of both lungs [px], of edges: the first pixel's centre is 0.5.
    half_height, half_width : float
        From there to the apices and to the chest wall [px].
    angle : float
        Turn of the patient's axis, clockwise on the screen [rad].
    score : float
        Correlation with the template [1]; below 0.4 the image is hardly a frontal chest.
    """

    row: float
    column: float
    half_height: float
    half_width: float
    angle: float
    score: float = 0.0

    def coordinates(self, matrix: MatrixSize) -> tuple[Floats, Floats]:
        """Return the place of each pixel in units of the half height (down) and of the half width (to the patient's left)."""
        down = (np.arange(matrix.rows) + 0.5 - self.row)[:, None]
        across = (np.arange(matrix.columns) + 0.5 - self.column)[None]
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return (down * cosine - across * sine) / self.half_height, (across * cosine + down * sine) / self.half_width

    def mask(self, matrix: MatrixSize) -> NDArray[np.bool_]:
        """Return the pixels of the thorax: the lungs' frame with a fifth more for the chest wall, its corners rounded."""
        down, across = self.coordinates(matrix)
        return (np.abs(down) / _MARGIN) ** 4 + (np.abs(across) / _MARGIN) ** 4 < 1


def find_thorax(image: NDArray[np.float32]) -> Thorax:
    """Find the lungs in a frontal radiograph, air dark.

    Parameters
    ----------
    image : ndarray, shape (rows, columns), float32
        Grey values in any unit. Rows and columns of one value, such as padding, do not count.

    Returns
    -------
    Thorax
        The best match, however poor; see its `score`.

    Raises
    ------
    InputError
        If the image is of one value throughout or too small.

    References
    ----------
    * Lewis, J. P. (1995). Fast template matching. Vision Interface, 120-123. (Normalised correlation with a mask.)

    Examples
    --------
    >>> rows, columns = np.mgrid[-1:1:96j, -1:1:96j]
    >>> lungs = ((np.abs(columns) - 0.35) / 0.2) ** 2 + (rows / 0.5) ** 2 < 1
    >>> found = find_thorax(np.where(lungs, 0.2, 1.0).astype(np.float32))
    >>> abs(found.column - 48) < 3, found.score > 0.4
    (True, True)
    """
    if image.ndim != 2 or min(image.shape) < 8:
        raise InputError(f"an image of shape {image.shape} is no radiograph; give rows and columns of at least 8 px.")
    placement = fit_placement(MatrixSize(*image.shape), _SIDE)
    share = resample(np.ones_like(image), placement).astype(np.float64)
    grey = resample(image - image.min(), placement) / np.maximum(share, _LEAST_CONTRAST)
    inside = (share > share.max() / 2) & _alive(grey)
    if np.ptp(grey) <= 0 or not inside.any():
        raise InputError("an image of one grey value shows no thorax; give a radiograph.")
    match = _Match(_standardised(grey, inside) * inside, inside)
    templates, places = _coarse()
    scores = match.scores(templates, places)
    starts = [_at(places[i]) for i in np.argsort(scores)[-_STARTS:]]
    found = max((_descend(match, start) for start in starts), key=lambda thorax: thorax.score)
    at = placement.to_source((found.row, found.column))
    step = placement.step[0]
    return Thorax(
        float(at[0]),
        float(at[1]),
        found.half_height * step,
        found.half_width * step,
        found.angle,
        min(1.0, found.score),
    )


def chest_regions(thorax: Thorax, matrix: MatrixSize) -> NDArray[np.uint8]:
    """Return the label of each pixel: 1 to 6 as in `REGIONS`, 0 outside of the thorax.

    Parameters
    ----------
    thorax : Thorax
        From :func:`find_thorax`.
    matrix : MatrixSize
        That of the image.

    Returns
    -------
    ndarray, shape (rows, columns), uint8
        Label map.

    Examples
    --------
    >>> labels = chest_regions(Thorax(32, 32, 20, 20, 0.0), MatrixSize(64, 64))
    >>> int(labels[16, 20]), int(labels[32, 44]), int(labels[0, 0])
    (1, 5, 0)
    """
    down, across = thorax.coordinates(matrix)
    third = np.digitize(down, (-1 / 3, 1 / 3))
    return np.where(thorax.mask(matrix), 1 + third + 3 * (across >= 0), 0).astype(np.uint8)


def _alive(grey: Floats) -> NDArray[np.bool_]:
    """Return the pixels in rows and columns that are not of one value, as padding and collimation are."""
    least = 0.02 * np.ptp(grey)
    alive: NDArray[np.bool_] = (np.ptp(grey, axis=1) > least)[:, None] & (np.ptp(grey, axis=0) > least)[None]
    return alive


def _standardised(grey: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Remove the mean and the contrast of each pixel's surroundings."""
    share = np.maximum(_smooth(inside.astype(np.float64)), _LEAST_CONTRAST)
    offset = (grey - _smooth(grey * inside) / share) * inside
    spread = _smooth(offset**2) / share
    whole = (offset**2).sum() / max(inside.sum(), 1)
    relative: Floats = offset / np.sqrt(spread + 0.02 * whole + np.finfo(float).tiny)
    return relative.clip(-2.5, 2.5)


def _smooth(values: Floats) -> Floats:
    """Return the mean over a square twice, 0 beyond the image."""
    for axis in (0, 1, 0, 1):
        padded = np.pad(values, [(_REACH + 1, _REACH) if a == axis else (0, 0) for a in (0, 1)])
        total = padded.cumsum(axis)
        width = 2 * _REACH + 1
        values = (
            total.take(range(width, total.shape[axis]), axis) - total.take(range(values.shape[axis]), axis)
        ) / width
    return values


def _template(down: Floats, across: Floats) -> Floats:
    """Return 1 in the lungs, -1 about them and between, 0 where shoulders or air may be."""
    aside, left = np.abs(across), across > 0
    apex = -1 + 0.9 * np.clip(np.abs(aside - 0.42) / 0.5, 0, 1) ** 2.2
    base = np.where(left, 0.86, 0.80) - 0.25 * np.clip(0.5 - aside, 0, 1)
    medial = 0.2 + np.where(left, 0.28, 0.06) * np.clip(down, 0, 1)  # the heart
    lung = (aside < 0.95) & (aside > medial) & (down > apex) & (down < base)
    about = (aside < 1.18) & (down > -1.12) & (down < 1.2) & ~((down < -0.9) & (aside > 0.75))
    return lung.astype(float) - (about & ~lung)


@lru_cache(maxsize=1)
def _coarse() -> tuple[NDArray[np.float32], Floats]:
    """Return templates at all places of the coarse search, and those places (row, column, half height, half width, angle)."""
    sizes = [(h, w) for h, w in product(np.arange(6.5, 17, 1.75), repeat=2) if 0.7 < h / w < 1.55]
    places = [
        (row, column, h, w, 0.0)
        for (h, w), row, column in product(sizes, np.arange(9, 23.1, 1.75), np.arange(11.5, 20.6, 1.5))
    ]
    matrix = MatrixSize(_SIDE, _SIDE)
    templates = [_template(*_at(place).coordinates(matrix)).ravel() for place in places]
    return np.array(templates, np.float32), np.array(places)


def _at(place: Sequence[float] | Floats) -> Thorax:
    row, column, half_height, half_width, angle = map(float, place)
    return Thorax(row, column, half_height, half_width, angle)


class _Match:
    """Correlation of templates with one image."""

    def __init__(self, pixels: Floats, inside: NDArray[np.bool_]) -> None:
        self._weight = inside.ravel().astype(np.float32)
        self._moments = np.stack([self._weight, pixels.ravel(), pixels.ravel() ** 2], 1).astype(np.float32)

    def scores(self, templates: NDArray[np.float32], places: Floats) -> Floats:
        """Return the correlation over each template's support, less for what lies outside of the image or is tilted."""
        support = np.abs(templates)
        n, first, second = (support @ self._moments).T.astype(float)
        mean_template = templates @ self._weight / np.maximum(n, 1)
        mean = first / np.maximum(n, 1)
        variance = np.maximum(second / np.maximum(n, 1) - mean**2, 1e-4)
        covariance = templates @ self._moments[:, 1] / np.maximum(n, 1) - mean * mean_template
        correlation = -covariance / np.sqrt(variance * np.maximum(1 - mean_template**2, 0.05))
        seen = np.sqrt(n / np.maximum(support.sum(1), 1))
        large = np.minimum(1, n / (0.5 * self._weight.sum())) ** 0.25
        return np.asarray(correlation * seen * large - _TILT_COST * places[:, 4] ** 2)

    def score(self, thorax: Thorax) -> float:
        """Return the score of one place."""
        template = _template(*thorax.coordinates(MatrixSize(_SIDE, _SIDE))).astype(np.float32)
        place = np.array([[0.0, 0.0, 0.0, 0.0, thorax.angle]])
        return float(self.scores(template.reshape(1, -1), place)[0])


def _descend(match: _Match, start: Thorax) -> Thorax:
    """Improve a match one number at a time, with steps that are halved."""
    best = replace(start, score=match.score(start))
    steps = {"row": 1.0, "column": 1.0, "half_height": 1.0, "half_width": 1.0, "angle": 0.08}
    for _ in range(_HALVINGS):
        for _ in range(4):
            before = best.score
            for name, step in steps.items():
                for sign in (-1, 1):
                    tried = replace(best, **{name: getattr(best, name) + sign * step})
                    if min(tried.half_height, tried.half_width) < 4 or abs(tried.angle) > 0.35:
                        continue
                    score = match.score(tried)
                    if score > best.score:
                        best = replace(tried, score=score)
            if best.score <= before:
                break
        steps = {name: step / 2 for name, step in steps.items()}
    return best
