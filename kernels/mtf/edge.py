"""The modulation transfer function along the normal of a slanted edge, whatever blurred it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..iqa.intensity import check_frames
from ..parallel import over
from .curve import Mtf
from .edge_profile import Edge, find_edge, profile_of
from .edge_quality import Facts, warnings_of
from .regions import Roi, Spacing, rois_of, spacing_of

__all__ = ["edge_mtf"]

_FREQUENCIES = np.arange(129) / 128.0
_LEAST = 16
# Half of the 95 % band: what the choice among mixtures adds to the posterior of the chosen one is, by simulation, 15 %.
_DEVIATIONS = 1.15 * 1.96


def edge_mtf(
    frames: NDArray[Any],
    *,
    pixel_spacing_mm: float | Sequence[float] | None = None,
    rois: Roi | Sequence[Roi] | None = None,
    threads: int = 1,
) -> Mtf | tuple[Mtf, ...]:
    """Return the modulation transfer function across the slanted edge in an image, a stack or regions of them.

    The edge may be nearer to vertical or to horizontal, dark or bright on either side, straight or slightly bent. Pixels
    are compared with one profile across the edge, by least squares at their own distances and without bins; how smooth
    the profile is follows from the noise that the pixels themselves show, so that neither a window nor the shape of the
    spread is chosen. The modulation is that of the whole system, detector pixel included, along the normal of the edge.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats, linear in exposure; one edge in each region.
    pixel_spacing_mm : float or tuple of float, optional
        Distance between pixels, or between rows and between columns [mm].
    rois : tuple or sequence of tuples, optional
        Regions ``((row0, row1), (column0, column1))``, half-open; the whole frame unless given.
    threads : int
        Most regions to work on side by side.

    Returns
    -------
    Mtf or tuple of Mtf
        One curve for one region of an image; a tuple for a stack or for several regions, those of the same frame together.
        Frequencies run to 1 cycle/pixel: beyond 0.5, what the pixel grid aliases, the slant still resolves. `details`
        holds ``angle_deg`` (to the nearest axis of the pixels), ``orientation`` (``vertical`` or ``horizontal``),
        ``edge`` (position at the middle, slope and curvature of the edge, in pixels of the region), ``width_px``,
        ``sag_px``, ``contrast``, ``noise`` (standard deviations on the low and high side), ``snr``, ``beyond`` (share of
        the step outside of the region: where tails that leave it are clearly exponential, they are completed), and the
        profile:
        ``distances_px``, ``edge_spread`` (0 to 1) and ``line_spread`` [1/pixel].

    Raises
    ------
    InputError
        If a region is outside of the image, too small, not finite or without an edge.
    UsageError
        If an argument makes no sense.

    References
    ----------
    * ISO 12233:2023, annex on slanted-edge spatial frequency response, for the measurement; the estimator is our own.
    * C. L. Lawson, R. J. Hanson: Solving Least Squares Problems, chapter 23, for weights that are not negative.
    * P. H. C. Eilers, B. D. Marx: Flexible smoothing with B-splines and penalties. Statistical Science 11 (1996) 89.

    Examples
    --------
    A step across pixels that average over their area, blurred by nothing else:

    >>> rows, columns = np.indices((64, 64))
    >>> image = np.clip(columns - 32 + (rows - 32) * np.tan(np.radians(5)) + 0.5, 0, 1)
    >>> mtf = edge_mtf(image, pixel_spacing_mm=2.0)
    >>> round(mtf.details["angle_deg"], 2), round(float(mtf.at(0.5)), 2), round(mtf.mtf50 / 2.0, 2)
    (5.0, 0.64, 0.3)
    """
    stack = check_frames(frames)
    spacing = spacing_of(pixel_spacing_mm)
    one_roi, regions = rois_of(rois, stack.shape[1:])
    pieces = [_cut(frame, roi) for frame in stack for roi in regions]
    curves = over(lambda piece: _measure(piece, spacing), pieces, threads)
    return curves[0] if np.ndim(frames) == 2 and one_roi else tuple(curves)


def _cut(frame: NDArray[Any], roi: Roi) -> NDArray[Any]:
    """Return the pixels of a region."""
    (top, bottom), (left, right) = roi
    if not (0 <= top < bottom <= frame.shape[0] and 0 <= left < right <= frame.shape[1]):
        raise InputError(
            f"the region {roi!r} is not inside of an image of {frame.shape[0]} x {frame.shape[1]}; rows and columns run "
            "from 0, the last not included."
        )
    piece = frame[top:bottom, left:right]
    if min(piece.shape) < _LEAST:
        raise InputError(
            f"a region of {piece.shape[0]} x {piece.shape[1]} pixels is too small for an edge; give {_LEAST} x {_LEAST} "
            "or more."
        )
    return piece


def _measure(piece: NDArray[Any], spacing: Spacing | None) -> Mtf:
    """Return the curve of one region."""
    plane = np.ascontiguousarray(piece, np.float64)
    if not plane.flags.writeable:
        # Kernels are compiled for arrays of one kind.
        plane = plane.copy()
    edge = find_edge(plane)
    profile = profile_of(edge, _FREQUENCIES)
    modulation, errors = profile.curves
    distances, edge_spread, line_spread = profile.across
    margin = _DEVIATIONS * errors
    unit = abs(edge.high - edge.low)
    levels = (profile.dark, profile.bright) if edge.high > edge.low else (profile.bright, profile.dark)
    noise = tuple(unit * math.sqrt(level) for level in levels)
    angle = math.degrees(math.atan(abs(float(edge.line[1]))))
    snr = profile.step / math.sqrt(0.5 * (profile.dark + profile.bright))
    seen = Facts(
        kind=piece.dtype,
        extremes=edge.extremes,
        angle_deg=angle,
        sag_px=edge.sag,
        noise=max(noise),
        snr=snr,
        margin=float(margin[:65].max()),
        empty=profile.empty,
        unfinished=profile.unfinished,
        beyond=profile.beyond,
        pixels=plane.size,
    )
    return Mtf(
        method="edge",
        frequencies=_FREQUENCIES.copy(),
        modulation=modulation,
        lower=np.maximum(modulation - margin, 0.0),
        upper=modulation + margin,
        pixel_spacing_mm=_along_normal(edge, spacing),
        warnings=warnings_of(seen),
        details={
            "angle_deg": angle,
            "orientation": "horizontal" if edge.transposed else "vertical",
            "edge": tuple(edge.line.tolist()),
            "width_px": edge.width,
            "sag_px": edge.sag,
            "contrast": unit * profile.step,
            "noise": noise,
            "snr": snr,
            "beyond": profile.beyond,
            "distances_px": distances,
            "edge_spread": edge_spread,
            "line_spread": line_spread,
        },
    )


def _along_normal(edge: Edge, spacing: Spacing | None) -> float | None:
    """Return the distance [mm] that one pixel along the normal stands for."""
    if spacing is None:
        return None
    along, across = spacing[::-1] if edge.transposed else spacing
    # A distance across the edge is a difference of columns, foreshortened by the slope in pixels and in mm.
    slope = float(edge.line[1])
    return float(across * math.hypot(1.0, slope) / math.hypot(1.0, slope * across / along))
