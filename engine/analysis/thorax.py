"""Where the ribs are on a bone scan: from the outline of the body and the profile of its skeleton, without learning.

A head above shoulders tells it on whole-body scans and on views of the upper body. Where the field begins below the shoulders, ribs
are known by their stripes: across them the counts change from row to row, while long bones change from column to column.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

__all__ = ["find_ribs"]

Floats = NDArray[np.float64]

_OUTLINE_MM, _STRIPES_MM = 8.0, 4.5  # cells on which outline and stripes are measured
_SHOULDERS_MM = 270.0  # wider than any head, narrower than the shoulders of an adult
_TRUNK_MM, _LASTING_MM = 200.0, 40.0
_HEAD_MM = (90.0, 250.0)
_SPOT_MM = 900.0  # fields that are taller show the shoulders
_LEAST_STEP = 0.55  # air has less of the body's root counts; what has more is another part of the body
_WHOLE_BODY_MM = (1300.0, 2100.0)
_STATURE_MM = 1700.0  # of an adult of whom the field shows a part
# First and last rib below the edge of the shoulders, and half the width, as shares of the stature.
_FIRST_RIB, _LAST_RIB, _HALF_WIDTH = 0.033, 0.204, 0.1
_NEEDED_MM = 180.0  # of ribs inside the field
_LATERAL_MM = (35.0, 125.0)  # from the midline: ribs without spine and arms
_LEAST_STRIPES, _LEAST_MIDLINE = 0.12, 1.08
_AIM, _AIM_MM = 0.08, 50.0
_NO_THORAX = "no thorax was found: give the anterior or posterior view of a bone scan that shows the ribs, with its pixel spacing."


@dataclass(frozen=True)
class _Outline:
    """The body on coarse cells: first and last column (exclusive) of each row's central run, and the size of a cell [mm]."""

    cells: Floats
    runs: NDArray[np.int64]
    cell_mm: tuple[float, float]

    @property
    def width_mm(self) -> Floats:
        """Return the width of each row's run [mm]."""
        return np.asarray((self.runs[:, 1] - self.runs[:, 0]) * self.cell_mm[1], np.float64)


def find_ribs(frame: NDArray[np.generic], pixel_spacing_mm: tuple[float, float]) -> tuple[float, float, float, float]:
    """Return the box of the rib cage.

    Parameters
    ----------
    frame : ndarray, shape (rows, columns)
        Counts of an anterior or posterior view, head up: a whole body, an upper body or the thorax.
    pixel_spacing_mm : tuple of float
        Row and column spacing [mm].

    Returns
    -------
    row0, column0, row1, column1 : float
        Edges of the box [px]; it may reach beyond a field that cuts the rib cage.

    Raises
    ------
    InputError
        If nothing looks like a thorax.

    References
    ----------
    * Otsu, N. (1979). A threshold selection method from gray-level histograms. IEEE Trans. Syst. Man Cybern. 9, 62-66.

    Examples
    --------
    >>> find_ribs(np.ones((256, 256)), (2.2, 2.2))
    Traceback (most recent call last):
    photopeak.kernels.errors.InputError: no thorax was found: give the anterior ...
    """
    image = np.nan_to_num(np.maximum(np.asarray(frame, np.float64), 0), posinf=0.0)
    if image.ndim != 2 or min(np.multiply(image.shape, pixel_spacing_mm)) < _NEEDED_MM or not image.any():
        raise InputError(_NO_THORAX)
    outline = _outline(image, pixel_spacing_mm)
    found = _below_shoulders(outline)
    if found is None and len(image) * pixel_spacing_mm[0] <= _SPOT_MM:
        found = _by_stripes(image, pixel_spacing_mm, outline)
    if found is None:
        raise InputError(_NO_THORAX)
    top_mm, stature_mm = found
    bottom_mm = top_mm + (_LAST_RIB - _FIRST_RIB) * stature_mm
    middle_mm = _midline(outline, top_mm, bottom_mm)[0]
    half_mm = _HALF_WIDTH * stature_mm
    rows, columns = pixel_spacing_mm
    return top_mm / rows, (middle_mm - half_mm) / columns, bottom_mm / rows, (middle_mm + half_mm) / columns


def _outline(image: Floats, spacing_mm: tuple[float, float]) -> _Outline:
    """Separate the body from the air and follow it from row to row."""
    cells, cell_mm = _binned(image, spacing_mm, _OUTLINE_MM)
    level = np.sqrt(_smooth(cells))
    body = level > _otsu(level)
    if body.all() or not body.any() or level[~body].mean() > _LEAST_STEP * level[body].mean():
        body[:] = True
    runs = np.zeros((len(body), 2), np.int64)
    for row, inside in enumerate(body):
        on = np.flatnonzero(inside)
        if on.size:
            weight = np.cumsum(level[row] * inside)
            middle = on[np.argmin(np.abs(on - np.searchsorted(weight, weight[-1] / 2)))]
            gaps = np.flatnonzero(~inside)
            left, right = gaps[gaps < middle], gaps[gaps > middle]
            runs[row] = (left[-1] + 1 if left.size else 0, right[0] if right.size else len(inside))
    return _Outline(level, runs, cell_mm)


