"""Which providers there are; :mod:`photopeak.engine.plan` says which of them ``auto`` tries first."""

from ..errors import UsageError
from .base import Provider
from .onnxruntime import OnnxRuntime
from .openvino import OpenVino
from .reference import Reference
from .tensorrt import TENSORRT, TENSORRT_RTX, TensorRt

PROVIDERS: tuple[Provider, ...] = (
    OnnxRuntime("onnxruntime-tensorrt", {"cuda": "TensorrtExecutionProvider"}, (("cuda", "fp32"), ("cuda", "fp16"))),
    OnnxRuntime(
        "onnxruntime",
        {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"},
        # A graph keeps its types: each precision has a graph of its own.
        (("cpu", "fp32"), ("cpu", "int8"), ("cuda", "fp32"), ("cuda", "fp16"), ("cuda", "bf16")),
    ),
    TensorRt(TENSORRT),
    TensorRt(TENSORRT_RTX),
    OpenVino(),
    Reference(),
)


def find(name: str) -> Provider:
    """Return the provider of that name.

    Raises
    ------
    UsageError
        If there is none.
    """
    for provider in PROVIDERS:
        if provider.name == name:
            return provider
    raise UsageError(f"there is no provider {name!r}; use {', '.join(provider.name for provider in PROVIDERS)}.")
