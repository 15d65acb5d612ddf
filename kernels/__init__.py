"""Compiled numerics; this package imports nothing else of Photopeak.

Names are resolved on first use: ``import photopeak.kernels`` loads neither NumPy nor Numba.
"""

from importlib import import_module

# Public name -> module; the one list of what this package offers.
_HOMES = {
    "fit_brisque": "iqa.fitting",
    "fit_niqe": "iqa.fitting",
    "brisque": "iqa.brisque",
    "niqe": "iqa.niqe",
    "piqe": "iqa.piqe",
    "ma": "iqa.perceptual",
    "ma_features": "iqa.perceptual",
    "perceptual_index": "iqa.perceptual",
    "ms_ssim": "iqa.ssim",
    "nrmse": "iqa.differences",
    "psnr": "iqa.differences",
    "ssim": "iqa.ssim",
    "disk_mtf": "mtf.disk",
    "edge_mtf": "mtf.edge",
    "line_mtf": "mtf.line",
    "point_mtf": "mtf.point",
    "background_variability": "noise.contrast",
    "cnr": "noise.contrast",
    "contrast_recovery": "noise.contrast",
    "noise_equivalent_quanta": "noise.quanta",
    "noise_power_spectrum": "noise.spectrum",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
