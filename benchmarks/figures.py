"""Charts of the page on benchmarks as plotly describes them; the page's script paints them.

A trace carries in ``meta`` the name of the colour of the style sheet that it is drawn in: one for each library, the precision is
in the dashes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..engine.matrix import MatrixSize
from ..engine.report.charts import finish
from .regression import Change

__all__ = ["change_figure", "latency_figure", "memory_figure", "pareto_figure", "start_figure"]

Entry = Mapping[str, Any]
COLOURS = {"photopeak": "c1", "onnxruntime": "c2", "openvino": "c3", "torch": "c4", "torch-compile": "c5"}
DASHES = {"bf16": "dash", "int8": "dot"}
STAGE_COLOURS = ("level", "c6", "c3", "c1")


def latency_figure(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the latency of one model against the matrix, both on logarithmic axes, a line for each contestant.

    Whole-body matrices have the pixels of a square one: they stand beside the line, unjoined.
    """
    figure = go.Figure()
    for name in dict.fromkeys(one["extra_info"]["contestant_name"] for one in entries):
        own = [one for one in entries if one["extra_info"]["contestant_name"] == name]
        style = _style(own[0])
        for square in (True, False):
            points = sorted(
                ((_matrix(one), one) for one in own if _is_square(one) == square), key=lambda p: p[0].pixels
            )
            if not points:
                continue
            figure.add_scatter(
                x=[matrix.pixels for matrix, _ in points],
                y=[float(f"{1e3 * one['stats']['median']:.4g}") for _, one in points],
                text=[f"{name}, {matrix}" for matrix, _ in points],
                hovertemplate="%{text}: %{y} ms<extra></extra>",
                name=name,
                legendgroup=name,
                showlegend=square or not any(map(_is_square, own)),
                mode="lines+markers" if square else "markers",
                marker={"size": 6 if square else 9, "symbol": "circle" if square else "diamond-open"},
                meta=style["meta"],
                line=style["line"],
            )
    matrices = sorted({_matrix(one) for one in entries}, key=lambda matrix: (matrix.pixels, matrix.rows))
    labels: dict[int, str] = {}
    for matrix in matrices:
        labels[matrix.pixels] = f"{labels[matrix.pixels]}<br>{matrix}" if matrix.pixels in labels else str(matrix)
    figure.update_xaxes(type="log", tickvals=list(labels), ticktext=list(labels.values()))
    figure.update_yaxes(type="log", exponentformat="none", minor={"showgrid": False})
    plain = finish(figure, "", "median latency / ms")
    plain["layout"]["yaxis"] |= _decades([1e3 * one["stats"]["median"] for one in entries])
    return _titled(plain)