def _below_shoulders(outline: _Outline) -> tuple[float, float] | None:
    """Return where the ribs begin and the stature [mm], from a head above shoulders; None where there is no such pair."""
    cell, width = outline.cell_mm[0], outline.width_mm
    body, wide = (
        np.flatnonzero(width > 0.5 * _HEAD_MM[0]),
        _lasting(width > _SHOULDERS_MM, max(round(_LASTING_MM / cell), 1)),
    )
    if not wide.size or wide[0] == body[0]:
        return None
    neck, above = wide[0], width[max(wide[0] - round(80 / cell), 0) : wide[0]]
    trunk = width[neck : neck + round(_NEEDED_MM / cell)]
    if (len(width) - neck) * cell < _NEEDED_MM or np.median(trunk) < _TRUNK_MM:
        return None
    if not _HEAD_MM[0] <= np.median(above) <= _HEAD_MM[1]:
        return None
    length = (body[-1] - body[0] + 1) * cell
    stature = length if _WHOLE_BODY_MM[0] <= length <= _WHOLE_BODY_MM[1] else _STATURE_MM
    return neck * cell + _FIRST_RIB * stature, stature


def _lasting(rows: NDArray[np.bool_], number: int) -> NDArray[np.intp]:
    """Return the rows from which on so many rows are true."""
    if len(rows) < number:
        return np.zeros(0, np.intp)
    return np.flatnonzero(np.lib.stride_tricks.sliding_window_view(rows, number).all(axis=1))


def _by_stripes(image: Floats, spacing_mm: tuple[float, float], outline: _Outline) -> tuple[float, float] | None:
    """Return where the ribs begin and the stature [mm], from the stripes; None where there are none."""
    cells, (row_mm, column_mm) = _binned(image, spacing_mm, _STRIPES_MM)
    level = _smooth(_smooth(np.sqrt(cells + 0.4)))
    reach = max(round(13.5 / row_mm), 1)  # half the distance of two ribs
    if min(level.shape) <= 4 * reach:
        return None
    inner = level[reach:-reach, reach:-reach]
    across = np.abs(inner - (level[2 * reach :, reach:-reach] + level[: -2 * reach, reach:-reach]) / 2)
    along = np.abs(inner - (level[reach:-reach, 2 * reach :] + level[reach:-reach, : -2 * reach]) / 2)
    middle, contrast = _midline(outline, 0.0, len(image) * spacing_mm[0])
    away = np.abs((np.arange(across.shape[1]) + reach + 0.5) * column_mm - middle)
    lateral = (away > _LATERAL_MM[0]) & (away < _LATERAL_MM[1])
    if contrast < _LEAST_MIDLINE or not lateral.any():
        return None
    ceiling = np.quantile(across[:, lateral], 0.95)  # one hot spot is not a stripe
    ratio = [np.minimum(part[:, lateral], ceiling).mean(axis=1) for part in (across, along)]
    stripes = np.log(np.maximum(ratio[0], 1e-9) / np.maximum(ratio[1], 1e-9))
    window = min(round((_LAST_RIB - _FIRST_RIB) * _STATURE_MM / row_mm), len(stripes))
    score = np.convolve(stripes, np.full(window, 1 / window), "valid")
    # Whoever aims at a thorax has its middle near that of the field.
    away_mm = (np.arange(len(score)) - (len(score) - 1) / 2) * row_mm
    best = int(np.argmax(score - _AIM * (away_mm / _AIM_MM) ** 2))
    return ((best + reach) * row_mm, _STATURE_MM) if score[best] > _LEAST_STRIPES else None


def _midline(outline: _Outline, top_mm: float, bottom_mm: float) -> tuple[float, float]:
    """Return the position of spine and sternum [mm] and how much brighter they are than what lies beside them."""
    (row_mm, column_mm), cells = outline.cell_mm, outline.cells
    rows = slice(max(int(top_mm / row_mm), 0), max(int(bottom_mm / row_mm), 1))
    start, stop = outline.runs[rows].mean(axis=0)
    profile = _smooth(np.median(cells[rows], axis=0)[None])[0]
    centre, reach = (start + stop) / 2, (stop - start) / 4
    at = np.arange(len(profile)) + 0.5
    near = np.abs(at - centre) <= max(reach, 1)
    middle = at[near][np.argmax(profile[near])]
    away = np.abs(at - middle) * column_mm
    beside = (away > _LATERAL_MM[0]) & (away < 2 * _LATERAL_MM[0])
    contrast = profile[near].max() / max(float(np.median(profile[beside])), 1e-9) if beside.any() else 0.0
    return float(middle * column_mm), float(contrast)


def _binned(image: Floats, spacing_mm: tuple[float, float], cell_mm: float) -> tuple[Floats, tuple[float, float]]:
    """Add pixels to cells of about a size; a remainder at the far edges is left out."""
    rows, columns = (max(1, round(cell_mm / spacing)) for spacing in spacing_mm)
    kept = image[: image.shape[0] // rows * rows, : image.shape[1] // columns * columns]
    blocks = kept.reshape(len(kept) // rows, rows, -1, columns)
    return blocks.sum(axis=(1, 3)), (rows * spacing_mm[0], columns * spacing_mm[1])


def _smooth(image: Floats) -> Floats:
    """Average neighbours with weights 1, 2, 1 along both axes."""
    for axis in (0, 1):
        padded = np.pad(image, [(1, 1) if k == axis else (0, 0) for k in (0, 1)], mode="edge")
        low, high = (np.take(padded, np.arange(image.shape[axis]) + k, axis) for k in (0, 2))
        image = (low + 2 * image + high) / 4
    return image


def _otsu(level: Floats) -> float:
    """Return the threshold that parts air from body best; hot spots are clipped first."""
    ceiling = float(np.quantile(level[level > 0], 0.95))
    counts, edges = np.histogram(np.minimum(level, ceiling), 64, (0, max(ceiling, 1e-9)))
    centres = (edges[1:] + edges[:-1]) / 2
    below, moment = np.cumsum(counts)[:-1], np.cumsum(counts * centres)[:-1]
    above = level.size - below
    spread = (moment * level.size - below * float((counts * centres).sum())) ** 2
    return float(edges[1:-1][np.argmax(spread / np.maximum(below * above, 1))])
