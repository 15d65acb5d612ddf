"""The study of a denoiser of PET slices as Markdown and as a figure."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..card import FRACTIONS, figure_table, gain_by_kind_table, gain_table
from ..markdown import markdown
from ..slice_card import scan_table
from .contrast import mean_curves
from .denoise_study import Advantage, DenoiseReport, curves
from .metrics import Interval, bootstrap
from .nema_scan import RECONSTRUCTIONS
from .slice_study import RAW, SphereScore
from .study import OURS
from .uptake import REGIONS, Reading

_REAL = "real scan"
_COLOURS = {
    OURS: "#0072b2",
    "Gaussian": "#009e73",
    "NLM": "#cc79a7",
    "TV": "#e69f00",
    "BM3D + Anscombe": "#d55e00",
    RAW: "#3b4252",
    RECONSTRUCTIONS[1]: "#888888",
}
_COLUMNS = 3


def as_markdown(report: DenoiseReport) -> str:
    """Return all tables."""
    scores = report.slices.scores
    cases = len({score.case for score in scores})
    parts = [
        f"### {report.model}: PSNR on {cases} held-out slices [dB]",
        figure_table(scores, "psnr", 2),
        gain_table(scores, "denoise"),
        gain_by_kind_table(scores),
        "### SSIM",
        figure_table(scores, "ssim", 3),
        "### Contrast recovery at equal background variability",
        _advantages(report.advantages),
    ]
    if report.slices.scan:
        parts += ["### Background variability at equal recovery, real scan", scan_table(report.slices.scan)]
    return "\n\n".join([*parts, "### Bias of mean / maximum [%]", _readings(report.readings)])


def as_figure(report: DenoiseReport) -> go.Figure:
    """Return contrast recovery against background variability, one panel for each count level and one for the real scan."""
    groups = _groups(report)
    rows = -(-len(groups) // _COLUMNS)
    figure = make_subplots(
        rows, _COLUMNS, subplot_titles=[*groups], horizontal_spacing=0.06, vertical_spacing=0.15, shared_yaxes=True
    )
    for k, scores in enumerate(groups.values()):
        at = k // _COLUMNS + 1, k % _COLUMNS + 1
        for name, points in (curves(scores) | _second(scores)).items():
            figure.add_trace(_line(name, points, legend=name not in {trace.name for trace in figure.data}), *at)
        figure.update_xaxes(title="background variability [%]", row=at[0], col=at[1])
        figure.update_yaxes(title="contrast recovery" if at[1] == 1 else None, row=at[0], col=at[1])
    figure.update_xaxes(rangemode="tozero")
    figure.update_layout(template="plotly_white", width=1150, height=400 * rows, legend_title=report.model)
    return figure


def _groups(report: DenoiseReport) -> dict[str, Sequence[SphereScore]]:
    """Return the scores of each panel under its title."""
    levels = sorted({score.level for score in report.slices.spheres})
    groups: dict[str, Sequence[SphereScore]] = {
        f"{_label(level)} of the counts": [s for s in report.slices.spheres if s.level == level] for level in levels
    }
    return groups | ({f"{_REAL} of a NEMA phantom": report.slices.scan} if report.slices.scan else {})


def _second(scores: Sequence[SphereScore]) -> dict[str, list[tuple[float, float]]]:
    """Return the point of the other reconstruction of a real scan, where there is one."""
    return {name: points for name, points in mean_curves(scores).items() if name == RECONSTRUCTIONS[1]}


def _line(name: str, points: list[tuple[float, float]], legend: bool) -> go.Scatter:
    return go.Scatter(
        x=[100 * variability for _, variability in points],
        y=[recovery for recovery, _ in points],
        mode="lines+markers",
        name=name,
        legendgroup=name,
        showlegend=legend,
        line={"color": _COLOURS[name], "width": 3.5 if name == OURS else 1.6},
        marker={"size": 8 if name in (OURS, RAW, RECONSTRUCTIONS[1]) else 5},
    )


def _advantages(found: Sequence[Advantage]) -> str:
    rows = []
    for one in found:
        other = (one.rival, f"{one.rival_recovery:.3f}") if one.rival_recovery is not None else ("none gets there", "")
        rows.append(
            (_label(one.level), f"{one.share:g}", f"{100 * one.variability:.2f}", f"**{one.recovery:.3f}**", *other)
        )
    header = ("counts", "share of the output", "variability [%]", "recovery", "best other method there", "its recovery")
    return markdown(header, rows)


def _readings(readings: Sequence[Reading]) -> str:
    """Tabulate the bias: a block of rows for each kind of region."""
    levels, rows = sorted({reading.level for reading in readings}), []
    for region in REGIONS:
        here = [reading for reading in readings if reading.region == region]
        for method in dict.fromkeys(reading.method for reading in here):
            cells = []
            for level in levels:
                group = [r for r in here if (r.method, r.level) == (method, level)]
                mean, top = (
                    bootstrap(100 * np.array([getattr(r, f) for r in group])) for f in ("mean_bias", "max_bias")
                )
                cells.append(f"{_spread(mean)} / {_spread(top)}")
            rows.append((region, f"**{method}**" if method == OURS else method, *cells))
    return markdown(("region", "method", *(_label(level) for level in levels)), rows)


def _label(level: float) -> str:
    return FRACTIONS[level] if level else _REAL


def _spread(interval: Interval) -> str:
    return f"{interval.mean:+.1f} ({interval.low:+.1f} to {interval.high:+.1f})"