def pareto_figure(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return latency against the loss of fidelity for one model on one matrix, with the front that nothing beats."""
    known = [one for one in entries if one["extra_info"].get("loss_db") is not None]
    points = sorted((max(0.0, one["extra_info"]["loss_db"]), 1e3 * one["stats"]["median"]) for one in known)
    front: list[tuple[float, float]] = []
    for loss, latency in points:
        if not front or latency < front[-1][1]:
            front.append((loss, latency))
    figure = go.Figure()
    figure.add_scatter(
        x=[loss for loss, _ in front],
        y=[latency for _, latency in front],
        mode="lines",
        line={"width": 1, "shape": "hv", "dash": "dot"},
        meta="level",
        hoverinfo="skip",
        showlegend=False,
    )
    for one in known:
        style = _style(one)
        figure.add_scatter(
            x=[max(0.0, float(f"{one['extra_info']['loss_db']:.3g}"))],
            y=[float(f"{1e3 * one['stats']['median']:.4g}")],
            name=one["extra_info"]["contestant_name"],
            mode="markers",
            marker={"size": 11, "symbol": "circle" if style["line"]["dash"] == "solid" else "diamond"},
            meta=style["meta"],
            hovertemplate="%{y} ms, %{x} dB",
        )
    figure.update_yaxes(rangemode="tozero")
    largest = max([0.05, *(loss for loss, _ in points)])
    figure.update_xaxes(range=[-0.05 * largest, 1.1 * largest])
    return _titled(finish(figure, "loss of PSNR against float32 / dB", "median latency / ms"))


def start_figure(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the stages of the start of a fresh process, a bar for each contestant."""
    names = [one["extra_info"]["contestant_name"] for one in entries][::-1]
    figure = go.Figure()
    for stage, colour in zip(entries[0]["extra_info"]["stages_s"], STAGE_COLOURS, strict=True):
        figure.add_bar(
            x=[float(f"{one['extra_info']['stages_s'][stage]:.3g}") for one in entries][::-1],
            y=names,
            name=stage,
            orientation="h",
            meta=colour,
            hovertemplate="%{x} s",
        )
    figure.update_layout(barmode="stack", bargap=0.35)
    return _sideways(finish(figure, "time / s", ""))


def memory_figure(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the peak memory of a fresh process: what the import takes, and what model and run add."""
    names = [one["extra_info"]["contestant_name"] for one in entries][::-1]
    imported = np.array([one["extra_info"]["imported_bytes"] for one in entries][::-1]) / 2**20
    peak = np.array([one["extra_info"]["peak_bytes"] for one in entries][::-1]) / 2**20
    figure = go.Figure()
    for name, colour, values in (
        ("after the import", "level", imported),
        ("model and first run", "c1", peak - imported),
    ):
        figure.add_bar(
            x=[round(float(value)) for value in values],
            y=names,
            name=name,
            orientation="h",
            meta=colour,
            hovertemplate="%{x} MiB",
        )
    figure.update_layout(barmode="stack", bargap=0.35)
    return _sideways(finish(figure, "peak memory / MiB", ""))


def change_figure(changes: Sequence[Change]) -> dict[str, Any]:
    """Return later / earlier of each figure with its 95 % interval."""
    ordered = sorted(changes, key=lambda one: one.ratio)
    figure = go.Figure()
    for name, colour, chosen in (
        ("slower", "poor", [one.slower for one in ordered]),
        ("faster", "good", [one.faster for one in ordered]),
        ("not significant", "before", [not one.slower and not one.faster for one in ordered]),
    ):
        shown = [(index, one) for index, (one, here) in enumerate(zip(ordered, chosen, strict=True)) if here]
        if shown:
            figure.add_scatter(
                x=[index + 1 for index, _ in shown],
                y=[float(f"{one.ratio:.4g}") for _, one in shown],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [one.high - one.ratio for _, one in shown],
                    "arrayminus": [one.ratio - one.low for _, one in shown],
                    "width": 0,
                    "thickness": 1,
                },
                name=name,
                mode="markers",
                marker={"size": 6},
                meta=colour,
                text=[one.name for _, one in shown],
                hovertemplate="%{text}<br>x%{y}<extra></extra>",
            )
    figure.update_yaxes(type="log", exponentformat="none")
    plain = finish(figure, "figures, sorted", "later / earlier")
    plain["layout"]["yaxis"] |= _ratios([bound for one in ordered for bound in (one.low, one.high)])
    plain["layout"]["hovermode"] = "closest"
    return plain


def _style(one: Entry) -> dict[str, Any]:
    """Return the colour of the library and the dashes of the precision; Photopeak's second plan is dashed."""
    extra = one["extra_info"]
    ours = extra["kind"] == "photopeak"
    dash = ("solid" if extra["max_loss_db"] <= 0.05 else "dash") if ours else DASHES.get(extra["precision"], "solid")
    return {"meta": COLOURS[extra["kind"]], "line": {"width": 3 if ours else 1.5, "dash": dash}}


def _matrix(one: Entry) -> MatrixSize:
    return MatrixSize.parse(one["extra_info"]["matrix"].partition(" x ")[0])


def _is_square(one: Entry) -> bool:
    matrix = _matrix(one)
    return matrix.rows == matrix.columns


def _decades(values: Sequence[float]) -> dict[str, Any]:
    """Return ticks at 1, 2 and 5 of each decade."""
    low, high = int(np.floor(np.log10(min(values)))), int(np.ceil(np.log10(max(values))))
    ticks = [factor * 10.0**power for power in range(low, high + 1) for factor in (1, 2, 5)]
    return {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _ratios(values: Sequence[float]) -> dict[str, Any]:
    """Return ticks for ratios about 1, the finer the closer they are."""
    widest = max(max(values), 1 / max(min(values), 1e-3))
    steps = (1.02, 1.05, 1.1, 1.2) if widest < 1.3 else (1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
    ticks = sorted({1.0, *steps, *(1 / step for step in steps)})
    return {"tickvals": ticks, "ticktext": [f"{tick:.3g}" for tick in ticks]}


def _titled(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a figure whose legend stands on the right, as its names are long."""
    plain["layout"]["legend"] = {"x": 1.02, "y": 1, "xanchor": "left", "yanchor": "top"}
    plain["layout"]["hovermode"] = "closest"
    plain["layout"]["margin"] |= {"t": 10, "b": 54}
    return plain


def _sideways(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a figure of horizontal bars with room for the names."""
    plain["layout"]["hovermode"] = "closest"
    plain["layout"]["yaxis"] |= {"automargin": True, "ticks": ""}
    plain["layout"]["legend"] |= {"traceorder": "normal"}
    return plain
