"""Twice the matrix by sparse coding, the classical method of learned super-resolution."""

from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..iqa.intensity import check_frames
from ..parallel import over
from .coding import PATCH, back_projected, restored
from .dictionary import Dictionary, resolve

__all__ = ["scsr"]

_SMALLEST = 4  # pixels along a side


def scsr(
    frames: NDArray[Any],
    dictionary: str | PathLike[str] | Dictionary = "pet",
    *,
    step: int = 2,
    back_projections: int = 0,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Return frames on a matrix of twice the rows and columns, by sparse coding.

    Every 5x5 patch of the bicubic image is described by a few atoms of a dictionary of its first and second differences; the
    same few atoms of a coupled dictionary say what it looks like on the larger matrix. Patches overlap and are averaged.
    Values are those of a concentration: a constant frame keeps its value. Counts must be divided by 4 afterwards. The result for
    a multiple of a frame is that multiple of the result.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats, all finite.
    dictionary : str, path or Dictionary
        ``pet``, learned from simulated PET slices with and without noise, or the file of another.
    step : int
        Pixels of the larger matrix from one patch to the next, 1 to 5: the smaller, the smoother and the slower.
    back_projections : int
        How often the result is moved towards one whose means over 2x2 pixels are the frame. That brings the noise of the frame
        back too, hence 0 for noisy frames.
    threads : int
        Most frames to work on side by side.

    Returns
    -------
    ndarray, shape (2 * rows, 2 * columns) or (n, 2 * rows, 2 * columns), float32
        The same bits for the same input.

    Raises
    ------
    InputError
        If the frames are no images of at least 4x4 finite values.
    ModelError
        If there is no such dictionary.
    UsageError
        If another argument makes no sense.

    References
    ----------
    * J. Yang, J. Wright, T. S. Huang, Y. Ma, Image super-resolution via sparse representation, IEEE Trans. Image Process. 19
      (2010) 2861.

    Examples
    --------
    >>> scsr(np.full((8, 8), 3.0)).shape
    (16, 16)
    """
    if not 1 <= step <= PATCH:
        raise UsageError(f"step is {step}; use 1 to {PATCH}.")
    if back_projections < 0:
        raise UsageError(f"back_projections is {back_projections}; use 0 or more.")
    atoms = resolve(dictionary)
    stack = check_frames(frames)
    if min(stack.shape[1:]) < _SMALLEST:
        raise InputError(f"frames of {stack.shape[1]}x{stack.shape[2]} pixels are too small; give 4x4 or more.")
    if stack.dtype.kind == "f" and not np.isfinite(stack).all():
        raise InputError("some pixels are not finite; replace them first.")

    def one(frame: NDArray[Any]) -> NDArray[np.float32]:
        given = np.ascontiguousarray(frame, np.float32)
        enhanced = restored(given, atoms.low, atoms.gram, atoms.high, atoms.penalty, int(step))
        return back_projected(enhanced, given, int(back_projections)) if back_projections else enhanced

    found = np.stack(over(one, list(stack), threads))
    return found if np.ndim(frames) == 3 else found[0]
