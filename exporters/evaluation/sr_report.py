"""The comparison of methods that double the matrix, as Markdown and as a figure."""

from collections.abc import Iterable, Sequence
from itertools import cycle

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from scipy.stats import kendalltau

from ..markdown import markdown
from .metrics import bootstrap
from .sr_comparison import LEVELS, TIMED_SIDE, TRUTH, Comparison, Score

GROUPS = {"hoffman-like": "Hoffman-like slices", "": "Other slices"}
FIGURES = {
    "psnr": ("PSNR [dB]", 2),
    "ssim": ("SSIM", 3),
    "niqe": ("NIQE, fitted to noise-free PET slices (lower is better)", 2),
    "distance": ("Learned distance [%] (lower is better)", 1),
}
PERCEPTUAL = {"perceptual_index": ("Perceptual index (lower is better)", 2)}
_INDICES = {"niqe": "NIQE", "distance": "learned distance", "perceptual_index": "perceptual index"}
_COLOURS = ("#3b4252", "#8c92a0", "#e69f00", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9")
_BASE = "bicubic"


def as_markdown(found: Comparison) -> str:
    """Return the tables: one for each figure and group of slices, and the gains over bicubic interpolation."""
    parts = []
    with_index = any(np.isfinite(score.perceptual_index) for score in found.scores)
    for title, group in _groups(found.scores):
        parts.append(f"## {title} ({len({s.case for s in group})})")
        for field, (name, digits) in (FIGURES | (PERCEPTUAL if with_index else {})).items():
            parts += [f"### {name}", _table(group, field, digits)]
        parts += ["### Gain in PSNR over bicubic, paired by slice [dB]", _gains(group)]
    rows = [(name, f"{ms:.1f}") for name, ms in found.milliseconds.items()]
    parts += [
        f"## Processor time for a slice of {TIMED_SIDE}x{TIMED_SIDE}, one thread",
        markdown(("method", "ms"), rows),
    ]
    parts += ["## Do the indices order images as they should?", _orders(found.scores)]
    if np.isfinite(found.maximum_db):
        parts.append(
            "PSNR has the 99.9th percentile of the noise-free reconstruction as its peak; with the maximum instead it is "
            f"{found.maximum_db:.2f} dB higher on the Hoffman-like slices."
        )
    return "\n\n".join(parts)


def as_figure(found: Comparison) -> go.Figure:
    """Return PSNR and gain over bicubic against the counts, and PSNR against time; a row for each group of slices."""
    groups = list(_groups(found.scores))
    heads = ("PSNR", "gain over bicubic", "PSNR at clinical counts")
    titles = [f"{title}: {head}" for title, _ in groups for head in heads]
    figure = make_subplots(len(groups), 3, subplot_titles=titles, horizontal_spacing=0.07, vertical_spacing=0.12)
    for row, (_, group) in enumerate(groups, 1):
        for name, colour in zip(_methods(group), cycle(_COLOURS), strict=False):
            means = [float(_values(group, name, level, "psnr").mean()) for level in LEVELS]
            figure.add_trace(_line(name, colour, means, legend=row == 1), row, 1)
            figure.add_trace(_gain_line(group, name, colour), row, 2)
            at = means[LEVELS.index(1.0)]
            figure.add_trace(_point(name, colour, found.milliseconds[name], at), row, 3)
        for column in (1, 2):
            figure.update_xaxes(type="log", tickvals=LEVELS, title="counts over clinical", row=row, col=column)
        figure.update_xaxes(type="log", title=f"ms for {TIMED_SIDE}x{TIMED_SIDE}, one thread", row=row, col=3)
        figure.update_yaxes(title="dB", row=row, col=1)
    figure.update_layout(template="plotly_white", width=1350, height=430 * len(groups), legend_title="method")
    return figure


def _groups(scores: Sequence[Score]) -> Iterable[tuple[str, list[Score]]]:
    """Yield title and scores of each group that there is."""
    for start, title in GROUPS.items():
        if group := [s for s in scores if s.case.startswith("hoffman-like") == bool(start)]:
            yield title, group


def _methods(scores: Sequence[Score]) -> list[str]:
    """Return the names of the methods, without the truth."""
    return [name for name in dict.fromkeys(score.method for score in scores) if name != TRUTH]


def _table(scores: Sequence[Score], field: str, digits: int) -> str:
    """Tabulate a figure: methods down, count levels across, mean over the slices and bootstrap interval of 95 %."""
    rows = []
    for name in (*_methods(scores), TRUTH):
        cells = [_interval(_values(scores, name, level, field), digits) for level in LEVELS]
        if any(cells):
            rows.append((name, *cells))
    return markdown(("method", *(f"{level:g}" for level in LEVELS)), rows)


def _gains(scores: Sequence[Score]) -> str:
    rows = [
        (name, *(_interval(_gain(scores, name, level), 2) for level in LEVELS))
        for name in _methods(scores)
        if name != _BASE
    ]
    return markdown(("method", *(f"{level:g}" for level in LEVELS)), rows)


def _gain(scores: Sequence[Score], name: str, level: float) -> NDArray[np.float64]:
    return _values(scores, name, level, "psnr") - _values(scores, _BASE, level, "psnr")


def _orders(scores: Sequence[Score]) -> str:
    """Say how each index follows the counts of bicubic images, and how often it finds the truth better than all of them."""
    rows = []
    for field, name in _INDICES.items():
        ranks, better = [], []
        for case in dict.fromkeys(score.case for score in scores):
            group = [s for s in scores if s.case == case]
            images = np.array([_values(group, _BASE, level, field)[0] for level in LEVELS])
            if np.isfinite(images).all():
                ranks.append(float(kendalltau(LEVELS, -images).statistic))
                better.append(float(_values(group, TRUTH, LEVELS[0], field)[0] < images.min()))
        if ranks:
            rows.append((name, _interval(np.array(ranks), 2), f"{np.mean(better):.0%}", f"{len(ranks)}"))
    head = ("index", "rank correlation with the counts of bicubic images", "truth better than each of them", "slices")
    return markdown(head, rows)


def _values(scores: Sequence[Score], method: str, level: float, field: str) -> NDArray[np.float64]:
    return np.array([getattr(s, field) for s in scores if s.method == method and s.level == level])


def _interval(values: NDArray[np.float64], digits: int) -> str:
    """Format mean and interval of the values that are there; empty where none is."""
    there = values[np.isfinite(values)]
    if not there.size:
        return ""
    found = bootstrap(there)
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _line(name: str, colour: str, means: Sequence[float], *, legend: bool) -> go.Scatter:
    return go.Scatter(
        x=LEVELS,
        y=means,
        mode="lines+markers",
        name=name,
        legendgroup=name,
        showlegend=legend,
        line={"color": colour},
    )


def _gain_line(scores: Sequence[Score], name: str, colour: str) -> go.Scatter:
    spans = [bootstrap(_gain(scores, name, level)) for level in LEVELS]
    line = _line(name, colour, [span.mean for span in spans], legend=False)
    line.error_y = {
        "type": "data",
        "symmetric": False,
        "array": [span.high - span.mean for span in spans],
        "arrayminus": [span.mean - span.low for span in spans],
    }
    return line


def _point(name: str, colour: str, ms: float, psnr: float) -> go.Scatter:
    return go.Scatter(
        x=[ms],
        y=[psnr],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=False,
        marker={"color": colour, "size": 10},
    )
