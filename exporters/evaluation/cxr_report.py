"""The study of ``cxr-view`` as Markdown and as a figure."""

import plotly.graph_objects as go

from ...engine.analysis.chest_regions import REGIONS
from ..markdown import markdown
from .cxr_study import CxrReport
from .detection_statistics import Estimate

_COLOURS = ("#0072b2", "#56b4e9", "#882255", "#d55e00", "#009e73", "#cc79a7", "#e69f00")


def as_markdown(report: CxrReport) -> str:
    """Return all tables."""
    before, after = report.calibration_error
    return "\n\n".join(
        [
            f"### AP against PA, {report.images} images, {report.folds} folds by patient",
            separation_table(report),
            "### Where the evidence lies",
            evidence_table(report),
            (
                f"Expected calibration error of held-out probabilities: {before:.3f} as they come, {after:.3f} with the "
                f"temperature of the other folds; temperature of all {report.temperature:.2f}."
            ),
            *(["### What is refused", refusal_table(report)] if report.refusals else []),
        ]
    )


def separation_table(report: CxrReport) -> str:
    """Return AUC and balanced accuracy by method and images."""
    rows = [
        (one.method, one.images, f"{one.ap} / {one.pa}", interval(one.auc), interval(one.balanced))
        for one in sorted(report.separations, key=lambda one: one.images)
    ]
    return markdown(("method", "images", "AP / PA", "AUC", "balanced accuracy"), rows)


def evidence_table(report: CxrReport) -> str:
    """Return the share of the evidence in each region, by the class that was chosen."""
    rows = [
        (
            one.label,
            str(one.images),
            *(f"{100 * share:.0f} %" for share in one.regions),
            percent(one.outside),
            f"{100 * one.median_outside:.1f} %",
        )
        for one in report.evidence
    ]
    return markdown(("chosen", "images", *REGIONS, "outside, mean", "outside, median"), rows)


def refusal_table(report: CxrReport) -> str:
    """Return how many inputs of each kind are inside, at the border and outside of the domain."""
    rows = [
        (one.kind, str(one.images), *(f"{100 * share:.0f} %" for share in (one.inside, one.border, one.outside)))
        for one in report.refusals
    ]
    return markdown(("input", "images", "inside", "border", "outside"), rows)


def interval(estimate: Estimate) -> str:
    """Return a figure with its interval."""
    return str(estimate)


def percent(estimate: Estimate) -> str:
    """Return a share with its interval [%]."""
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def as_figure(report: CxrReport) -> go.Figure:
    """Return the AUC of every method with its interval, by images."""
    figure = go.Figure()
    for colour, method in zip(_COLOURS, dict.fromkeys(one.method for one in report.separations), strict=True):
        own = [one for one in report.separations if one.method == method]
        figure.add_trace(
            go.Scatter(
                x=[one.auc.value for one in own],
                y=[one.images for one in own],
                error_x={
                    "type": "data",
                    "array": [one.auc.high - one.auc.value for one in own],
                    "arrayminus": [one.auc.value - one.auc.low for one in own],
                },
                mode="markers",
                name=method,
                marker={"color": colour, "size": 9},
            )
        )
    figure.update_layout(xaxis_title="AUC", template="simple_white", height=480)
    return figure
