"""What a measured plan depends on: processor, GPUs, driver and versions."""

import ctypes
import hashlib
import os
import platform
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import _native
from .domain_statistics import Strict
from .errors import PhotopeakError
from .processors import available_processors
from .providers import PROVIDERS

__all__ = ["Machine", "machine", "processor_name", "versions"]

_CPU_FACTS = Path("/proc/cpuinfo")
# Extensions that decide which kernels a library runs; the many others do not change speed.
_EXTENSIONS = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve", "fphp", "bf16", "i8mm")
_NAME_BYTES = 96
_STAMP_DIGITS = 16


class Machine(Strict):
    """Hardware and driver that a measurement is valid for.

    Parameters
    ----------
    processor : str
        Model, family and stepping where the system tells them.
    processors : int
        How many of them this process may use.
    extensions : tuple of str
        Instruction sets that matter, sorted.
    gpus : tuple of str
        Names of the NVIDIA GPUs, in the driver's order.
    driver : str
        Version of the NVIDIA driver; empty without one.
    visible : str
        What ``CUDA_VISIBLE_DEVICES`` says, which renumbers the GPUs.
    system : str
        Operating system and architecture.
    """

    processor: str
    processors: int
    extensions: tuple[str, ...]
    gpus: tuple[str, ...]
    driver: str
    visible: str
    system: str


def machine() -> Machine:
    """Return this machine, as this process may use it.

    Examples
    --------
    >>> machine().processors >= 1
    True
    """
    gpus, driver = _nvidia()
    return Machine(
        processor=processor_name(),
        processors=available_processors(),
        extensions=_extensions(),
        gpus=gpus,
        driver=driver,
        visible=os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        system=f"{platform.system()} {platform.machine()}",
    )


@cache
def processor_name() -> str:
    """Return the processor's name, with family, model and stepping where the system tells them."""
    facts = _first_processor()
    name = facts.get("model name") or platform.processor() or platform.machine()
    # Virtual machines hide the name's end; the numbers still tell generations apart.
    numbers = [f"{key} {facts[key]}" for key in ("cpu family", "model", "stepping", "CPU part") if key in facts]
    return ", ".join([name, *numbers])


@cache
def versions() -> dict[str, str]:
    """Return the versions of Photopeak, Python and each provider's library; empty for one that is absent.

    ``sources`` stands for the code of the engine itself, which its developers change without another version.
    """
    found = {"photopeak": version("photopeak"), "sources": _sources(), "python": platform.python_version()}
    for provider in PROVIDERS:
        try:
            found[provider.name] = provider.version()
        except (PhotopeakError, ImportError):
            found[provider.name] = ""
    return found


def _sources() -> str:
    """Return a digest of everything that takes part in running a graph: modules, providers and native code."""
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for path in (*sorted(folder.glob("*.py")), *sorted(folder.glob("providers/**/*.py")), Path(_native.__file__)):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_STAMP_DIGITS]


def _first_processor() -> dict[str, str]:
    """Return what the system says of the first processor; empty where it has no such file."""
    try:
        first = _CPU_FACTS.read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


@cache
def _extensions() -> tuple[str, ...]:
    facts = _first_processor()
    flags: Iterable[str] = (facts.get("flags") or facts.get("Features") or "").split()
    return tuple(sorted(flag for flag in flags if flag.startswith(_EXTENSIONS)))


@cache
def _nvidia() -> tuple[tuple[str, ...], str]:
    """Return names of the GPUs and the driver's version, from the driver's own library; asking CUDA takes much longer."""
    library = _management()
    if library is None or library.nvmlInit_v2():
        return (), ""
    try:
        count = ctypes.c_uint()
        if library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            return (), ""
        return tuple(_gpu_name(library, index) for index in range(count.value)), _driver_version(library)
    finally:
        library.nvmlShutdown()


def _management() -> Any:
    """Return NVIDIA's management library, which comes with the driver, or None."""
    try:
        return ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return None


def _gpu_name(library: Any, index: int) -> str:
    device, name = ctypes.c_void_p(), ctypes.create_string_buffer(_NAME_BYTES)
    failed = library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device))
    failed = failed or library.nvmlDeviceGetName(device, name, _NAME_BYTES)
    return "" if failed else name.value.decode(errors="replace")


def _driver_version(library: Any) -> str:
    text = ctypes.create_string_buffer(_NAME_BYTES)
    return "" if library.nvmlSystemGetDriverVersion(text, _NAME_BYTES) else text.value.decode(errors="replace")
