"""A reconstruction in numbers and words."""

from typing import Any

import numpy as np

from ...kernels.reconstruction.solution import CurveSolution, ShapeSolution, VolumeSolution
from .result import Reconstruction

__all__ = ["SURE", "described", "spelled"]

# From here on a point of a wire counts as certain; studies count how many of these are right.
SURE = 0.8


def described(found: Reconstruction) -> dict[str, Any]:
    """Return the numbers of a reconstruction, for programs."""
    solution, geometry = found.solution, found.measured.geometry
    described: dict[str, Any] = {
        "method": found.method,
        "interrupted": found.interrupted,
        "seconds": found.seconds,
        "steps": found.steps,
        "objective": solution.history[-1].objective if solution.history else None,
        "volume_ml": found.volume_ml,
        "interval_ml": found.interval_ml,
        "shift_ml": found.shift_ml,
        "residual_chi2": found.chi2_per_pixel,
        "grid": {"shape": found.grid.shape, "spacing_mm": found.grid.spacing_mm, "center_mm": found.grid.center_mm},
        "geometry": {
            "kind": found.measured.kind,
            "cone_beam": geometry.cone_beam,
            "looking": [view.looking for view in geometry.views],
            "facts": dict(found.measured.facts),
        },
        "warnings": found.warnings,
    }
    if isinstance(solution, ShapeSolution):
        described |= {"activity_per_mm": solution.activity, "background_per_mm": solution.background}
        described["attenuation_factor"] = solution.attenuation
    elif isinstance(solution, VolumeSolution):
        described |= {"regularisation": solution.regularisation, "peak_per_mm": float(solution.values.max())}
    else:
        described["curves"] = [
            {
                "length_mm": curve.length_mm,
                "radius_mm": curve.radius_mm,
                "certain": float(np.mean(curve.certainty >= SURE)),
            }
            for curve in solution.curves
        ]
    return described


def spelled(found: Reconstruction) -> list[tuple[str, str]]:
    """Return names and facts, for people."""
    solution = found.solution
    rows = []
    if isinstance(solution, CurveSolution):
        for i, curve in enumerate(solution.curves):
            sure = 100 * float(np.mean(curve.certainty >= SURE))
            rows.append(
                (f"wire {i + 1}", f"{curve.length_mm:.1f} mm, radius {curve.radius_mm:.3g} mm, {sure:.0f} % certain")
            )
        rows = rows or [("wires", "none found")]
    else:
        interval = found.interval_ml
        noise = f", {interval[0]:.4g} to {interval[1]:.4g} with counting noise (95 %)" if interval else ""
        rows.append(("volume", f"{found.volume_ml:.4g} ml{noise}"))
    chi2 = ", ".join(f"{value:.2f}" for value in found.chi2_per_pixel)
    rows.append(("residuals", f"mean square {chi2} (1 is noise alone)"))
    cut = ", interrupted" * found.interrupted
    rows.append(("fit", f"{found.steps} steps in {found.seconds:.1f} s{cut}"))
    rows += [(name.lower(), fact) for name, fact in found.measured.facts]
    return [*rows, *(("warning", sentence) for sentence in found.warnings)]
