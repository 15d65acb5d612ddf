"""Libraries that score images.

Parameters that a library would fetch over the network are handed to it from the files that ship with Photopeak: they are
the same numbers, those of the LIVE release.
"""

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.iqa.models import BrisqueModel, NiqeModel, resolve
from .base import Peer, declare_torchvision

__all__ = [
    "IMAGE_PEERS",
    "opencv_brisque",
    "piq_brisque",
    "piq_ms_ssim",
    "piq_ssim",
    "pyiqa_ma",
    "pyiqa_niqe",
    "pyiqa_piqe",
    "pypiqe_piqe",
    "pytorch_msssim_ms_ssim",
    "skimage_nrmse",
    "skimage_psnr",
    "skimage_ssim",
    "tensor",
]

Image = NDArray[np.uint8]
Score = Callable[[], Any]

SVM_HEAD = """%YAML:1.0
---
opencv_ml_svm:
   format: 3
   svmType: EPS_SVR
   kernel: {{ type: RBF, gamma: {gamma!r} }}
   C: 1024.
   p: 0.1
   term_criteria: {{ epsilon: 0.001, iterations: 1000 }}
   var_count: {features}
   class_count: 0
   sv_total: {count}
   support_vectors:
"""
SVM_TAIL = """   decision_functions:
      -
         sv_count: {count}
         rho: {rho!r}
         alpha: {alpha}
         index: {index}
"""


def tensor(image: Image, dtype: str, scale: float = 255.0) -> Any:
    """Return an image as a batch of one, grey values over `scale`."""
    import torch

    return torch.from_numpy(image.astype(dtype)[np.newaxis, np.newaxis] / scale)


def pyiqa_niqe(image: Image, dtype: str = "float32") -> Score:
    """Measure NIQE as pyiqa does."""
    import torch

    module, model = _pyiqa("niqe"), resolve("live", NiqeModel)[0]
    mean, covariance = (torch.from_numpy(np.array(values)) for values in (model.mean, model.covariance))
    x = tensor(image, dtype)
    return lambda: float(module.calculate_niqe(x, mu_pris_param=mean[None], cov_pris_param=covariance[None]))


def pyiqa_piqe(image: Image, dtype: str = "float32") -> Score:
    """Measure PIQE as pyiqa does."""
    module, x = _pyiqa("piqe"), tensor(image, dtype)
    return lambda: float(module.piqe(x)[0])


def pyiqa_ma(image: Image, dtype: str = "float64") -> Score:
    """Compute the features of Ma et al. as pyiqa does, without the forests that turn them into a score."""
    import torch

    module, x = _pyiqa("nrqm"), tensor(image, dtype, scale=1.0)
    nothing = np.zeros((1, 1), np.float32)
    assert torch.is_tensor(x)
    return lambda: module.nrqm(x, nothing, [])


def piq_brisque(image: Image, dtype: str = "float32") -> Score:
    """Measure BRISQUE as piq does."""
    declare_torchvision()
    import torch

    module: Any = import_module("piq.brisque")
    model = resolve("live", BrisqueModel)[0]
    weights, vectors = (torch.from_numpy(values.astype(dtype)) for values in (model.weights, model.vectors))
    # It reads its parameters at each call and turns them in place.
    module.load_url = lambda url, map_location: (weights[:, None].clone(), vectors.clone())
    x = tensor(image, dtype)
    return lambda: float(module.brisque(x))


def opencv_brisque(image: Image, dtype: str = "float32") -> Score:
    """Measure BRISQUE as OpenCV does."""
    metric = _opencv_brisque()
    return lambda: metric.compute(image)[0]


def pypiqe_piqe(image: Image, dtype: str = "float64") -> Score:
    """Measure PIQE as pypiqe does."""
    import pypiqe

    return lambda: pypiqe.piqe(image)[0]


def skimage_ssim(pair: tuple[Image, Image], dtype: str = "float32") -> Score:
    """Measure SSIM as scikit-image does with the settings of Wang et al."""
    from skimage.metrics import structural_similarity

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return lambda: structural_similarity(*pair, **options)


