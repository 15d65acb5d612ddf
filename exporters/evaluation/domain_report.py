"""The domain study as Markdown and as a figure."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .domain_inputs import HELD_OUT
from .domain_study import Correlation, DomainReport, Judged, Separation, Worth
from .metrics import Interval

_ERRORS = {"shortfall_db": "shortfall", "nrmse": "normalised error"}
_COLOURS = {
    HELD_OUT: "#3b4252",
    "counts": "#0072b2",
    "blur": "#d55e00",
    "matrix": "#009e73",
    "intensity": "#cc79a7",
    "other anatomy": "#56b4e9",
    "natural": "#e69f00",
}


def as_markdown(reports: Sequence[DomainReport]) -> str:
    """Return the tables of one or more models."""
    return "\n\n".join(_tables(report) for report in reports)


def _tables(report: DomainReport) -> str:
    rows = [
        "| shift | inputs | AUC | inside | border | outside | median shortfall [dB] |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [_row(separation) for separation in report.separations]
    sentences = [_worth(found) for found in report.worths] + [
        _sentence(correlation) for correlation in report.correlations
    ]
    names = sorted(report.objects)
    table = [f"| fitted to | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for own in names:
        cells = ["-" if name == own else f"{report.objects[own][name]:.3f}" for name in names]
        table.append(f"| {own} | {' | '.join(cells)} |")
    heading = "A domain of one kind of object alone, AUC for the other kinds:"
    return "\n\n".join([f"### {report.model}", "\n".join(rows), "  \n".join(sentences), heading, "\n".join(table)])


def _row(found: Separation) -> str:
    label = f"{found.kind}: {found.how}" if found.how else found.kind
    area = "-" if found.kind == HELD_OUT else _spread(found.auc)
    shares = " | ".join(f"{share:.0%}" for share in found.shares)
    shortfall = "-" if found.shortfall_db is None else f"{found.shortfall_db:+.1f}"
    return f"| {label} | {found.number} | {area} | {shares} | {shortfall} |"


def _sentence(found: Correlation) -> str:
    return f"Rank correlation of the {found.of} with the {_ERRORS[found.error]} over {found.number} inputs: {_spread(found.rho)}."


def _worth(found: Worth) -> str:
    low, high = found.useless.low, found.useless.high
    return (
        f"Mean shortfall of the {found.number} inputs that are {found.verdict}: {_spread(found.shortfall_db)} dB; "
        f"above 0 for {found.useless.mean:.0%} ({low:.0%} to {high:.0%})."
    )


def _spread(interval: Interval) -> str:
    return f"{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def as_figure(reports: Sequence[DomainReport]) -> go.Figure:
    """Return the AUC of each shift, and the shortfall against the distance, one row for each model."""
    titles = [title for report in reports for title in (f"{report.model}: AUC", f"{report.model}: shortfall")]
    figure = make_subplots(len(reports), 2, subplot_titles=titles, column_widths=[0.42, 0.58], horizontal_spacing=0.1)
    for row, report in enumerate(reports, 1):
        figure.add_trace(_areas(report.separations), row, 1)
        figure.add_vline(0.95, line_dash="dot", line_color="#888888", row=row, col=1)
        figure.update_xaxes(range=[0.3, 1.02], row=row, col=1)
        figure.update_yaxes(autorange="reversed", row=row, col=1)
        for kind in _COLOURS:
            points = [j for j in report.judged if j.kind == kind and j.shortfall_db is not None]
            if points:
                figure.add_trace(_shortfalls(kind, points, row == 1), row, 2)
        for limit in (1.0, 1.5):
            figure.add_vline(limit, line_dash="dot", line_color="#888888", row=row, col=2)
        figure.update_xaxes(type="log", title="distance from the domain, border at 1, outside from 1.5", row=row, col=2)
        figure.update_yaxes(title="shortfall [dB]", row=row, col=2)
    figure.update_layout(template="plotly_white", width=1250, height=560 * len(reports), legend_title="shift")
    return figure


def _areas(separations: Sequence[Separation]) -> go.Scatter:
    shown = [s for s in separations if s.kind != HELD_OUT]
    return go.Scatter(
        x=[s.auc.mean for s in shown],
        y=[f"{s.kind}: {s.how}" for s in shown],
        mode="markers",
        marker={"color": [_COLOURS[s.kind] for s in shown], "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [s.auc.high - s.auc.mean for s in shown],
            "arrayminus": [s.auc.mean - s.auc.low for s in shown],
        },
        showlegend=False,
    )


def _shortfalls(kind: str, points: Sequence[Judged], legend: bool) -> go.Scatter:
    return go.Scatter(
        x=[point.distance for point in points],
        y=[point.shortfall_db for point in points],
        mode="markers",
        name=kind,
        legendgroup=kind,
        showlegend=legend,
        marker={"color": _COLOURS[kind], "size": 5, "opacity": 0.7},
    )
