"""Memory, streams and captured work on an NVIDIA GPU, by PyCUDA and the driver's own library.

PyCUDA cleans an object up only where its context is current. Objects are therefore made and dropped inside
:meth:`Device.active` alone, and what an owner leaves behind is dropped there by :class:`Resources`.
"""

import ctypes
import math
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError, PhotopeakError
from ...golden import Shape

__all__ = ["Capture", "Device", "Pinned", "Resources", "cuda_errors", "device", "missing_driver", "missing_gpu"]

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_PAGE = 4096
# Of cuStreamBeginCapture: what other threads do meanwhile does not end the capture.
_THREAD_LOCAL = 1


def missing_driver() -> str:
    """Return why no program can use a GPU, or an empty string."""
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return f"there is no NVIDIA driver ({_DRIVER} not found)"
    return ""


def missing_gpu() -> str:
    """Return why no GPU can be used from Python, or an empty string."""
    if reason := missing_driver():
        return reason
    if find_spec("pycuda") is None:
        return (
            "PyCUDA is not installed; run pip install 'photopeak[tensorrt]', for which the CUDA toolkit must be there"
        )
    return ""


class Device:
    """One GPU with its primary context, which everything in the process shares.

    Parameters
    ----------
    index : int
        Number of the GPU.

    Raises
    ------
    DeviceError
        If there is no such GPU; the message holds CUDA's reason.
    """

    def __init__(self, index: int) -> None:
        if reason := missing_gpu():
            raise DeviceError(f"cuda:{index} cannot be used: {reason}.")
        with cuda_errors(f"cuda:{index} cannot be used"):
            from pycuda import driver

            driver.init()
            count = driver.Device.count()
            if index >= count:
                raise DeviceError(f"there is no cuda:{index}; the driver lists {count} GPUs.")
            found = driver.Device(index)
            self.index = index
            self.name = str(found.name())
            self.capability = "SM{}{}".format(*found.compute_capability())
            self._cuda = driver
            self._context = found.retain_primary_context()
        # Left to itself, PyCUDA would detach the context as if it were none of the device's own.
        weakref.finalize(self, self._context.detach)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make the device current in this thread for a while."""
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    def stream(self) -> Any:
        """Return a new stream."""
        return self._cuda.Stream()

    def memory(self, size: int) -> Any:
        """Return `size` bytes of device memory."""
        return self._cuda.mem_alloc(size)

    def upload(self, target: Any, source: "Pinned", stream: Any) -> None:
        """Enqueue a copy of pinned memory to the device."""
        self._cuda.memcpy_htod_async(target, source.array, stream)

    def download(self, target: "Pinned", source: Any, stream: Any) -> None:
        """Enqueue a copy from the device to pinned memory."""
        self._cuda.memcpy_dtoh_async(target.array, source, stream)


@cache
def _devices() -> tuple[dict[int, Device], threading.Lock]:
    return {}, threading.Lock()


def device(index: int) -> Device:
    """Return the one object of a GPU: all sessions of the process share its context.

    Raises
    ------
    DeviceError
        If there is no such GPU.
    """
    known, lock = _devices()
    with lock:
        if index not in known:
            known[index] = Device(index)
        return known[index]


class Resources:
    """What an owner holds on a device; dropped with the device active once the owner is gone.

    Parameters
    ----------
    owner : object
        Has nothing on the device but in the containers that are held.
    device : Device
        Where it lies.
    """

    def __init__(self, owner: object, device: Device) -> None:
        self._held: list[Any] = []
        self._finalizer = weakref.finalize(owner, _drop, device, self._held)

    def hold(self, container: Any) -> Any:
        """Return a list or dict that is emptied in time."""
        self._held.append(container)
        return container


class Pinned:
    """Host memory that the device reads and writes by itself, as long as this object lives.

    The memory is NumPy's: who still holds a part of `array` afterwards holds valid memory. PyCUDA's own would have to be freed
    in the thread that made its context.

    Parameters
    ----------
    shape : tuple of int
        Of `array`, float32.

    Raises
    ------
    DeviceError
        If the system locks no more memory; the message holds CUDA's reason.
    """

    def __init__(self, shape: Shape) -> None:
        self._address, self._library = 0, _driver()
        size = 4 * math.prod(shape)
        pages = -(-size // _PAGE) * _PAGE  # what else lies in a page would be locked with it
        memory = np.empty(pages + _PAGE, np.uint8)
        start = -memory.ctypes.data % _PAGE
        self.array: NDArray[np.float32] = memory[start : start + size].view(np.float32).reshape(shape)
        self.array.fill(0)
        address = self.array.ctypes.data
        _call("cuMemHostRegister_v2", ctypes.c_void_p(address), ctypes.c_size_t(pages), ctypes.c_uint(0))
        self._address = address

    def __del__(self) -> None:
        if self._address:
            self._library.cuMemHostUnregister(ctypes.c_void_p(self._address))


class Capture:
    """Work that was recorded from a stream once and is launched at once from then on.

    Parameters
    ----------
    stream : pycuda.driver.Stream
        Nothing may be waiting in it.
    enqueue : callable
        Enqueues the work in that stream.

    Raises
    ------
    DeviceError
        If the work cannot be recorded; the message holds CUDA's reason.
    """

    def __init__(self, stream: Any, enqueue: Callable[[], None]) -> None:
        self._launched, self._library = ctypes.c_void_p(), _driver()
        graph, handle = ctypes.c_void_p(), ctypes.c_void_p(stream.handle)
        _call("cuStreamBeginCapture_v2", handle, ctypes.c_int(_THREAD_LOCAL))
        try:
            try:
                enqueue()
            finally:
                _call("cuStreamEndCapture", handle, ctypes.byref(graph))
            _call("cuGraphInstantiateWithFlags", ctypes.byref(self._launched), graph, ctypes.c_ulonglong(0))
        finally:
            if graph:
                _call("cuGraphDestroy", graph)

    def launch(self, stream: Any) -> None:
        """Enqueue all of it in a stream."""
        _call("cuGraphLaunch", self._launched, ctypes.c_void_p(stream.handle))

    def __del__(self) -> None:
        if self._launched:
            self._library.cuGraphExecDestroy(self._launched)


@contextmanager
def cuda_errors(what: str) -> Iterator[None]:
    """Turn errors of CUDA into one sentence that keeps the reason.

    Raises
    ------
    DeviceError
        In place of any error that is not ours.
    """
    try:
        yield
    except PhotopeakError:
        raise
    except Exception as error:  # PyCUDA and TensorRT have errors of their own
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise DeviceError(f"{what} ({words}); 'photopeak doctor' shows what this machine can run.") from error


def _drop(device: Device, held: list[Any]) -> None:
    with device.active():
        for container in held:
            container.clear()


@cache
def _driver() -> Any:
    return ctypes.CDLL(_DRIVER)


def _call(name: str, *arguments: Any) -> None:
    """Call the driver.

    Raises
    ------
    DeviceError
        With the driver's own words.
    """
    status = getattr(_driver(), name)(*arguments)
    if status:
        words = ctypes.c_char_p()
        _driver().cuGetErrorString(status, ctypes.byref(words))
        raise DeviceError(f"{name} failed ({(words.value or b'error ' + str(status).encode()).decode()}).")
