"""Figures in three dimensions as plotly describes them; the page's script gives them the colours of the theme."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reconstruction.meshes import Mesh

__all__ = ["CERTAINTY", "scene"]

# From what two views do not decide to what they leave no doubt about.
CERTAINTY = ["#d7301f", "#fdae61", "#d9d38c", "#66a8a0", "#1b5e8c"]
_AXES = ("left \u2192", "back \u2192", "head \u2192")
_ARROW = 0.8  # length of the lines to the detectors, of the size of what is shown


def scene(
    meshes: Sequence[tuple[Mesh, NDArray[np.float32] | None]], directions: Sequence[tuple[float, float, float]]
) -> dict[str, Any]:
    """Return surfaces and where the detectors were, for a reader to turn.

    Parameters
    ----------
    meshes : sequence of (Mesh, ndarray or None)
        Each with the certainty of its vertices, shape (n,), or None for one colour.
    directions : sequence of tuple of float
        From the middle to each detector, unit vectors x, y and z.
    """
    points = np.concatenate([mesh.vertices_mm for mesh, _ in meshes])
    low, high = points.min(axis=0), points.max(axis=0)
    traces = [_surface(mesh, certainty, i == 0) for i, (mesh, certainty) in enumerate(meshes)]
    traces += [_arrow(i + 1, (low + high) / 2, direction, high - low) for i, direction in enumerate(directions)]
    axes = {
        f"{name}axis": {"title": {"text": words}, "showbackground": False, "showspikes": False, "nticks": 6}
        for name, words in zip("xyz", _AXES, strict=True)
    }
    return {
        "data": traces,
        "layout": {
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "showlegend": False,
            "scene": {
                **axes,
                "aspectmode": "data",
                "dragmode": "orbit",
                # From the front, a little from above and from the patient's left.
                "camera": {"eye": {"x": 0.85, "y": -1.75, "z": 0.55}, "up": {"x": 0, "y": 0, "z": 1}},
            },
        },
    }


def _surface(mesh: Mesh, certainty: NDArray[np.float32] | None, first: bool) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "mesh3d",
        "meta": "bar",
        **{name: _packed(mesh.vertices_mm[:, k], "<f4", "f4") for k, name in enumerate("xyz")},
        **{name: _packed(mesh.faces[:, k], "<i4", "i4") for k, name in enumerate("ijk")},
        "flatshading": False,
        "lighting": {"ambient": 0.62, "diffuse": 0.6, "specular": 0.2, "roughness": 0.7, "fresnel": 0.1},
        "lightposition": {"x": 2000, "y": -4000, "z": 3000},
        "hovertemplate": "%{x:.1f}, %{y:.1f}, %{z:.1f} mm<extra></extra>",
    }
    if certainty is None:
        return trace
    scale = [[i / (len(CERTAINTY) - 1), colour] for i, colour in enumerate(CERTAINTY)]
    return trace | {
        "intensity": _packed(certainty, "<f4", "f4"),
        "cmin": 0,
        "cmax": 1,
        "colorscale": scale,
        "showscale": first,
        "colorbar": {"title": {"text": "certainty"}, "thickness": 12, "len": 0.6, "outlinewidth": 0},
        "hovertemplate": "certainty %{intensity:.2f}<br>%{x:.1f}, %{y:.1f}, %{z:.1f} mm<extra></extra>",
    }


def _arrow(
    number: int, middle: NDArray[np.float64], direction: Sequence[float], size: NDArray[np.float64]
) -> dict[str, Any]:
    """Return a line that points to a detector."""
    along = np.array(direction)
    reach = _ARROW * float(size.max())
    ends = np.stack([middle + 0.7 * reach * along, middle + reach * along])
    return {
        "type": "scatter3d",
        "mode": "lines+text",
        **{name: np.round(ends[:, k], 2).tolist() for k, name in enumerate("xyz")},
        "meta": "soft",
        "text": ["", f"view {number}"],
        "textposition": "top center",
        "line": {"width": 4},
        "hoverinfo": "skip",
    }


def _packed(values: NDArray[Any], dtype: str, name: str) -> dict[str, str]:
    """Return numbers as plotly takes them in a few bytes."""
    return {"dtype": name, "bdata": base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()}
