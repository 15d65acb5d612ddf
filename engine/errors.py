"""Errors of the runtime; the tree is drawn in :mod:`photopeak.kernels.errors`."""

from ..kernels.errors import DeviceError, InputError, ModelError, PhotopeakError, UsageError

__all__ = [
    "DeviceError",
    "InputError",
    "ModelError",
    "NetworkError",
    "PartialError",
    "PhotopeakError",
    "UsageError",
]


class NetworkError(PhotopeakError):
    """A peer that does not answer as it should."""

    exit_code = 6


class PartialError(PhotopeakError):
    """Some items of a list failed; the others are done."""

    exit_code = 7
