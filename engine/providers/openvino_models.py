"""Compiled models of OpenVINO in the user's cache: taking one in is several times faster than compiling it again.

A file is named after everything that decides on its content: the bytes of the graph, shape and options, the build of
OpenVINO, and the processor. It begins with a digest of that and of the model, so that a file that is damaged, cut off,
renamed or from somewhere else never reaches OpenVINO, which would read whatever it finds. What others may have written is
not read, see :mod:`photopeak.kernels.user_cache`. Where nothing can be kept, models are compiled each time.

References
----------
* OpenVINO, "Model Caching Overview". Its own cache (``CACHE_DIR``) checks no content, keeps one file for different numbers
  of streams, and grows without end.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...kernels import user_cache
from ..files import atomic_write

__all__ = ["cache_folder", "facts_of", "import_kept", "keep"]

FORMAT = 1  # of a file
LARGEST_MODEL = 64 << 20
LARGEST_CACHE = 256 << 20
_DIGEST_BYTES = 32
_NAME_DIGITS = 40


def cache_folder() -> Path:
    """Return the folder of all compiled models; it need not exist."""
    return user_cache.cache_folder("openvino")


def facts_of(core: Any, graph: str, shape: tuple[int, ...], options: Mapping[str, str]) -> str:
    """Return everything that decides on what OpenVINO's CPU plugin makes of a graph.

    Parameters
    ----------
    core : openvino.Core
        Knows the processor.
    graph : str
        SHA-256 of the graph that OpenVINO reads.
    shape : tuple of int
        Of the input.
    options : mapping of str to str
        What the plugin is told.
    """
    import openvino

    from ..machine import machine  # asks the providers for their versions, and so imports this package

    here = machine()
    facts = {
        "format": FORMAT,
        "openvino": openvino.get_version(),
        "device": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "processor": [here.processor, here.processors, *here.extensions],
        "system": here.system,
        "graph": graph,
        "shape": shape,
        "options": dict(options),
    }
    return json.dumps(facts, sort_keys=True)


def import_kept(core: Any, facts: str, options: Mapping[str, str]) -> Any | None:
    """Return the compiled model that was kept for `facts`; None where there is none that can be used.

    Parameters
    ----------
    core : openvino.Core
        Takes it in.
    facts : str
        From :func:`facts_of`.
    options : mapping of str to str
        What it was compiled with.
    """
    path = _file(facts)
    try:
        if not path.parent.is_dir() or user_cache.problem_of_folder(path.parent):
            return None
        content = user_cache.read_plain(path, LARGEST_MODEL + _DIGEST_BYTES)
    except OSError:  # also where the way to the folder is barred
        return None
    model = content[_DIGEST_BYTES:]
    try:
        if content[:_DIGEST_BYTES] != _digest(facts, model):
            raise RuntimeError("damaged")
        compiled = core.import_model(io.BytesIO(model), "CPU", dict(options))
    except RuntimeError:  # OpenVINO's errors are of this class too
        with suppress(OSError):
            path.unlink()
        return None
    with suppress(OSError):
        os.utime(path)  # those that nobody takes any more make room first
    return compiled


def keep(compiled: Any, facts: str) -> None:
    """Keep a compiled model for later processes, where that is possible; the least recently used make room.

    Parameters
    ----------
    compiled : openvino.CompiledModel
        What was compiled for `facts`.
    facts : str
        From :func:`facts_of`.
    """
    path = _file(facts)
    if user_cache.problem_of_folder(path.parent):
        return
    stream = io.BytesIO()
    try:
        compiled.export_model(stream)
    except RuntimeError:  # there are operators that OpenVINO cannot write
        return
    model = stream.getvalue()
    if len(model) > LARGEST_MODEL:
        return
    with suppress(OSError), atomic_write(path) as file:
        file.write(_digest(facts, model))
        file.write(model)
    _forget_oldest(keep=path)


def _file(facts: str) -> Path:
    return cache_folder() / f"{hashlib.sha256(facts.encode()).hexdigest()[:_NAME_DIGITS]}.model"


def _digest(facts: str, model: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(facts.encode()).digest() + model).digest()


def _forget_oldest(keep: Path) -> None:
    """Delete the least recently used models until the rest fit the limit; others may be doing the same."""
    found = []
    for path in keep.parent.glob("*.model"):
        with suppress(OSError):
            found.append((path.lstat(), path))
    total = 0
    for status, path in sorted(found, key=lambda one: one[0].st_mtime_ns, reverse=True):
        total += status.st_size
        if total > LARGEST_CACHE and path != keep:
            with suppress(OSError):
                path.unlink()
