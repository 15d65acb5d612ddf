"""What a model did to the scores of an image: before and after, seen through the same window."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .images import image_of
from .measure import measure
from .metrics import DEFAULT, METRICS, Found, Settings
from .table import finite, spelled_window
from .windows import FrameWindow, window_for

if TYPE_CHECKING:
    from ..result import Result

__all__ = ["Change", "changes_of", "described_changes", "score_rows"]


@dataclass(frozen=True, slots=True)
class Change:
    """One score of one frame before and after.

    Parameters
    ----------
    metric : str
        Name from :data:`photopeak.engine.quality.metrics.METRICS`.
    frame : int
        Index of the frame, from 0.
    before, after : Found
        What the metric says.
    window : FrameWindow
        What it saw before, in the units of the pixels.
    area_ratio : float
        How many output pixels share the counts of an input pixel: the window after is that before, divided by this.
    """

    metric: str
    frame: int
    before: Found
    after: Found
    window: FrameWindow
    area_ratio: float

    @property
    def difference(self) -> float:
        """After - before; NaN where one is missing."""
        return self.after.value - self.before.value

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``equal`` as the metric has it; empty where a score is missing."""
        if not np.isfinite(self.difference):
            return ""
        if self.difference == 0:
            return "equal"
        lower = METRICS[self.metric].better == "lower"
        return "better" if (self.difference < 0) == lower else "worse"


def changes_of(result: "Result", metrics: Sequence[str] = DEFAULT, threads: int = 1) -> tuple[Change, ...]:
    """Return the scores of every frame before and after.

    The window is that of the input; where pixels share counts, it is divided among them, so that the same density has the
    same grey value.

    Parameters
    ----------
    result : Result
        What a session returned.
    metrics : sequence of str
        Such as need no reference.
    threads : int
        Frames to work on side by side.
    """
    before, after = image_of(result.source), image_of(result.frames)
    sums = result.conservation.kind == "sum"
    ratio = result.frames.matrix.pixels / result.source.matrix.pixels if sums else 1.0
    windows = [window_for(before, index) for index in range(len(before))]
    settings = Settings(tuple(metrics))
    pairs = zip(
        measure(before, settings, windows=windows, threads=threads).frames,
        measure(after, settings, windows=[window.scaled(1 / ratio) for window in windows], threads=threads).frames,
        strict=True,
    )
    return tuple(
        Change(one.metric, index, one.found, two.found, windows[index], ratio)
        for index, (first, second) in enumerate(pairs)
        for one, two in zip(first.scores, second.scores, strict=True)
    )


def described_changes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return what JSON says of the scores before and after."""
    return [
        {
            "metric": change.metric,
            "frame": change.frame + 1,
            "before": finite(change.before.value),
            "after": finite(change.after.value),
            "reason_before": change.before.reason or None,
            "reason_after": change.after.reason or None,
            "verdict": change.verdict or None,
            "model": change.before.model or None,
            "rule": change.before.rule or None,
            "window": change.window.name,
            "low": finite(change.window.low),
            "high": finite(change.window.high),
            "area_ratio": change.area_ratio,
        }
        for change in changes
    ]


def score_rows(changes: Sequence[Change], most_frames: int) -> list[list[str]]:
    """Return lines for people: metric, frame, before, after, verdict and window; medians where frames are many."""
    frames = 1 + max(change.frame for change in changes)
    if frames <= most_frames:
        return [_row(change, str(change.frame + 1)) for change in sorted(changes, key=_by_metric)]
    groups = [[change for change in changes if change.metric == name] for name in METRICS]
    return [_medians(group) for group in groups if group]


def _by_metric(change: Change) -> int:
    return list(METRICS).index(change.metric)


def _row(change: Change, frame: str) -> list[str]:
    values = [
        f"{found.value:.4f}" if np.isfinite(found.value) else found.reason for found in (change.before, change.after)
    ]
    return [METRICS[change.metric].title, frame, *values, change.verdict, spelled_window(change.window)]


def _medians(group: Sequence[Change]) -> list[str]:
    """Return the medians over the frames that have both scores, and in how many the score is better."""
    whole = [change for change in group if np.isfinite(change.difference)]
    title = METRICS[group[0].metric].title
    if not whole:
        return [title, f"0 of {len(group)}", group[0].before.reason, group[0].after.reason, "", ""]
    medians = [
        f"{np.median(values):.4f}" for values in zip(*((c.before.value, c.after.value) for c in whole), strict=True)
    ]
    better = sum(change.verdict == "better" for change in whole)
    return [title, f"median of {len(whole)}", *medians, f"better in {better}", f"{group[0].window.name}, by frame"]
