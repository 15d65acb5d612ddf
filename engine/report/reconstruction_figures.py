"""Charts of a reconstruction: the body, how the fit went on, what is left, and how sure the volume is."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ...kernels.reconstruction.progress import Step
from ...kernels.reconstruction.solution import CurveSolution, VolumeSolution
from ..reconstruction.meshes import Mesh, tube
from ..reconstruction.result import Reconstruction
from .charts import finish, series
from .scenes import scene

__all__ = ["figures_of"]

COLOURS = ("c1", "c2", "c3", "c4", "c5", "c6")
FEW_STEPS = 40


def figures_of(found: Reconstruction) -> dict[str, Any]:
    """Return the figures by name: ``scene``, ``convergence``, ``residuals``, ``volumes``, where there is something to show."""
    figures: dict[str, Any] = {}
    meshes = _meshes(found)
    if meshes:
        looking = [view.looking for view in found.measured.geometry.views]
        figures["scene"] = scene(meshes, [(-x, -y, -z) for x, y, z in looking])
    if found.solution.history:
        figures["convergence"] = _convergence(found.solution.history)
    spread = _residuals(found)
    if spread:
        figures["residuals"] = spread
    if found.volumes_ml.size > 1:
        figures["volumes"] = _volumes(found)
    return figures


def _meshes(found: Reconstruction) -> list[tuple[Mesh, NDArray[np.float32] | None]]:
    solution = found.solution
    if isinstance(solution, CurveSolution):
        tubes = [(tube(curve), curve) for curve in solution.curves]
        return [(mesh, _of_vertices(mesh.vertices_mm, curve.points_mm, curve.certainty)) for mesh, curve in tubes]
    empty = isinstance(solution, VolumeSolution) and found.level <= 0
    return [] if empty or not (found.values > found.level).any() else [(found.mesh, None)]


def _of_vertices(
    vertices: NDArray[np.float64], points: NDArray[np.float64], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the value of the nearest point of the centreline for each vertex."""
    nearest = [np.argmin(((points - vertex) ** 2).sum(axis=1)) for vertex in vertices]
    return np.asarray(values[nearest], np.float32)


def _convergence(history: Sequence[Step]) -> dict[str, Any]:
    figure = go.Figure()
    done = [step.done for step in history]
    places_of = done if all(one < two for one, two in pairwise(done)) else range(1, len(done) + 1)
    stages = list(dict.fromkeys(step.stage for step in history))
    for i, stage in enumerate(stages):
        places = [place for place, step in enumerate(history) if step.stage == stage]
        x = np.array([places_of[place] for place in places], float)
        y = np.array([history[place].objective for place in places], float)
        finite = np.isfinite(y)
        figure.add_scatter(
            name=stage,
            meta=COLOURS[i % len(COLOURS)],
            mode="lines+markers" if len(places) < FEW_STEPS else "lines",
            line={"width": 1.8},
            marker={"size": 5},
            **series(x[finite], y[finite]),
        )
    objectives = [step.objective for step in history]
    if min(objectives) > 0 and max(objectives) > 10 * min(objectives):
        figure.update_yaxes(type="log", exponentformat="power")
    figure.update_layout(showlegend=len(stages) > 1)
    figure.update_yaxes(automargin=True)
    return finish(figure, "step", "objective")


def _residuals(found: Reconstruction) -> dict[str, Any] | None:
    """Return how the residuals are spread where something is projected, beside what noise alone would give."""
    edges = np.linspace(-6, 6, 61)
    centres = (edges[1:] + edges[:-1]) / 2
    figure = go.Figure()
    for index, residual in enumerate(found.solution.residuals):
        values = residual[found.seen(index)]
        if values.size:
            density, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges, density=True)
            figure.add_scatter(
                name=f"view {index + 1}",
                meta=COLOURS[index % len(COLOURS)],
                mode="lines",
                line={"width": 1.6, "shape": "hvh"},
                **series(centres, density),
            )
    if not figure.data:
        return None
    normal = np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi)
    figure.add_scatter(
        name="noise alone", meta="ink", mode="lines", line={"width": 1.2, "dash": "dot"}, **series(centres, normal)
    )
    figure.update_xaxes(range=[-6, 6], dtick=2)
    figure.update_yaxes(rangemode="tozero")
    return finish(figure, "(measured \u2212 projected) / standard deviation", "probability density")


def _volumes(found: Reconstruction) -> dict[str, Any]:
    counts, edges = np.histogram(found.volumes_ml, bins="auto")
    figure = go.Figure(
        go.Bar(name="repetitions", meta="after", **series((edges[1:] + edges[:-1]) / 2, counts.astype(float)))
    )
    figure.add_scatter(
        name="this fit",
        meta="ink",
        mode="lines",
        line={"width": 2},
        x=[round(found.volume_ml, 3)] * 2,
        y=[0, int(counts.max())],
    )
    figure.update_layout(bargap=0.05)
    return finish(figure, "volume / ml", "repetitions with new noise")
