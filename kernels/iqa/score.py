"""What an image-quality metric answers: numbers, and what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .intensity import Intensity

__all__ = ["Numbers", "Reason", "Scores"]

Reason = Literal["too-small", "constant", "not-finite", "mask-too-small", "no-active-block", "singular"]


class Numbers:
    """What has ``values`` converts as a number or array would."""

    values: NDArray[np.float64]

    def __float__(self) -> float:
        return float(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)


@dataclass(frozen=True)
class Scores(Numbers):
    """One score per frame, with everything needed to repeat it.

    It converts as a number or array would: ``float(scores)`` for a single image, ``np.asarray(scores)`` for a stack.

    Parameters
    ----------
    metric : str
        Such as ``niqe``.
    values : ndarray, shape () for one image or (n,) for a stack, float64
        The scores; NaN where there is none.
    reasons : tuple of (str or None), length n
        Why a frame has no score; None where it has one.
    model : str
        Which parameters were used, such as ``live``; empty if the metric has none.
    rule : str
        Which definition was followed where publications differ, such as ``canonical``.
    intensity : Intensity
        How pixel values became the grey values that the metric is defined for.
    details : mapping of str to list of ndarray or to ndarray
        What else the metric found, per frame: maps, features, fractions.
    """

    metric: str
    values: NDArray[np.float64]
    reasons: tuple[Reason | None, ...]
    model: str
    rule: str
    intensity: Intensity
    details: Mapping[str, Any] = field(default_factory=dict)
