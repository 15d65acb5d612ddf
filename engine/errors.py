"""Errors of the runtime; the tree is drawn in :mod:`photopeak.kernels.errors`."""

from ..kernels.errors import DeviceError, PhotopeakError

__all__ = [
    "DeviceError",
    "InputError",
    "ModelError",
    "NetworkError",
    "PartialError",
    "PhotopeakError",
    "UsageError",
]


class UsageError(PhotopeakError):
    """An argument or option that makes no sense."""

    exit_code = 2


class InputError(PhotopeakError, ValueError):
    """An image that cannot be read or processed."""

    exit_code = 3


class ModelError(PhotopeakError):
    """A bundle or graph that cannot be used."""

    exit_code = 4


class NetworkError(PhotopeakError):
    """A peer that does not answer as it should."""

    exit_code = 6


class PartialError(PhotopeakError):
    """Some items of a list failed; the others are done."""

    exit_code = 7
