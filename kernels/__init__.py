"""Compiled numerics; this package imports nothing else of Photopeak.

Names are resolved on first use: ``import photopeak.kernels`` loads neither NumPy nor Numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same list again, for type checkers and editors
    from .iqa.brisque import brisque as brisque
    from .iqa.differences import nrmse as nrmse
    from .iqa.differences import psnr as psnr
    from .iqa.fitting import fit_brisque as fit_brisque
    from .iqa.fitting import fit_niqe as fit_niqe
    from .iqa.niqe import niqe as niqe
    from .iqa.perceptual import ma as ma
    from .iqa.perceptual import ma_features as ma_features
    from .iqa.perceptual import perceptual_index as perceptual_index
    from .iqa.piqe import piqe as piqe
    from .iqa.ssim import ms_ssim as ms_ssim
    from .iqa.ssim import ssim as ssim
    from .mtf.disk import disk_mtf as disk_mtf
    from .mtf.edge import edge_mtf as edge_mtf
    from .mtf.line import line_mtf as line_mtf
    from .mtf.point import point_mtf as point_mtf
    from .mtf.roi import find_rois as find_rois
    from .noise.contrast import background_variability as background_variability
    from .noise.contrast import cnr as cnr
    from .noise.contrast import contrast_recovery as contrast_recovery
    from .noise.discs import Disc as Disc
    from .noise.quanta import noise_equivalent_quanta as noise_equivalent_quanta
    from .noise.spectrum import noise_power_spectrum as noise_power_spectrum
    from .reconstruction.alignment import calibrate_images as calibrate_images
    from .reconstruction.calibration import calibrate_landmarks as calibrate_landmarks
    from .reconstruction.camera import GammaCamera as GammaCamera
    from .reconstruction.checks import check_views as check_views
    from .reconstruction.curve import reconstruct_curve as reconstruct_curve
    from .reconstruction.geometry import Geometry as Geometry
    from .reconstruction.geometry import Grid as Grid
    from .reconstruction.geometry import View as View
    from .reconstruction.projection import Projector as Projector
    from .reconstruction.projection import backproject as backproject
    from .reconstruction.projection import project as project
    from .reconstruction.shape import reconstruct_shape as reconstruct_shape
    from .reconstruction.shape_uncertainty import volume_uncertainty as volume_uncertainty
    from .reconstruction.volume import reconstruct_volume as reconstruct_volume
    from .sparse.scsr import scsr as scsr

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
    "find_rois": "mtf.roi",
    "background_variability": "noise.contrast",
    "cnr": "noise.contrast",
    "contrast_recovery": "noise.contrast",
    "Disc": "noise.discs",
    "noise_equivalent_quanta": "noise.quanta",
    "noise_power_spectrum": "noise.spectrum",
    "GammaCamera": "reconstruction.camera",
    "reconstruct_curve": "reconstruction.curve",
    "calibrate_images": "reconstruction.alignment",
    "calibrate_landmarks": "reconstruction.calibration",
    "check_views": "reconstruction.checks",
    "Geometry": "reconstruction.geometry",
    "Grid": "reconstruction.geometry",
    "View": "reconstruction.geometry",
    "Projector": "reconstruction.projection",
    "backproject": "reconstruction.projection",
    "project": "reconstruction.projection",
    "reconstruct_shape": "reconstruction.shape",
    "volume_uncertainty": "reconstruction.shape_uncertainty",
    "reconstruct_volume": "reconstruction.volume",
    "scsr": "sparse.scsr",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
