"""What deserves a warning about an edge."""

import math
from typing import Any, NamedTuple

import numpy as np

from .curve import QualityWarning

__all__ = ["Facts", "warnings_of"]

_ANGLES = (1.0, 44.0)
_EMPTY = 0.1
_CLIPPED = 0.05
_SNR = 5.0
_MARGIN = 0.1
_UNFINISHED = 1e-3
_SAG = 0.1
# Of the pixels, those that the unfinished step is seen in.
_SHARE = 0.1


class Facts(NamedTuple):
    """What was seen in a region.

    Parameters
    ----------
    kind : dtype
        Of its pixels.
    extremes : tuple of float
        The least value, how many pixels have it, the greatest value, and how many have that.
    angle_deg : float
        Of the edge to the nearest axis of the pixels.
    sag_px : float
        How far the edge bends away from the line through its ends.
    noise, snr : float
        Standard deviation of the pixels, and contrast over noise.
    margin : float
        Half of the widest 95 % band below Nyquist.
    empty : float
        Share of the quarter pixels next to the edge that no pixel falls into.
    unfinished : float
        Share of the step in the outer seventh of the region.
    beyond : float
        Share of the step that was extrapolated to lie outside of the region.
    pixels : int
        Of the region.
    """

    kind: np.dtype[Any]
    extremes: tuple[float, float, float, float]
    angle_deg: float
    sag_px: float
    noise: float
    snr: float
    margin: float
    empty: float
    unfinished: float
    beyond: float
    pixels: int


def warnings_of(facts: Facts) -> tuple[QualityWarning, ...]:
    """Return what was wrong with a region, if anything."""
    found = []
    if not _ANGLES[0] <= facts.angle_deg <= _ANGLES[1] or facts.empty > _EMPTY:
        found.append(
            QualityWarning(
                "angle",
                f"The edge is {facts.angle_deg:.2f} degrees from an axis of the pixels, so that its profile is sampled "
                f"at few phases ({facts.empty:.0%} of them missing); slant it by 2 to 20 degrees or take more rows.",
            )
        )
    if (share := _clipped(facts)) > _CLIPPED:
        found.append(
            QualityWarning(
                "clipping",
                f"{share:.0%} of the pixels have the same extreme value; lower the exposure or widen the range.",
            )
        )
    if facts.snr < _SNR or facts.margin > _MARGIN:
        found.append(
            QualityWarning(
                "low-snr",
                f"The contrast is {facts.snr:.1f} times the noise and the 95 % band reaches +-{facts.margin:.2f}; "
                "average frames or take a longer edge.",
            )
        )
    if facts.unfinished > max(_UNFINISHED, 5.0 / (facts.snr * math.sqrt(_SHARE * facts.pixels))):
        found.append(
            QualityWarning(
                "truncated-tails",
                f"{facts.unfinished:.1%} of the step lies in the outermost pixels, and "
                + (f"{facts.beyond:.1%} was extrapolated to lie" if facts.beyond > 0 else "more may lie")
                + " outside of the region; take a wider one.",
            )
        )
    if abs(facts.sag_px) > _SAG:
        found.append(
            QualityWarning(
                "curved-edge",
                f"The edge bends by {abs(facts.sag_px):.2f} pixels along the region; it was followed, but a shorter "
                "region is safer.",
            )
        )
    return tuple(found)


def _clipped(facts: Facts) -> float:
    """Return the share of pixels piled up at the ends of the range; plateaus without noise are no evidence of that."""
    least, those, greatest, others = facts.extremes
    whole = facts.kind.kind in "ui"
    noisy = facts.noise > (2.0 if whole else 0.0) and facts.snr < 1e4
    if not (noisy or whole):
        return 0.0
    ends = (float(np.iinfo(facts.kind).min), float(np.iinfo(facts.kind).max)) if whole else ()
    return sum(
        count / facts.pixels
        for extreme, count in ((least, those), (greatest, others))
        if extreme != 0 and (noisy or extreme in ends)
    )
