"""Figures of the report as plotly describes them; the viewer fills in the frame and the theme.

A trace carries in ``meta`` the name of the colour of the style sheet that it is drawn in.
"""

import base64
import hashlib
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs

__all__ = ["compressed_library", "finish", "profile_figure", "residual_figure", "series", "values_figure"]


@lru_cache(maxsize=1)
def compressed_library() -> tuple[str, str]:
    """Return plotly.js as base64 of its zlib stream, and the CSP source that admits it.

    Compressed it takes 2 MB of the report in place of 5.
    """
    script = get_plotlyjs().encode()
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    return base64.b64encode(zlib.compress(script, 9)).decode(), f"'sha256-{digest}'"


def profile_figure(value: str) -> dict[str, Any]:
    """Return the figure of a line profile through both images, without its data."""
    figure = go.Figure(
        [
            go.Scatter(name="before", meta="before", mode="lines", line={"width": 1, "shape": "hvh"}),
            go.Scatter(name="after", meta="after", mode="lines", line={"width": 1.8}),
        ]
    )
    return finish(figure, "", value)


def values_figure(value: str) -> dict[str, Any]:
    """Return the figure of the histogram of pixel values, without its data."""
    figure = go.Figure(
        [
            go.Scatter(name="before", meta="before", mode="lines", line={"width": 1.2, "shape": "hvh"}),
            go.Scatter(name="after", meta="after", mode="lines", line={"width": 1.8, "shape": "hvh"}),
        ]
    )
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    return finish(figure, value, "fraction of pixels")


def residual_figure() -> dict[str, Any]:
    """Return the figure of the normalised residual against a standard normal distribution, without its data."""
    z = np.linspace(-5, 5, 101)
    normal = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    figure = go.Figure(
        [
            go.Bar(name="this image", meta="after"),
            go.Scatter(name="N(0, 1)", meta="ink", mode="lines", line={"width": 1.4}, **series(z, normal)),
        ]
    )
    figure.update_layout(bargap=0)
    figure.update_xaxes(range=[-5, 5], dtick=1)
    return finish(figure, "(after \u2212 before) / \u221aafter", "probability density")


def series(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, list[float]]:
    """Return coordinates with four significant digits, which is more than a screen shows."""
    return {"x": [float(f"{v:.4g}") for v in x], "y": [float(f"{v:.4g}") for v in y]}


def finish(figure: go.Figure, x: str, y: str) -> dict[str, Any]:
    """Return the figure as plain data, with axis titles and without plotly's own theme."""
    figure.update_layout(
        template=None,
        margin={"l": 58, "r": 8, "t": 26, "b": 42},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom"},
        hovermode="x unified",
        dragmode="zoom",
    )
    figure.update_xaxes(title={"text": x, "standoff": 8}, zeroline=False, ticks="outside", ticklen=3)
    figure.update_yaxes(title={"text": y, "standoff": 6}, zeroline=False, ticks="outside", ticklen=3)
    plain: dict[str, Any] = figure.to_plotly_json()
    plain["layout"].pop("template", None)
    return plain
