"""What ONNX Runtime's TensorRT execution provider is told, and where its engines are kept.

References
----------
* ONNX Runtime, "TensorRT Execution Provider": ``trt_engine_cache_prefix``, ``trt_profile_min_shapes``.
"""

import ctypes
import hashlib
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...kernels import user_cache
from ..graph import CheckedGraph
from .base import Target
from .tensorrt.store import unusable

__all__ = ["cache_folder", "engine_key", "missing_tensorrt", "tensorrt_options"]

_TENSORRT = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"
_KEY_DIGITS = 32


def missing_tensorrt() -> str:
    """Return why TensorRT is not here, or an empty string."""
    try:
        ctypes.CDLL(_TENSORRT)
    except OSError:
        return f"TensorRT's libraries ({_TENSORRT}) are not installed; run pip install tensorrt"
    return ""


def tensorrt_options(graph: CheckedGraph, target: Target, shape: tuple[int, ...], stream: int) -> dict[str, str]:
    """Return the options of a session that runs tensors of one shape.

    Its engine is kept under a name of our own: ONNX Runtime takes any engine of the same graph name for the right one, also
    one for another static shape.

    Parameters
    ----------
    graph : CheckedGraph
        What runs.
    target : Target
        GPU and precision; TensorRT makes float16 of a graph of float32 by itself.
    shape : tuple of int
        (n, channels, rows, columns) of the input.
    stream : int
        CUDA stream of the caller, or 0.
    """
    profile = f"{graph.input}:{'x'.join(map(str, shape))}"
    options = {
        "device_id": str(target.index),
        "trt_fp16_enable": str(target.precision == "fp16"),
        "trt_profile_min_shapes": profile,
        "trt_profile_opt_shapes": profile,
        "trt_profile_max_shapes": profile,
    }
    recorded = {"user_compute_stream": str(stream), "trt_cuda_graph_enable": "True"} if stream else {}
    return options | recorded | _kept(engine_key(graph, target, shape))


def _kept(name: str) -> dict[str, str]:
    """Return where an engine is kept; nowhere if somebody else may put one there: engines are code."""
    folder = cache_folder()
    if unusable(folder):
        return {}
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_engine_cache_prefix": name,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }


def engine_key(graph: CheckedGraph, target: Target, shape: tuple[int, ...]) -> str:
    """Return the name of an engine: graph, shape, precision, GPU, driver and the versions of both libraries go in."""
    from ..machine import machine  # asks the providers of this package for their versions

    here = machine()
    gpu = here.gpus[target.index] if target.index < len(here.gpus) else ""
    facts = (
        hashlib.sha256(graph.data).hexdigest(),
        *map(str, shape),
        target.precision,
        gpu,
        here.visible,
        here.driver,
        _onnxruntime_version(),
        _tensorrt_version(),
    )
    return "photopeak-" + hashlib.sha256("\n".join(facts).encode()).hexdigest()[:_KEY_DIGITS]


def cache_folder() -> Path:
    """Return the folder of all engines; it need not exist."""
    return user_cache.cache_folder("onnxruntime-tensorrt")


def _onnxruntime_version() -> str:
    for distribution in ("onnxruntime-gpu", "onnxruntime"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return ""


@cache
def _tensorrt_version() -> str:
    try:
        return str(ctypes.CDLL(_TENSORRT).getInferLibVersion())
    except (OSError, AttributeError):
        return ""
