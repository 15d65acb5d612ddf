"""Scores as rows: for a CSV file, for JSON, and for people."""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ..failures import Failure
from ..files import atomic_write
from .measure import FrameScores, Measured, Score
from .metrics import METRICS
from .windows import FrameWindow

__all__ = [
    "ARROWS",
    "COLUMNS",
    "cells",
    "described",
    "finite",
    "rows",
    "short_names",
    "spelled_score",
    "spelled_window",
    "summary",
    "write_csv",
    "write_rows",
]

ARROWS = {"lower": " \u2193", "higher": " \u2191"}
COLUMNS = (
    "file",
    "frame",
    "metric",
    "score",
    "reason",
    "model",
    "rule",
    "window",
    "low",
    "high",
    "clipped",
    "data_range",
    "activity_fraction",
)


def rows(measured: Measured) -> Iterator[dict[str, Any]]:
    """Yield one row for each frame and metric, with the columns of `COLUMNS`; what does not apply is None."""
    for frame in measured.frames:
        for score in frame.scores:
            yield {"file": frame.file, "frame": frame.number, "metric": score.metric} | _facts(score)


def described(measured: Measured) -> dict[str, Any]:
    """Return what JSON says of an image: its frames, and for each metric the score and how it came about."""
    return {
        "source": measured.source,
        "modality": measured.modality,
        "matrix": measured.matrix,
        "units": measured.units,
        "frames": [_frame(frame) for frame in measured.frames],
    }


def write_csv(path: Path, images: Sequence[Measured], failures: Sequence[Failure] = ()) -> Path:
    """Write one row for each file, frame and metric, and one for each file that failed, with the reason.

    Parameters
    ----------
    path : Path
        File to write, or to replace when it is whole.
    images : sequence of Measured
        What was measured.
    failures : sequence of Failure
        What could not be.

    Returns
    -------
    Path
        `path`.
    """
    found = [row for measured in images for row in rows(measured)]
    found += [{"file": failure.source, "reason": str(failure.error)} for failure in failures]
    return write_rows(path, COLUMNS, [[row.get(column) for column in COLUMNS] for row in found])


def cells(measured: Measured) -> Iterator[list[str]]:
    """Yield a line for people for each frame: number, scores, window, file."""
    for frame in measured.frames:
        scores = [spelled_score(score) for score in frame.scores]
        yield [str(frame.number), *scores, _window_of(frame.scores), frame.file]


def summary(measured: Measured) -> list[tuple[str, str]]:
    """Return for each metric its name, and in words its median, its range and how many frames have a score."""
    found = []
    for scores in zip(*(frame.scores for frame in measured.frames), strict=True):
        metric = METRICS[scores[0].metric]
        values = [score.found.value for score in scores if not math.isnan(score.found.value)]
        reasons = ", ".join(dict.fromkeys(score.found.reason for score in scores if score.found.reason))
        if len(values) > 1:
            words = f"{median(values):.4f}, from {min(values):.4f} to {max(values):.4f}"
        else:
            words = f"{values[0]:.4f}" if values else "none"
        lacking = f"; {len(scores) - len(values)} of {len(scores)} frames have none: {reasons}" if reasons else ""
        found.append((metric.title + ARROWS[metric.better], words + lacking))
    windows = list(dict.fromkeys(_window_of(frame.scores) for frame in measured.frames))
    first = next((score.window for score in measured.frames[0].scores if score.window), None)
    if first:
        found.append(("window", windows[0] if len(windows) == 1 else f"{first.name}, by frame"))
    return found


def spelled_score(score: Score) -> str:
    """Return a score with four decimals, or why there is none."""
    if math.isnan(score.found.value):
        return score.found.reason or "none"
    return f"{score.found.value:.4f}"


def spelled_window(window: FrameWindow | None) -> str:
    """Return a window such as ``counts 0 to 57``; empty for none."""
    if window is None or math.isnan(window.low):
        return ""
    return f"{window.name} {window.low:.4g} to {window.high:.4g}"


def _window_of(scores: Sequence[Score]) -> str:
    return next((spelled_window(score.window) for score in scores if score.window), "")


def write_rows(path: Path, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> Path:
    """Write a CSV file that appears when it is whole.

    Parameters
    ----------
    path : Path
        File to write, or to replace.
    columns : sequence of str
        The first row.
    lines : iterable of sequences
        The others.

    Returns
    -------
    Path
        `path`.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode(errors="backslashreplace"))
    return path


def short_names(files: Iterable[str]) -> dict[str, str]:
    """Return each file's name without its folder, where that tells it from the others.

    Examples
    --------
    >>> short_names(["a/1.dcm", "b/1.dcm", "b/2.dcm"])
    {'a/1.dcm': 'a/1.dcm', 'b/1.dcm': 'b/1.dcm', 'b/2.dcm': '2.dcm'}
    """
    all_files = list(dict.fromkeys(files))
    names = Counter(Path(file).name for file in all_files)
    return {file: Path(file).name if names[Path(file).name] == 1 else file for file in all_files}


def _frame(frame: FrameScores) -> dict[str, Any]:
    scores = {
        score.metric: {key: value for key, value in _facts(score).items() if value is not None}
        for score in frame.scores
    }
    return {"file": frame.file, "frame": frame.number, "scores": scores}


def _facts(score: Score) -> dict[str, Any]:
    found, window = score.found, score.window
    return {
        "score": finite(found.value),
        "reason": found.reason or None,
        "model": found.model or None,
        "rule": found.rule or None,
        "window": window.name if window else None,
        "low": finite(window.low) if window else None,
        "high": finite(window.high) if window else None,
        "clipped": finite(score.clipped),
        "data_range": finite(found.data_range),
        "activity_fraction": found.details.get("activity_fraction"),
    }


def finite(value: float) -> float | None:
    """Return a number, or None for NaN, which neither CSV nor JSON has."""
    return None if math.isnan(value) else float(value)
