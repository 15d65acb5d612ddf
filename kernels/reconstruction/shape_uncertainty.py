"""How far counting noise moves the volume of a shape."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from ..errors import UsageError
from .geometry import Geometry
from .progress import Step, Watch
from .shape import reconstruct_shape
from .solution import ShapeSolution

__all__ = ["VolumeUncertainty", "volume_uncertainty"]


@dataclass(frozen=True)
class VolumeUncertainty:
    """Volumes of repeated measurements.

    Parameters
    ----------
    volumes_ml : tuple of float
        One for each repetition that came to its end [ml].
    """

    volumes_ml: tuple[float, ...]

    @property
    def standard_ml(self) -> float:
        """Standard deviation [ml]."""
        return float(np.std(self.volumes_ml, ddof=1))

    def interval_ml(self, share: float = 0.95) -> tuple[float, float]:
        """Return the percentiles between which a share of the repetitions lies [ml]."""
        low, high = np.percentile(self.volumes_ml, (50 - 50 * share, 50 + 50 * share))
        return float(low), float(high)


def volume_uncertainty(
    solution: ShapeSolution,
    geometry: Geometry,
    *,
    repeats: int = 20,
    seed: int = 0,
    watch: Watch | None = None,
    **options: Any,
) -> VolumeUncertainty:
    """Return the volumes that other counts of the same body would give: a parametric bootstrap.

    Each repetition draws Poisson counts about the views of the solution and solves from the beginning, as the solution itself
    was found. This is what noise does; what two views cannot tell, and errors of the model, come on top.

    Parameters
    ----------
    solution : ShapeSolution
        From :func:`~photopeak.kernels.reconstruction.shape.reconstruct_shape`.
    geometry : Geometry
        That it was found with.
    repeats : int, default 20
        How many, 2 or more.
    seed : int, default 0
        Of the noise.
    watch : callable, optional
        Told of each step of each repetition; if it returns True, the repetition under way is left out and none follows.
    **options
        The other arguments of `reconstruct_shape`, as they were.

    Returns
    -------
    VolumeUncertainty

    References
    ----------
    * B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), section 6.5.

    Examples
    --------
    >>> from photopeak.kernels import Geometry, Grid, project
    >>> geometry = Geometry.around(Grid((16, 16, 16), (8.0, 8.0, 8.0)), (0, 90))
    >>> z, y, x = np.meshgrid(*geometry.grid.axes(), indexing="ij")
    >>> views = project((x**2 + y**2 + z**2 < 40**2).astype(np.float32), geometry)
    >>> solution = reconstruct_shape(views, geometry)
    >>> 0 < volume_uncertainty(solution, geometry, repeats=3).standard_ml < 0.1 * solution.volume_ml
    True
    """
    if not isinstance(repeats, Integral) or repeats < 2:
        raise UsageError(f"repeats is {repeats}; a spread needs 2 or more.")
    rng = np.random.default_rng(seed)
    volumes: list[float] = []

    def listen(step: Step) -> bool:
        return bool(watch and watch(Step(len(volumes), repeats, step.objective, "new noise")))

    for _ in range(int(repeats)):
        counts = [rng.poisson(np.maximum(image, 0)).astype(np.float32) for image in solution.projections]
        found = reconstruct_shape(counts, geometry, watch=listen, **options)
        if found.interrupted:
            break
        volumes.append(found.volume_ml)
    return VolumeUncertainty(tuple(volumes))
