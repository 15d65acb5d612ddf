"""Numba's compiler with a cache that belongs to the user and knows what a kernel is made of.

Numba's own cache lies beside the source, where an installed package cannot write, and does not see that a function which
a kernel calls has changed in another file. This one lies in the user's cache folder (or in ``PHOTOPEAK_CACHE_DIR``) and
stamps each entry with the source of everything that was compiled into it. The files hold machine code, so that a folder
that others could write to is not used.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numba.core import sigutils
from numba.core.caching import Cache, CompileResultCacheImpl, FunctionCache, NullCache, UserWideCacheLocator
from numba.core.dispatcher import Dispatcher
from numba.core.runtime.nrt import rtsys

from . import user_cache
from .entries import Entries
from .parts import Part, WholeCompiler

__all__ = ["Warmed", "borrowing", "cache_folder", "compiled", "inlined", "planned", "warm_up"]

Function = TypeVar("Function", bound=Callable[..., Any])

# The modules whose kernels warm_up() compiles.
_MODULES: tuple[str, ...] = (
    "iqa.brisque",
    "iqa.differences",
    "iqa.fitting",
    "iqa.intensity",
    "iqa.ma.dct",
    "iqa.ma.forest",
    "iqa.ma.gsm",
    "iqa.ma.pca",
    "iqa.ma.resampling",
    "iqa.ma.steerable",
    "iqa.ma.structure",
    "iqa.niqe",
    "iqa.piqe",
    "iqa.similarity",
    "mtf.bessel",
    "mtf.components",
    "mtf.disk_fit",
    "mtf.edge_profile",
    "mtf.fourier",
    "mtf.gravity",
    "mtf.mixture",
    "mtf.point_pixels",
    "mtf.splines",
    "mtf.widths",
    "noise.sums",
    "sparse.coding",
)
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_jit: Any = numba.njit(pipeline_class=WholeCompiler, **_OPTIONS)
_LAYOUT = 3  # of what is kept; what has another is compiled again
_KERNELS: dict[str, tuple[Any, tuple[str, ...]]] = {}


class Warmed(NamedTuple):
    """One signature of one kernel, ready for use.

    Parameters
    ----------
    kernel, signature : str
        The function and the argument types.
    compiled : bool
        False if the cache had it already.
    """

    kernel: str
    signature: str
    compiled: bool


def compiled(*signatures: str) -> Callable[[Function], Function]:
    """Return a decorator that compiles a function when it is first called, or takes it from the cache.

    Parameters
    ----------
    *signatures : str
        What the function will be called with, such as ``"(float64[:, ::1], int64)"``; :func:`warm_up` compiles these.
        A call with other types compiles too, on the spot: callers hand over exactly these types.

    Returns
    -------
    callable
        The compiled function releases the interpreter's lock, so that threads run it side by side, and divides as IEEE
        arithmetic does. No arithmetic is reordered: the same input gives the same bits on every machine.
    """

    def decorate(function: Function) -> Function:
        dispatcher: Any = _jit(function)
        dispatcher._cache = _LazyCache(function)
        _KERNELS[f"{function.__module__.removeprefix(__package__ + '.')}.{function.__name__}"] = dispatcher, signatures
        return cast(Function, dispatcher)

    return decorate


def inlined(function: Function) -> Function:
    """Compile `function` into the kernels that call it; it has no entry of its own in the cache."""
    return cast(Function, Part(function, **_OPTIONS))


def borrowing(function: Function) -> Function:
    """Compile `function` into the kernels that call it, without counting references to arrays and their views.

    Each view would otherwise cost two atomic additions, more than a short row of pixels takes. The function may neither
    make nor return arrays: what it is given must outlive its call, and the compiler refuses to allocate.
    """
    return cast(Function, Part(function, _nrt=False, **_OPTIONS))


def warm_up() -> Iterator[Warmed]:
    """Compile every kernel for every signature that Photopeak calls it with, and keep the results for later processes.

    Yields
    ------
    Warmed
        What was made ready, one signature after the other.
    """
    _import_all()
    for name, (dispatcher, signatures) in sorted(_KERNELS.items()):
        for signature in signatures:
            # The tuple of types is what a call looks for; a string would be another key.
            types, _ = sigutils.normalize_signature(signature)  # type: ignore[no-untyped-call]
            misses = sum(dispatcher.stats.cache_misses.values())
            dispatcher.compile(types)
            yield Warmed(name, signature, sum(dispatcher.stats.cache_misses.values()) > misses)


def planned() -> int:
    """Return how many signatures :func:`warm_up` makes ready."""
    _import_all()
    return sum(len(signatures) for _, signatures in _KERNELS.values())


def _import_all() -> None:
    for module in _MODULES:
        import_module(f".{module}", __package__)


def cache_folder() -> Path:
    """Return the folder that compiled kernels are kept in; it need not exist."""
    return user_cache.cache_folder("kernels")


class _LazyCache(FunctionCache):
    """The cache of one function, opened at the first use: importing a kernel touches no folder."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._opened: Any = None

    def _open(self) -> Any:
        if self._opened is None:
            problem = _unusable(cache_folder())
            self._opened = NullCache() if problem else _StampedCache(self._function)
        return self._opened

    @property
    def cache_path(self) -> str:
        return str(cache_folder())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        return self._open().load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        self._open().save_overload(sig, data)


