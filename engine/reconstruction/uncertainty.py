"""How far counting noise moves the volume of a shape: the fit repeated with new noise."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...kernels.reconstruction.progress import Step, Watch
from ...kernels.reconstruction.solution import ShapeSolution
from .measured import Measured
from .result import Settings
from .solvers import solve

__all__ = ["repeated_volumes"]


def repeated_volumes(
    measured: Measured, settings: Settings, solution: ShapeSolution, watch: Watch | None = None, *, seed: int = 0
) -> NDArray[np.float64]:
    """Return the volumes of shapes that were fitted to new Poisson noise around the projections of one.

    What they tell is the spread that counting noise causes; errors of the camera's model and what two views leave open are the
    same in all of them.

    Parameters
    ----------
    measured : Measured
        The views that `solution` was fitted to.
    settings : Settings
        How; `bootstrap` is the number of repetitions.
    solution : ShapeSolution
        The shape.
    watch : callable, optional
        Told after each repetition; when it returns True, the volumes so far are returned.
    seed : int
        Of the noise.

    Returns
    -------
    ndarray, shape (n,), float64
        Volumes [ml].

    References
    ----------
    * Efron and Tibshirani, An introduction to the bootstrap (1993), section 6.5: the parametric bootstrap.
    """
    random = np.random.default_rng(seed)
    again = replace(settings, bootstrap=0, start=None)
    stopped = False

    def listen(step: Step) -> bool:
        # A fit that is cut short would count with a wrong volume, and is left out.
        nonlocal stopped
        stopped = bool(watch and watch(Step(len(volumes), settings.bootstrap, step.objective, "new noise")))
        return stopped

    volumes: list[float] = []
    for _ in range(settings.bootstrap):
        noisy = tuple(random.poisson(np.maximum(view, 0)).astype(np.float32) for view in solution.projections)
        found = solve(replace(measured, images=noisy), again, "shape", listen)
        if stopped:
            break
        if isinstance(found, ShapeSolution):
            volumes.append(found.volume_ml)
    return np.array(volumes, np.float64)
