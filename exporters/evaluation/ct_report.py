"""What was measured of a CT model as Markdown and as a figure."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from ..markdown import markdown
from .ct_real import INPUT, Curve, Insert, RealNoise
from .ct_study import CtReport, Noise, Sharpness
from .metrics import bootstrap
from .study import OURS, Score

_COLOURS = {INPUT: "#d55e00", "bicubic": "#999999", OURS: "#0072b2", "aim": "#009e73"}


def as_markdown(report: CtReport) -> str:
    """Return all tables, each under its heading."""
    parts = [
        ("PSNR [dB], mean over held-out slices", score_table(report.scores, "psnr", 2)),
        ("PSNR over the best interpolation [dB]", gain_table(report.scores)),
        ("SSIM", score_table(report.scores, "ssim", 4)),
        ("Change of a slice's mean [HU]", shift_table(report.scores)),
        ("Transfer function of simulated edges and wires", sharpness_table(report.sharpness)),
        ("Modulation of bars", bar_table(report)),
        ("Contrast of faint discs", disc_table(report)),
        ("Noise of simulated water", noise_table(report.noise)),
        ("Transfer function of the real phantom", insert_table(report.inserts)),
        ("Noise of the real phantom", noise_table(report.real_noise)),
    ]
    return "\n\n".join(f"### {heading}\n\n{table}" for heading, table in parts if table) + "\n"


def score_table(scores: Sequence[Score], figure: str, digits: int) -> str:
    """Tabulate a figure with its interval by method and noise."""
    rows = []
    for method in dict.fromkeys(score.method for score in scores):
        cells = []
        for level in _levels(scores):
            found = bootstrap(_values(scores, method, level, figure))
            cells.append(f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})")
        rows.append((_bold(method), *cells))
    return markdown(("noise", *(f"{level:g} HU" for level in _levels(scores))), rows)


def gain_table(scores: Sequence[Score]) -> str:
    """Tabulate how far the model is ahead of each interpolation, case by case [dB]."""
    rows = []
    for rival in dict.fromkeys(score.method for score in scores if score.method != OURS):
        cells = []
        for level in _levels(scores):
            found = bootstrap(_values(scores, OURS, level, "psnr") - _values(scores, rival, level, "psnr"))
            cells.append(f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})")
        rows.append((f"over {rival}", *cells))
    return markdown(("noise", *(f"{level:g} HU" for level in _levels(scores))), rows)


def shift_table(scores: Sequence[Score]) -> str:
    """Tabulate by how much the model changes the mean of a slice, mean and largest [HU]."""
    cells = []
    for level in _levels(scores):
        found = _values(scores, OURS, level, "bias")
        cells.append(f"{found.mean():+.2f}, largest {found[np.abs(found).argmax()]:+.2f}")
    return markdown(("noise", *(f"{level:g} HU" for level in _levels(scores))), [(_bold(OURS), *cells)])


def sharpness_table(curves: Sequence[Sharpness]) -> str:
    """Tabulate where half of the modulation is left, the least gain up to the input's Nyquist frequency, and overshoot."""
    header = (
        "object",
        "kernel",
        "noise [HU]",
        "MTF50 input / bicubic / model / aim [1/mm]",
        "least gain to Nyquist",
        "overshoot input / model",
    )
    return markdown(header, (_sharpness_row(curve) for curve in curves))


def least_gain(per_mm: Curve, modulation: dict[str, Curve]) -> tuple[float, float]:
    """Return the least difference of model and input up to the Nyquist frequency of the input, and its frequency [1/mm]."""
    half = len(per_mm) // 2
    gain = np.subtract(modulation[OURS], modulation[INPUT])[:half]
    worst = int(np.nanargmin(gain))
    return float(gain[worst]), per_mm[worst]


def _sharpness_row(curve: Sharpness) -> tuple[str, ...]:
    halves = [half_of(curve.per_mm, curve.modulation[name]) for name in (INPUT, "bicubic", OURS)]
    halves.append(half_of(curve.per_mm, curve.aim))
    gain, at = least_gain(curve.per_mm, curve.modulation)
    shoots = " / ".join(f"{100 * curve.overshoot[name]:.1f} %" for name in (INPUT, OURS)) if curve.overshoot else "-"
    return (
        curve.object,
        curve.kernel,
        f"{curve.noise_hu:g}",
        " / ".join(f"{f:.2f}" for f in halves),
        f"{gain:+.3f} at {at:.2f}",
        shoots,
    )


def half_of(per_mm: Curve, modulation: Curve) -> float:
    """Return the first frequency where half of the modulation is left [1/mm]; NaN where there is none."""
    values = np.asarray(modulation)
    below = np.flatnonzero(values <= 0.5)
    if not below.size or below[0] == 0:
        return float("nan")
    span = slice(int(below[0]) - 1, int(below[0]) + 1)
    return float(np.interp(-0.5, -values[span], np.asarray(per_mm)[span]))


def bar_table(report: CtReport) -> str:
    """Tabulate the modulation of bars, input / bicubic / model."""
    rates = sorted({bars.per_mm for bars in report.bars})
    rows = []
    for kernel in dict.fromkeys(bars.kernel for bars in report.bars):
        found = {bars.per_mm: bars.modulation for bars in report.bars if bars.kernel == kernel}
        rows.append(
            (kernel, *(" / ".join(f"{found[f][name]:.2f}" for name in (INPUT, "bicubic", OURS)) for f in rates))
        )
    return markdown(("kernel", *(f"{f:g} per mm" for f in rates)), rows)


