"""TensorRT and TensorRT-RTX: engines built, kept, checked and run."""

from .library import LIBRARIES, TENSORRT, TENSORRT_RTX, Library
from .provider import TensorRt
from .store import adopt

__all__ = ["LIBRARIES", "TENSORRT", "TENSORRT_RTX", "Library", "TensorRt", "adopt"]
