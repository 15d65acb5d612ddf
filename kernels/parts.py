"""Kernels that are optimised once, as a whole: all that is compiled into them is linked before.

Numba optimises every function before it links it into those that call it, which are then optimised again with copies of
all callees. What went through that several times is up to 1.4 times slower than what did once, and takes longer to
compile. Only the process that compiled it does not see that, because its calls go to the first of all copies.
"""

from functools import cached_property
from typing import Any

import numba
from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

__all__ = ["Part", "WholeCompiler"]


class Part(CPUDispatcher):
    """A function whose code is that of the kernels which call it; it has some of its own only if Python calls it.

    Parameters
    ----------
    function : callable
        What to compile.
    **options
        As :func:`numba.njit` takes them.

    Examples
    --------
    >>> twice = Part(lambda value: 2 * value, nogil=True)
    >>> numba.njit(lambda value: twice(value) + 1)(3), twice(3)
    (7, 6)
    """

    def __init__(self, function: Any, **options: Any) -> None:
        full = {"nopython": True, "boundscheck": None} | options
        super().__init__(function, targetoptions=full, pipeline_class=_PartCompiler)
        self._options = options

    def add_overload(self, cres: Any) -> None:
        """Note that the function was compiled for some types, for kernels alone."""
        self.overloads[tuple(cres.signature.args)] = cres

    def _compile_for_args(self, *args: Any, **kws: Any) -> Any:
        # The call is from Python.
        return self._alone._compile_for_args(*args, **kws)

    @cached_property
    def _alone(self) -> Any:
        return numba.njit(pipeline_class=WholeCompiler, **self._options)(self.py_func)


class WholeCompiler(Compiler):
    """The way from Python to machine code, optimised together with all that it calls."""

    def compile_extra(self, func: Any) -> Any:
        """Return what becomes of a function."""
        codegen = self.state.targetctx.codegen()
        self.state.library = _WholeLibrary(codegen, func.__qualname__)  # type: ignore[no-untyped-call]
        self.state.library.enable_object_caching()
        result = super().compile_extra(func)  # type: ignore[no-untyped-call]
        # Numba sets those of functions that have code of their own, and of what comes from the cache.
        for environment in result._find_referenced_environments():
            codegen.set_env(environment.env_name, environment)
        return result


class _WholeLibrary(JITCodeLibrary):
    def _optimize_final_module(self) -> None:
        # What nobody else can call may be changed to suit this one caller, or vanish into it.
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        super()._optimize_final_module()  # type: ignore[no-untyped-call]


class _PartCompiler(Compiler):
    """The way from Python to code that is ready to be linked."""

    def __init__(self, *args: Any, **kws: Any) -> None:
        super().__init__(*args, **kws)  # type: ignore[no-untyped-call]
        flags = self.state.flags
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True

    def compile_extra(self, func: Any) -> Any:
        """Return what becomes of a function."""
        context = self.state.targetctx
        self.state.library = _PartLibrary(context.codegen(), func.__qualname__)  # type: ignore[no-untyped-call]
        result = super().compile_extra(func)  # type: ignore[no-untyped-call]
        # Callers look a function up by its code; anything that is unique does.
        result = result._replace(entry_point=object())
        context.insert_user_function(result.entry_point, result.fndesc, [result.library])
        return result


class _PartLibrary(JITCodeLibrary):
    """Code on its way into a kernel's library: it gathers what it calls and is left as it is."""

    def finalize(self) -> None:
        """Gather what was called."""
        self._raise_if_finalized()  # type: ignore[no-untyped-call]
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = Linkage.linkonce_odr
        self._shared_module = self._final_module
        self._finalized = True