def skimage_psnr(pair: tuple[Image, Image], dtype: str = "float32") -> Score:
    """Measure PSNR as scikit-image does."""
    from skimage.metrics import peak_signal_noise_ratio

    frame, reference = pair
    return lambda: peak_signal_noise_ratio(reference, frame, data_range=255)


def skimage_nrmse(pair: tuple[Image, Image], dtype: str = "float32") -> Score:
    """Measure NRMSE as scikit-image does."""
    from skimage.metrics import normalized_root_mse

    frame, reference = pair
    return lambda: normalized_root_mse(reference, frame)


def piq_ssim(pair: tuple[Image, Image], dtype: str = "float32") -> Score:
    """Measure SSIM as piq does, without its shrinking of large images."""
    declare_torchvision()
    import piq

    x, y = (tensor(image, dtype) for image in pair)
    return lambda: float(piq.ssim(x, y, downsample=False))


def pytorch_msssim_ms_ssim(pair: tuple[Image, Image], dtype: str = "float32") -> Score:
    """Measure MS-SSIM as pytorch_msssim does."""
    import pytorch_msssim

    x, y = (tensor(image, dtype, scale=1.0) for image in pair)
    return lambda: float(pytorch_msssim.ms_ssim(x, y, data_range=255))


def piq_ms_ssim(pair: tuple[Image, Image], dtype: str = "float32") -> Score:
    """Measure MS-SSIM as piq does."""
    declare_torchvision()
    import piq

    x, y = (tensor(image, dtype) for image in pair)
    return lambda: float(piq.multi_scale_ssim(x, y))


def _pyiqa(metric: str) -> Any:
    """Return the module of a metric; its own loader would fetch parameters."""
    declare_torchvision()
    return import_module(f"pyiqa.archs.{metric}_arch")


@cache
def _opencv_brisque() -> Any:
    """Return OpenCV's metric with the parameters written to files as it reads them."""
    cv2: Any = sys.modules.get("cv2") or import_module("cv2")
    model = resolve("live", BrisqueModel)[0]
    count, features = model.vectors.shape
    with TemporaryDirectory(prefix="photopeak-peers-") as folder:
        svm, scale = (str(Path(folder, name)) for name in ("model.yml", "range.yml"))
        head = SVM_HEAD.format(gamma=model.gamma, features=features, count=count)
        vectors = "".join(f"      - {_listed(vector)}\n" for vector in model.vectors)
        tail = SVM_TAIL.format(
            count=count, rho=-model.intercept, alpha=_listed(model.weights), index=list(range(count))
        )
        Path(svm).write_text(head + vectors + tail)
        storage = cv2.FileStorage(scale, cv2.FILE_STORAGE_WRITE)
        storage.write("range", np.array([model.low, model.high], np.float32))
        storage.release()
        return cv2.quality.QualityBRISQUE_create(svm, scale)


def _listed(values: NDArray[np.float64]) -> str:
    """Return numbers as YAML lists them."""
    return f"[ {', '.join(f'{value:.9g}' for value in values)} ]"


_LIVE = "LIVE parameters handed over"
_OPENCV = "opencv-contrib-python-headless"

IMAGE_PEERS: tuple[Peer, ...] = (
    Peer("pyiqa", "pyiqa", "niqe", pyiqa_niqe, _LIVE),
    Peer("piq", "piq", "brisque", piq_brisque, _LIVE),
    Peer("OpenCV", _OPENCV, "brisque", opencv_brisque, "its own model cannot be had", comparable=False),
    Peer("pyiqa", "pyiqa", "piqe", pyiqa_piqe),
    Peer("pypiqe", "pypiqe", "piqe", pypiqe_piqe),
    Peer("pyiqa", "pyiqa", "ma_features", pyiqa_ma, "its forests cannot be had", comparable=False),
    Peer("scikit-image", "scikit-image", "ssim", skimage_ssim),
    Peer("piq", "piq", "ssim", piq_ssim),
    Peer("pytorch_msssim", "pytorch-msssim", "ms_ssim", pytorch_msssim_ms_ssim),
    Peer("piq", "piq", "ms_ssim", piq_ms_ssim),
    Peer("scikit-image", "scikit-image", "psnr", skimage_psnr),
    Peer("scikit-image", "scikit-image", "nrmse", skimage_nrmse),
)
