"""From views to a reconstruction: which solver, with what."""

import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ...kernels.reconstruction.progress import Watch
from ...kernels.reconstruction.solution import ShapeSolution
from ..errors import PhotopeakError, UsageError
from .measured import Measured
from .result import Method, Reconstruction, Settings
from .solvers import repeated_volumes, solve

__all__ = ["reconstruct"]

_VIEWS = re.compile(r"\bviews? (\d+)(?: and (\d+)\b)?")


def reconstruct(measured: Measured, settings: Settings, watch: Watch | None = None) -> Reconstruction:
    """Return what the views show.

    Parameters
    ----------
    measured : Measured
        Two or more views.
    settings : Settings
        How.
    watch : callable, optional
        Told of each step; when it returns True, the best so far is the result.

    Raises
    ------
    UsageError
        If settings contradict each other or the views.
    InputError
        If the views cannot be reconstructed, or the earlier result is none.
    """
    method = settings.method_for(measured)
    _check(measured, settings, method)
    heard: list[str] = list(measured.warnings)
    began = time.perf_counter()
    with _listening(heard), _naming(measured):
        solution = solve(measured, settings, method, watch)
    seconds = time.perf_counter() - began
    volumes = np.zeros(0)
    if settings.bootstrap and isinstance(solution, ShapeSolution) and not solution.interrupted:
        with _listening([]):  # the same, of views that nobody measured
            volumes = repeated_volumes(measured, settings, solution, watch)
    return Reconstruction(measured, settings, method, solution, seconds, tuple(dict.fromkeys(heard)), volumes)


def _check(measured: Measured, settings: Settings, method: Method) -> None:
    if settings.bootstrap < 0 or settings.bootstrap == 1:
        raise UsageError(f"--bootstrap {settings.bootstrap} tells no spread; give 2 or more, or 0 for none.")
    if settings.bootstrap and method != "shape":
        raise UsageError(f"--bootstrap repeats the fit of a shape, not of a {method}; leave it out.")
    if settings.physics.spelled() and measured.geometry.cone_beam:
        raise UsageError(
            "attenuation and collimator are those of a gamma camera; leave --attenuation and --collimator out."
        )
    if settings.background and not (settings.physics.body_mm and method == "shape"):
        raise UsageError(
            "--background is that of the body round a shape: give --attenuation and --body, or leave it out."
        )
    if method == "curve" and settings.iterations is not None:
        raise UsageError("--iterations are those of a shape or volume; a curve is searched; leave them out.")
    if method == "curve" and settings.radius_mm is None:
        raise UsageError("wires are searched by their thickness: give --wire-radius, such as 0.25.")
    if method != "curve" and settings.radius_mm is not None:
        raise UsageError(f"--wire-radius is that of a curve, not of a {method}; leave it out.")
    if method != "curve" and settings.wires != 1:
        raise UsageError(f"--wires are those of a curve, not of a {method}; leave them out.")


@contextmanager
def _naming(measured: Measured) -> Iterator[None]:
    """Say which files the views are that an error of the kernels numbers."""
    try:
        yield
    except PhotopeakError as error:
        numbers = [int(one) for found in _VIEWS.findall(str(error)) for one in found if one]
        if not numbers:
            raise
        files = ", ".join(f"view {number} is {_spelled(measured, number - 1)}" for number in numbers)
        raise type(error)(f"{str(error).rstrip('.')} ({files}).") from error


def _spelled(measured: Measured, index: int) -> str:
    """Return a view's file, with its frame where files have several."""
    path = str(measured.sources[index])
    if measured.sources.count(measured.sources[index]) < 2:
        return path
    return f"{path}, frame {measured.frames[index] if measured.frames else index + 1}"


@contextmanager
def _listening(heard: list[str]) -> Iterator[None]:
    """Collect what kernels warn people of; other warnings go on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for one in caught:
        if issubclass(one.category, UserWarning):
            heard.append(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