def disc_table(report: CtReport) -> str:
    """Tabulate what is left of the contrast of faint discs, input / model."""
    steps = sorted({disc.step_hu for disc in report.discs})
    rows = []
    for diameter in sorted({disc.diameter_mm for disc in report.discs}):
        found = {disc.step_hu: disc.recovery for disc in report.discs if disc.diameter_mm == diameter}
        rows.append((f"{diameter:g} mm", *(f"{found[s][INPUT]:.2f} / {found[s][OURS]:.2f}" for s in steps)))
    return markdown(("diameter", *(f"{step:g} HU" for step in steps)), rows)


def noise_table(found: Sequence[Noise] | Sequence[RealNoise]) -> str:
    """Tabulate standard deviations, and the power by bands of frequency relative to that of the input."""
    if not found:
        return ""
    edges = (0.1, 0.3, 0.5, 0.8)
    bands = tuple(pairwise(edges))
    header = ("", "deviation input / bicubic / model [HU]", *(f"power at {a:g} to {b:g} per mm" for a, b in bands))
    rows = []
    for noise in found:
        deviations = " / ".join(f"{noise.deviation_hu[name]:.1f}" for name in (INPUT, "bicubic", OURS))
        powers = [_band(noise, OURS, band) / _band(noise, INPUT, band) for band in bands]
        name = noise.kernel if isinstance(noise, Noise) else noise.file
        rows.append((name, deviations, *(f"x {power:.2f}" for power in powers)))
    return markdown(header, rows)


def _band(noise: Noise | RealNoise, method: str, band: tuple[float, float]) -> float:
    """Return the mean power of a method in a band [HU^2 mm^2]."""
    per_mm, power = np.asarray(noise.per_mm[method]), np.asarray(noise.power[method])
    return float(power[(per_mm >= band[0]) & (per_mm < band[1])].mean())


def insert_table(inserts: Sequence[Insert]) -> str:
    """Tabulate the discs of the real phantom; empty where nothing was measured."""
    if not inserts:
        return ""
    header = (
        "file",
        "insert",
        "contrast [HU]",
        "MTF50 input / bicubic / model [1/mm]",
        "least gain to Nyquist",
        "overshoot input / model",
    )
    return markdown(header, (_insert_row(insert) for insert in inserts))


def _insert_row(insert: Insert) -> tuple[str, ...]:
    halves = " / ".join(f"{half_of(insert.per_mm, insert.modulation[name]):.2f}" for name in (INPUT, "bicubic", OURS))
    gain, at = least_gain(insert.per_mm, insert.modulation)
    where = int(np.argmin(np.abs(np.asarray(insert.per_mm) - at)))
    unsure = 0.5 * (insert.upper[OURS][where] - insert.lower[OURS][where])
    shoots = " / ".join(f"{100 * insert.overshoot[name]:.1f} %" for name in (INPUT, OURS))
    gained = f"{gain:+.3f} at {at:.2f} (95 %: \u00b1{unsure:.3f})"
    return insert.file, insert.name, f"{insert.contrast_hu:.0f}", halves, gained, shoots


def as_figure(report: CtReport) -> go.Figure:
    """Return transfer functions above noise power: a column for each kernel and noise, and for the real phantom."""
    scans = list(dict.fromkeys((curve.kernel, curve.noise_hu) for curve in report.sharpness))
    titles = [f"{kernel} kernel, {noise:g} HU" for kernel, noise in scans] + ["real phantom"] * bool(report.inserts)
    figure = make_subplots(2, len(titles), subplot_titles=titles, vertical_spacing=0.12)
    for column, scan in enumerate(scans, 1):
        for curve in (c for c in report.sharpness if (c.kernel, c.noise_hu) == scan):
            lines = {name: curve.modulation[name] for name in (INPUT, "bicubic", OURS)} | {"aim": curve.aim}
            _add(figure, 1, column, {name: curve.per_mm for name in lines}, lines, curve.object == "wire")
    for noise in report.noise:
        column = 1 + [kernel for kernel, _ in scans].index(noise.kernel)
        _add(figure, 2, column, noise.per_mm, noise.power, False)
    for insert in report.inserts:
        lines = {name: insert.modulation[name] for name in (INPUT, "bicubic", OURS)}
        _add(figure, 1, len(titles), {name: insert.per_mm for name in lines}, lines, False)
    for real in report.real_noise:
        _add(figure, 2, len(titles), real.per_mm, real.power, False)
    figure.update_xaxes(title="frequency [1/mm]", row=2)
    figure.update_yaxes(title="modulation", row=1, col=1)
    figure.update_yaxes(title="noise power [HU\u00b2 mm\u00b2]", row=2, col=1)
    figure.update_layout(template="plotly_white", width=340 * len(titles), height=700)
    return figure


def _add(
    figure: go.Figure, row: int, column: int, per_mm: dict[str, Curve], lines: dict[str, Curve], dotted: bool
) -> None:
    """Draw one line for each method; every name stands once in the legend."""
    shown = {trace.name for trace in figure.data}
    for name, values in lines.items():
        style = {"color": _COLOURS[name], "dash": "dot" if dotted else "solid", "width": 1.5}
        trace = go.Scatter(
            x=per_mm[name],
            y=values,
            name=name,
            legendgroup=name,
            showlegend=name not in shown,
            mode="lines",
            line=style,
        )
        figure.add_trace(trace, row, column)


def _levels(scores: Iterable[Score]) -> list[float]:
    return sorted({score.level for score in scores})


def _values(scores: Sequence[Score], method: str, level: float, figure: str) -> NDArray[np.float64]:
    return np.array([getattr(s, figure) for s in scores if s.method == method and s.level == level])


def _bold(method: str) -> str:
    return f"**{method}**" if method == OURS else method
