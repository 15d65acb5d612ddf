"""Libraries that measure sharpness and noise."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Peer

__all__ = ["MEASURE_PEERS", "pylinac_nps", "quickmtf_edge"]

Image = NDArray[np.float64]


def quickmtf_edge(image: Image, dtype: str = "float64") -> Callable[[], Any]:
    """Measure a slanted edge as quickMTF does: the method of ISO 12233, four samples to a pixel."""
    import matplotlib

    matplotlib.use("agg")
    method = import_module("quickMTF.SFR_MTF").sfr_mtfcal()
    return lambda: method.calc_sfr(image, oversampling=4)[0]


def pylinac_nps(regions: Image, dtype: str = "float64") -> Callable[[], Any]:
    """Measure the noise of regions, in two dimensions and radially, as pylinac does."""
    import matplotlib

    matplotlib.use("agg")
    module = import_module("pylinac.core.nps")

    def measured() -> Any:
        return module.noise_power_spectrum_1d(module.noise_power_spectrum_2d(1.0, list(regions)))

    return measured


MEASURE_PEERS: tuple[Peer, ...] = (
    Peer("quickMTF", "quickMTF", "edge_mtf", quickmtf_edge),
    Peer("pylinac", "pylinac", "nps", pylinac_nps, "subtracts the mean only; its radial average is biased"),
)
