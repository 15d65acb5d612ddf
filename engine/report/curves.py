"""Figures of measured curves as plotly describes them, complete with their data; the page's script paints them.

A trace carries in ``meta`` the name of the colour of the style sheet that it is drawn in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from .charts import finish, series

__all__ = ["Line", "curve_figure", "plane_figure", "score_figure", "spread_figure"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A curve with its band.

    Parameters
    ----------
    name : str
        In the legend.
    colour : str
        Name of a colour of the style sheet.
    x, y : ndarray, shape (n,), float64
        The curve.
    lower, upper : ndarray, shape (n,), float64, or None
        Its band.
    dash : str
        ``solid`` or ``dot``.
    """

    name: str
    colour: str
    x: Floats
    y: Floats
    lower: Floats | None = None
    upper: Floats | None = None
    dash: str = "solid"


def curve_figure(
    lines: Sequence[Line], x: str, y: str, *, levels: Sequence[float] = (), ends: Sequence[tuple[float, str]] = ()
) -> dict[str, Any]:
    """Return curves with their bands, and dotted lines at levels and at frequencies that end something.

    Parameters
    ----------
    lines : sequence of Line
        The curves.
    x, y : str
        Titles of the axes.
    levels : sequence of float
        Heights of horizontal lines.
    ends : sequence of (float, str)
        Places and names of vertical lines; what lies beyond them is shown when the reader zooms out.
    """
    highest = max(float(np.nanmax(line.y if line.upper is None else line.upper)) for line in lines)
    last = max(float(line.x[-1]) for line in lines)
    seen = max((place for place, _ in ends), default=last)
    traces = [_dotted([0, last], [level, level]) for level in levels]
    traces += [_dotted([place, place], [0, highest], name) for place, name in ends]
    for line in lines:
        traces += _banded(line)
    figure = go.Figure(traces)
    figure.update_xaxes(range=[0, seen * 1.03])
    figure.update_yaxes(rangemode="tozero")
    return finish(figure, x, y)


def spread_figure(lines: Sequence[Line], x: str, y: str) -> dict[str, Any]:
    """Return spread functions side by side."""
    figure = go.Figure([trace for line in lines for trace in _banded(line)])
    return finish(figure, x, y)


def score_figure(scores: Sequence[tuple[int, str, float | None]], y: str) -> dict[str, Any]:
    """Return scores one after the other, joined within an image.

    Parameters
    ----------
    scores : sequence of (int, str, float or None)
        Number of the image, name of the frame, and score; a frame without a score leaves a gap.
    y : str
        Title of the axis.
    """
    figure = go.Figure()
    for image in dict.fromkeys(image for image, _, _ in scores):
        places = [place for place, (i, _, _) in enumerate(scores) if i == image]
        values = [scores[place][2] for place in places]
        figure.add_scatter(
            x=[place + 1 for place in places],
            y=[None if value is None else float(f"{value:.6g}") for value in values],
            meta="after",
            mode="lines+markers",
            line={"width": 1},
            marker={"size": 6},
            text=[scores[place][1] for place in places],
            hovertemplate="%{text}<br>%{y}<extra></extra>",
            showlegend=False,
        )
    plain = finish(figure, "line of the table", y)
    plain["layout"]["hovermode"] = "closest"
    plain["layout"]["xaxis"] |= {"dtick": 1} if len(scores) <= 12 else {}
    return plain


def plane_figure(plane: Floats, frequencies: tuple[Floats, Floats], unit: str, power: str) -> dict[str, Any]:
    """Return a spectrum in two dimensions.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Frequency 0 in the middle.
    frequencies : tuple of ndarray
        Of the rows and of the columns.
    unit, power : str
        Units of frequencies and of the spectrum.
    """
    down, along = ([float(f"{value:.5g}") for value in part] for part in frequencies)
    figure = go.Figure(
        go.Heatmap(
            x=along,
            y=down,
            z=[[float(f"{value:.4g}") for value in row] for row in plane],
            colorscale="Viridis",
            colorbar={"thickness": 12, "title": {"text": power, "side": "right"}, "outlinewidth": 0},
            hovertemplate=f"(%{{x}}, %{{y}}) {unit}<br>%{{z}} {power}<extra></extra>",
        )
    )
    plain = finish(figure, f"along the columns / {unit}", f"down the rows / {unit}")
    plain["layout"]["yaxis"] |= {"scaleanchor": "x", "autorange": "reversed", "constrain": "domain"}
    plain["layout"]["xaxis"] |= {"constrain": "domain"}
    return plain


def _banded(line: Line) -> list[go.Scatter]:
    main = go.Scatter(
        name=line.name,
        meta=line.colour,
        mode="lines",
        line={"width": 2},
        legendgroup=line.name,
        **series(line.x, line.y),
    )
    if line.lower is None or line.upper is None:
        return [main]
    quiet = {"meta": line.colour, "mode": "lines", "hoverinfo": "skip", "showlegend": False, "legendgroup": line.name}
    low = go.Scatter(**quiet, line={"width": 0}, **series(line.x, line.lower))
    high = go.Scatter(**quiet, line={"width": 0}, fill="tonexty", **series(line.x, line.upper))
    band = [f"{a:.3f} to {b:.3f}" for a, b in zip(line.lower, line.upper, strict=True)]
    main.update(customdata=band, hovertemplate="%{y:.4g} (%{customdata})")
    return [low, high, main]


def _dotted(x: Sequence[float], y: Sequence[float], name: str = "") -> go.Scatter:
    words = {"mode": "lines+text", "text": ["", name], "textposition": "top left"} if name else {"mode": "lines"}
    return go.Scatter(
        x=list(x),
        y=list(y),
        meta="level",
        hoverinfo="skip",
        showlegend=False,
        line={"width": 1, "dash": "dot"},
        **words,
    )
