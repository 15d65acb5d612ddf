"""The study of acquisition times as Markdown and as a figure."""

from collections.abc import Sequence
from itertools import product

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .acquisition_time import FILTERS_MM, MATRICES, METRICS, PROCESSING, TIMES_S, TimeReport, Trend
from .metrics import Interval

_COLOURS = dict(zip(PROCESSING, ("#d55e00", "#0072b2"), strict=True))


def as_markdown(report: TimeReport) -> str:
    """Return a table of all trends: a row for each metric, filter and matrix, as reconstructed / processed."""
    times = ", ".join(f"{time:g}" for time in TIMES_S)
    both = " / ".join((PROCESSING[0], report.model))
    header = f"| metric | filter [mm] | matrix | rank correlation with time, {both} | all times in order |"
    lines = [
        f"{header} mean at {times} s, {PROCESSING[0]} | the same, {report.model} |",
        "|---|---|---|---|---|---|---|",
    ]
    for metric in METRICS:
        for filter_mm, matrix in product(FILTERS_MM, MATRICES):
            lines.append(_row([_find(report, metric, processing, matrix, filter_mm) for processing in PROCESSING]))
    return "\n".join(lines)


def _row(trends: Sequence[Trend]) -> str:
    kind = f"{trends[0].metric} | {trends[0].filter_mm:g} | {trends[0].matrix}"
    taus, ordered = " / ".join(_spread(t.tau) for t in trends), " / ".join(f"{t.ordered:.0%}" for t in trends)
    scores = " | ".join(", ".join(f"{score.mean:.1f}" for score in t.scores) for t in trends)
    return f"| {kind} | {taus} | {ordered} | {scores} |"


def _spread(interval: Interval) -> str:
    return f"{interval.mean:+.2f} ({interval.low:+.2f} to {interval.high:+.2f})"


def _find(report: TimeReport, metric: str, processing: str, matrix: int, filter_mm: float) -> Trend:
    wanted = metric, processing, matrix, filter_mm
    return next(t for t in report.trends if (t.metric, t.processing, t.matrix, t.filter_mm) == wanted)


def as_figure(report: TimeReport) -> go.Figure:
    """Return scores against time: a row for each metric, a column for each matrix."""
    titles = [f"{matrix} x {matrix}" for matrix in MATRICES] + [""] * (len(METRICS) - 1) * len(MATRICES)
    figure = make_subplots(
        len(METRICS), len(MATRICES), shared_xaxes=True, shared_yaxes=True, subplot_titles=titles, vertical_spacing=0.03
    )
    for row, metric in enumerate(METRICS, 1):
        for column, matrix in enumerate(MATRICES, 1):
            for processing, filter_mm in product(PROCESSING, FILTERS_MM):
                trend = _find(report, metric, processing, matrix, filter_mm)
                figure.add_trace(_line(trend, legend=row == column == 1), row, column)
        figure.update_yaxes(title=metric, row=row, col=1)
    figure.update_xaxes(type="log", tickvals=TIMES_S)
    figure.update_xaxes(title="acquisition time [s]", row=len(METRICS))
    figure.update_layout(template="plotly_white", width=1100, height=240 * len(METRICS), legend_title=report.model)
    return figure


def _line(trend: Trend, legend: bool) -> go.Scatter:
    name = f"{trend.processing}, {f'filter of {trend.filter_mm:g} mm' if trend.filter_mm else 'no filter'}"
    return go.Scatter(
        x=TIMES_S,
        y=[score.mean for score in trend.scores],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [score.high - score.mean for score in trend.scores],
            "arrayminus": [score.mean - score.low for score in trend.scores],
        },
        mode="lines+markers",
        name=name,
        legendgroup=name,
        showlegend=legend,
        line={"color": _COLOURS[trend.processing], "dash": "solid" if trend.filter_mm else "dot"},
    )