class _Locator(UserWideCacheLocator):
    """Where the cache of a function lies, and what makes it stale."""

    def __init__(self, function: Any, file: str) -> None:
        super().__init__(function, file)  # type: ignore[no-untyped-call]
        self._function = function
        self._cache_path = str(cache_folder() / function.__module__)

    @classmethod
    def from_function(cls, function: Any, file: str) -> "_Locator":
        return cls(function, file)  # whether the folder can be written to is seen when there is something to write

    def get_source_stamp(self) -> str:
        return _stamp(self._function)


class _Implementation(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012 - as the base class has it

    def reduce(self, cres: Any) -> tuple[Any, ...]:
        """Return what is kept of compiled code."""
        *parts, environments = super().reduce(cres)  # type: ignore[no-untyped-call]
        # Compiled code looks at the constants of an environment alone; reading one imports the module that it is from,
        # and thus Numba's array functions, and SciPy.
        return *parts, tuple(environment for environment in environments if environment.consts)


class _StampedCache(Cache):
    _impl_class = _Implementation  # type: ignore[assignment]

    def __init__(self, function: Any) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        parts: Any = self._impl
        self._cache_file: Any = Entries(self.cache_path, parts.filename_base, parts.locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # Numba's own method first imports and registers all that it can compile, which takes longer than all else and,
        # where SciPy is installed, imports that. Code that is linked already needs the addresses of the runtime alone.
        rtsys.initialize(target_context)
        return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except OSError as error:
            _warn(cache_folder(), str(error.strerror))


def _stamp(function: Any) -> str:
    """Return a digest of the sources, and of the constants, of everything that is compiled into `function`."""
    digest = hashlib.sha256(f"{_LAYOUT} {numba.__version__}".encode())
    for part in sorted(_parts(function, set())):
        digest.update(part)
    return digest.hexdigest()


def _parts(function: FunctionType, seen: set[int]) -> Iterator[bytes]:
    if id(function) in seen:
        return
    seen.add(id(function))
    yield _digest_of(function.__code__.co_filename)
    for code in _codes(function.__code__):
        # A file may have been replaced since it was imported; this is what runs.
        yield code.co_code
        yield repr([value for value in code.co_consts if not isinstance(value, CodeType)]).encode()
        for name in code.co_names:
            value = function.__globals__.get(name)
            if isinstance(value, Dispatcher):
                yield from _parts(value.py_func, seen)
            elif isinstance(value, np.ndarray):
                yield hashlib.sha256(value.tobytes()).digest()
            elif isinstance(value, int | float | tuple | str):
                yield repr(value).encode()


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Return the code of a function, and of the functions and comprehensions in it."""
    yield code
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _codes(value)


@cache
def _digest_of(file: str) -> bytes:
    return hashlib.sha256(Path(file).read_bytes()).digest()


@cache
def _unusable(folder: Path) -> str:
    """Return why compiled code cannot be kept in `folder`, once also as a warning; empty if it can."""
    problem = user_cache.problem_of_folder(folder)
    if problem:
        _warn(folder, problem)
    return problem


@cache
def _warn(folder: Path, problem: str) -> None:
    """Say once in a process that code cannot be kept."""
    warnings.warn(
        f"Compiled kernels cannot be kept in {folder} ({problem}), so that each process compiles them again; "
        "set PHOTOPEAK_CACHE_DIR to a folder of your own.",
        RuntimeWarning,
        stacklevel=3,
    )
