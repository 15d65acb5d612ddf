"""What a session returns: processed frames with the evidence a physicist asks for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from .frames import Frames

if TYPE_CHECKING:
    from .bundle import Bundle
    from .plan import Plan
    from .quality.before_after import Change

Verdict = Literal["inside", "border", "outside"]


@dataclass(frozen=True, slots=True, eq=False)
class Conservation:
    """How well a quantity that physics keeps was kept.

    Parameters
    ----------
    kind : {"sum", "mean", "none"}
        What is kept for each frame: total counts, mean concentration, or nothing.
    before, model, after : ndarray, shape (n,), float64
        The quantity in the input, as the model left it, and in the output; means where nothing is kept.
    """

    kind: Literal["sum", "mean", "none"]
    before: NDArray[np.float64]
    model: NDArray[np.float64]
    after: NDArray[np.float64]

    @property
    def model_bias(self) -> NDArray[np.float64]:
        """Relative error of the bare model [1], 0 for empty frames."""
        return _relative(self.model, self.before)

    @property
    def bias(self) -> NDArray[np.float64]:
        """Relative error of the output [1], 0 for empty frames."""
        return _relative(self.after, self.before)


@dataclass(frozen=True, slots=True, eq=False)
class DomainVerdict:
    """Whether the frames look like what the model was trained on.

    Parameters
    ----------
    verdict : {"inside", "border", "outside"}
        The worst of all frames.
    distances : ndarray, shape (n,), float64
        Mahalanobis distance of each frame to the training domain [1].
    limits : tuple of float
        Distances at which border and outside begin [1].
    reasons : tuple of str
        Sentences that name what is unusual.
    """

    verdict: Verdict
    distances: NDArray[np.float64]
    limits: tuple[float, float]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Result:
    """The outcome of ``Session.run``.

    Parameters
    ----------
    frames : Frames
        Processed frames; spacing and matrix follow the model's scale.
    source : Frames
        The frames that went in.
    bundle : Bundle
        The model that ran.
    plan : Plan
        How it ran: provider, precision, threads, batch.
    conservation : Conservation
        Counts (or mean activity) before and after.
    judge : callable
        Returns whether the input is inside the training domain; asked for by the first look at `domain`, so that nobody
        waits for what nobody reads.
    timings_ms : dict of str to float
        Wall time of each stage [ms].
    warnings : tuple of str
        What the user should know; empty when there is nothing.
    scores : tuple of Change
        Image quality of each frame before and after; empty unless it was asked for.
    """

    frames: Frames
    source: Frames
    bundle: "Bundle"
    plan: "Plan"
    conservation: Conservation
    judge: Callable[[], DomainVerdict]
    timings_ms: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    scores: "tuple[Change, ...]" = ()

    @cached_property
    def domain(self) -> DomainVerdict:
        """Whether the input is inside the training domain."""
        return self.judge()


def _relative(value: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return value / reference - 1, and 0 where the reference is 0."""
    safe = np.where(reference == 0, 1.0, reference)
    return np.where(reference == 0, 0.0, value / safe - 1.0)
