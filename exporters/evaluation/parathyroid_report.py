"""The parathyroid study as Markdown, and its curves as a figure."""

import plotly.graph_objects as go

from ..markdown import markdown
from .detection_statistics import Estimate
from .parathyroid_study import HIT_MM, MODEL, RATES, SEEN, SIZES_MM, ParathyroidReport, Score

_COLOURS = {"model": "#0072b2", "threshold": "#d55e00", "template": "#009e73"}
_DASHES = {"early": "dot", "late": "dash", "both": "solid"}
LECTURE = {
    "early": (0.93, 0.58),
    "late": (0.95, 0.47),
}  # heard on AI for nuclear medicine, of real images; no paper is known

_SEEN = (
    "The same for glands that can be seen; patients without such a gland count among the normals, marks on other glands "
    "count neither way:"
)


def as_markdown(report: ParathyroidReport) -> str:
    """Return all tables.

    Parameters
    ----------
    report : ParathyroidReport
        Of ``parathyroid_study.study``.

    Returns
    -------
    str
        Markdown without a heading of its own.
    """
    ours = [score for score in report.scores if score.observer == MODEL]
    heading = (
        f"{report.cases} held-out simulated cases, {report.normals} of them without an abnormal gland in the field; "
        f"{report.glands} glands, of which {report.seen} can be seen (ideal observer's SNR of both phases at least {SEEN:g}). "
        f"A hit lies within the radius of a gland or {HIT_MM:g} mm of its centre. Intervals are 95 %, for shares by Wilson, "
        "which takes the glands of a patient as independent."
    )
    return "\n\n".join(
        [
            heading,
            "At each observer's own threshold, all glands:",
            _points(report, seen=False),
            _SEEN,
            _points(report, seen=True),
            "Sensitivity for all glands at given false positives per image (FROC, bootstrap by patient):",
            _rates(report, seen=False),
            "The same for glands that can be seen:",
            _rates(report, seen=True),
            "Sensitivity of the model by size and position of the gland, all glands, at its threshold:",
            _strata(ours),
            f"The model with both phases, the first {report.cases // 2 + report.cases % 2} cases acquired otherwise:",
            _robustness(report),
        ]
    )


def _points(report: ParathyroidReport, *, seen: bool) -> str:
    """Return sensitivity and false positives at the thresholds."""
    rows = []
    for score in report.scores:
        point = score.seen_glands if seen else score.all_glands
        figures = (point.lesions, point.patients, point.clear)
        rows.append((score.observer, score.phases, *map(percent, figures), str(point.false_positives)))
    if seen:
        rows += [
            ("lecture, real images", name, f"{100 * value:.0f} %", "-", "-", f"{false}")
            for name, (value, false) in LECTURE.items()
        ]
    header = (
        "observer",
        "phases",
        "glands found",
        "patients found",
        "normals without a mark",
        "false positives per image",
    )
    return markdown(header, rows)


def _rates(report: ParathyroidReport, *, seen: bool) -> str:
    rows = [
        (score.observer, score.phases, *map(percent, score.seen_rates if seen else score.rates))
        for score in report.scores
    ]
    return markdown(("observer", "phases", *(f"{rate:g}" for rate in RATES)), rows)


def _strata(scores: list[Score]) -> str:
    """Return sizes and kinds as rows, ways of looking as columns."""
    sizes = [f"{low:g} to {high:g}" for low, high in SIZES_MM]
    rows = [(f"{name} mm", *(percent(score.sizes[name]) for score in scores)) for name in sizes]
    rows += [(name, *(percent(score.kinds[name]) for score in scores)) for name in scores[0].kinds]
    return markdown(("glands", *(score.phases for score in scores)), rows)


def _robustness(report: ParathyroidReport) -> str:
    rows = [
        (
            score.setting,
            percent(score.all_glands.lesions),
            percent(score.seen_glands.lesions),
            str(score.all_glands.false_positives),
            percent(score.rates[0]),
            percent(score.seen_rates[0]),
        )
        for score in report.robustness
    ]
    header = ("setting", "glands found", "of those seen", "false positives per image")
    return markdown((*header, f"glands at {RATES[0]:g}", f"seen at {RATES[0]:g}"), rows)


def percent(estimate: Estimate) -> str:
    """Return a share with its interval, or a dash where nothing is known.

    Examples
    --------
    >>> percent(Estimate(0.912, 0.9, 0.95))
    '91 % (90 to 95)'
    """
    if estimate.value != estimate.value:
        return "-"
    return f"{100 * estimate.value:.0f} % ({100 * estimate.low:.0f} to {100 * estimate.high:.0f})"


def as_figure(report: ParathyroidReport) -> go.Figure:
    """Return the FROC curves of all observers, all glands, with the lecture's operating points."""
    figure = go.Figure()
    for name, curve in report.curves.items():
        observer, phases = name.split(", ")
        figure.add_trace(
            go.Scatter(
                x=curve.false_positives,
                y=curve.sensitivity,
                mode="lines",
                line={"color": _COLOURS[observer], "dash": _DASHES[phases], "shape": "hv"},
                name=name,
            )
        )
    figure.add_trace(
        go.Scatter(
            x=[false for _, false in LECTURE.values()],
            y=[value for value, _ in LECTURE.values()],
            mode="markers+text",
            text=[f"lecture, {name}" for name in LECTURE],
            textposition="bottom right",
            marker={"color": "#3b4252", "symbol": "diamond", "size": 9},
            name="lecture (real images)",
        )
    )
    figure.update_layout(template="simple_white", width=820, height=560, legend={"title": "observer, phases"})
    figure.update_xaxes(title="false positives per image", range=[0, 2])
    figure.update_yaxes(title="glands found", range=[0, 1])
    return figure
