"""The root of every error that Photopeak raises on purpose.

The tree, with the exit code of the command line in parentheses::

    PhotopeakError (1)
    ├── UsageError (2)      an argument or option that makes no sense
    ├── InputError (3)      an image that cannot be read or processed
    ├── ModelError (4)      a bundle or graph that cannot be used
    ├── DeviceError (5)     hardware or a provider that cannot run
    ├── NetworkError (6)    a peer that does not answer as it should
    └── PartialError (7)    some items of a list failed

The classes that only the runtime needs live in :mod:`photopeak.engine.errors`, which offers all of them.
"""

from typing import ClassVar


class PhotopeakError(Exception):
    """A failure that one sentence explains: what, which value, what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(PhotopeakError):
    """An argument or option that makes no sense."""

    exit_code = 2


class InputError(PhotopeakError, ValueError):
    """An image that cannot be read or processed."""

    exit_code = 3


class ModelError(PhotopeakError):
    """A bundle, graph or file of parameters that cannot be used."""

    exit_code = 4


class DeviceError(PhotopeakError):
    """The device or library asked for cannot run here."""

    exit_code = 5
