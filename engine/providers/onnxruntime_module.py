"""The one place that imports ONNX Runtime: it must not report what runs."""

import os
from functools import cache
from types import ModuleType

__all__ = ["onnxruntime_module"]

_SWITCH = "ORT_DISABLE_TELEMETRY"


@cache
def onnxruntime_module() -> ModuleType:
    """Return the package ``onnxruntime`` with its telemetry switched off.

    From 1.29 on, its official builds number the device, keep events on disk and send them to their maker: digests of graphs,
    times, errors. That is no one's business but the hospital's. The switch must be set before the first import; whoever sets
    ``ORT_DISABLE_TELEMETRY=0`` beforehand keeps what they asked for.

    Returns
    -------
    module
        The package.

    Raises
    ------
    ImportError
        If it is not installed.

    References
    ----------
    * ``Privacy.md`` in the package.

    Examples
    --------
    >>> "CPUExecutionProvider" in onnxruntime_module().get_available_providers()
    True
    """
    wanted = os.environ.setdefault(_SWITCH, "1")
    import onnxruntime

    if wanted != "0":
        # For platforms and versions that know no switch, and where the package was imported before this one.
        onnxruntime.disable_telemetry_events()
    module: ModuleType = onnxruntime
    return module
