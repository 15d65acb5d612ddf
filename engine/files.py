"""Writing files; see :mod:`photopeak.kernels.files`, which kernels can import too."""

from ..kernels.files import atomic_write

__all__ = ["atomic_write"]
