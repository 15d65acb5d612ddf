"""A brain whose cortex follows the folds of the white matter, with sulci that are open or closed as the folds leave room."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from .brains import FIELD_MM, Uptake, add_nuclei, head, smooth_field, vary
from .plane import Canvas, Field, Slice

_HOFFMAN = Uptake()
_KNOTS, _KNOT_MM = 512, 0.5  # of the field whose level sets are the folds; it repeats after 256 mm


def gyral_brain(rng: np.random.Generator, side: int = 512, uptake: Uptake = _HOFFMAN) -> Slice:
    """Return a brain with gyri and sulci: fingers of white matter, covered by grey matter of even thickness.

    White matter is a level set of a band-limited random field that is drawn out across the surface and wound by a slow warp; the
    level rises with depth, so that fingers merge into a core. Grey matter is what lies within the thickness of the cortex from it:
    where fingers are close, their coats touch; elsewhere fluid is between them.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws size, level of the plane, width, length and shape of the folds, thickness of the cortex (2 to 5 mm), and nuclei.
    side : int
        Pixels along the square of 220 mm.
    uptake : Uptake
        Concentrations; by default those of a Hoffman phantom, grey to white as 4 to 1.

    Examples
    --------
    >>> gyral_brain(np.random.default_rng(0), 64).activity.shape
    (64, 64)
    """
    canvas = Canvas(side, FIELD_MM)
    a, b, high = head(canvas, uptake, rng)
    depth = _depth(canvas, rng, a, b, high)
    white = _white(canvas, rng, depth, 0.5 * (a + b))
    pixel = FIELD_MM / side
    far = (distance_transform_edt(~white) - 0.5) * pixel  # the border is half a pixel before the first centre
    cortex = rng.uniform(2.0, 5.0) * (1 + 0.2 * smooth_field(canvas, rng, 4.0))
    cortex = np.maximum(cortex + rng.uniform(0, 0.5) * smooth_field(canvas, rng, 1.4), 0.8)
    canvas.paint(canvas.inside(far - cortex) * canvas.inside(-depth.nearest), uptake.grey)
    canvas.paint(white.astype(np.float64), 1.0)
    if not high:
        add_nuclei(canvas, uptake, rng)
    vary(canvas, depth.nearest, uptake, rng)
    return canvas.finished("gyral brain")


class _Depth(NamedTuple):
    """How deep a point lies below the nearest surface [mm], and whether that is the fissure between the halves."""

    nearest: Field
    in_fissure: NDArray[np.bool_]


def _depth(canvas: Canvas, rng: np.random.Generator, a: float, b: float, high: bool) -> _Depth:
    outer = -canvas.radius(0, 0, a, b) - rng.uniform(0.3, 1.5) * np.abs(smooth_field(canvas, rng, 6.0))
    beside = np.abs(canvas.x - 2.0 * smooth_field(canvas, rng, 25.0))
    ends = np.maximum(rng.uniform(0.2, 0.9 if high else 0.45) * b - np.abs(canvas.y), 0)
    fissure = np.hypot(beside, ends)
    return _Depth(np.minimum(outer, fissure), fissure < outer)


def _white(canvas: Canvas, rng: np.random.Generator, depth: _Depth, radius_mm: float) -> NDArray[np.bool_]:
    """Return where white matter is."""
    width = rng.uniform(1.3, 3.2)
    folds = _folds(canvas, rng, depth, radius_mm, width) + rng.uniform(0, 1.0) * smooth_field(
        canvas, rng, max(width, 1.5)
    )
    tip = rng.uniform(1.5, 4.5)
    base = tip + rng.uniform(12, 34) * (1 + 0.35 * smooth_field(canvas, rng, 10.0))
    inwards = np.clip((depth.nearest - tip) / np.maximum(base - tip, 3), 0, 1)
    bias = rng.uniform(-0.1, 0.8)
    level = folds - bias + 4.0 * inwards ** rng.uniform(1.0, 3.0) - 0.2 * (1 - inwards)
    level += rng.uniform(0, 0.25) * smooth_field(canvas, rng, 1.4)
    return np.asarray((level > 0) & (depth.nearest > tip))


def _folds(canvas: Canvas, rng: np.random.Generator, depth: _Depth, radius_mm: float, width_mm: float) -> Field:
    """Return a random field, one period of which takes some nine times `width_mm` along the surface and more across it."""
    stretch, warp = rng.uniform(1.0, 2.6), rng.uniform(1.0, 5.0)
    up, right = smooth_field(canvas, rng, 9.0), smooth_field(canvas, rng, 9.0)
    turn = np.arctan2(canvas.y + warp * up, canvas.x + warp * right)
    along = turn * radius_mm + np.where(depth.in_fissure, canvas.y, 0)
    across = depth.nearest / stretch + 0.5 * warp * smooth_field(canvas, rng, 6.0)
    noise = rng.standard_normal((_KNOTS, _KNOTS))
    sigma = width_mm / _KNOT_MM
    band = gaussian_filter(noise, sigma, mode="wrap") - 0.8 * gaussian_filter(noise, 2 * sigma, mode="wrap")
    at = [(along / _KNOT_MM) % _KNOTS, (across / _KNOT_MM) % _KNOTS]
    return np.asarray(map_coordinates(band / band.std(), at, order=1, mode="grid-wrap"), np.float64)
