"""Ma's learned quality metric, and the perceptual index made of it and NIQE."""

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .frames import Definition, Outcome, Planes, measure
from .intensity import Intensity, Window, check_frames
from .ma.features import SMALLEST, Features, count, features
from .ma.model import MaModel, needed
from .niqe import niqe
from .score import Reason, Scores

__all__ = ["MaFeatures", "luma", "ma", "ma_features", "perceptual_index"]

Floats = NDArray[np.float64]
Model = MaModel | str | PathLike[str] | None

# The published code fails on smaller images.
_SMALLEST_SCORED = 128
_BORDER = 4
_RULE = "ma-2017"


@dataclass(frozen=True, eq=False)
class MaFeatures:
    """The numbers that Ma's forests see, per frame; NaN where a frame has none.

    Parameters
    ----------
    dct : ndarray, shape (18,) or (n, 18), float64
        Local frequencies: statistics of 7x7 cosine transforms at three sizes.
    gsm : ndarray, shape (45,) or (n, 45), float64
        Global frequencies: shapes and similarities of normalised wavelet subbands.
    pca : ndarray, shape (75,) or (n, 75), float64
        Spatial discontinuity: singular values of 5x5 patches at three sizes. Fewer for images with fewer patches.
    reasons : tuple of (str or None), length n
        Why a frame has no features; None where it has.
    intensity : Intensity
        How pixel values became grey values.
    """

    dct: Floats
    gsm: Floats
    pca: Floats
    reasons: tuple[Reason | None, ...]
    intensity: Intensity


def ma_features(frames: NDArray[Any], *, window: Window = "auto", threads: int = 1) -> MaFeatures:
    """Return the features of Ma et al. for an image or stack, exactly as the authors' code gives them.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats; colour images as their :func:`luma`. At least 45 pixels along both sides.
    window : str or tuple of float
        How pixel values become grey values 0 to 255; see :func:`~photopeak.kernels.iqa.intensity.window_of`.
    threads : int
        Most frames to work on side by side.

    Returns
    -------
    MaFeatures

    Raises
    ------
    InputError
        If the array is no image or stack.
    UsageError
        If the window makes no sense, or there is no thread.

    References
    ----------
    * C. Ma, C.-Y. Yang, X. Yang and M.-H. Yang, "Learning a no-reference quality metric for single-image
      super-resolution", Computer Vision and Image Understanding 158, 2017.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    >>> found = ma_features(noise)
    >>> found.dct.shape, found.gsm.shape, found.pca.shape
    ((18,), (45,), (66,))
    """

    def kernel(run: Planes) -> list[Outcome]:
        if min(run.grey.shape[1:]) < SMALLEST:
            return [Outcome(reason="too-small")] * len(run.grey)
        return [Outcome(details=features(plane)._asdict()) for plane in run.grey]

    scores = measure(frames, kernel, Definition("ma-features", "", _RULE), window=window, threads=threads)
    shape = check_frames(frames).shape
    single = np.ndim(frames) == 2
    arrays = {}
    for name, size in zip(Features._fields, count(shape[1:]), strict=True):
        found = scores.details.get(name, [None] * shape[0])
        rows = np.array([np.full(size, np.nan) if row is None else row for row in found])
        arrays[name] = rows[0] if single else rows
    return MaFeatures(**arrays, reasons=scores.reasons, intensity=scores.intensity)


def ma(frames: NDArray[Any], *, model: Model = None, window: Window = "auto", threads: int = 1) -> Scores:
    """Return Ma's quality score of an image or stack, about 0 (bad) to 10 (good).

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats; colour images as their :func:`luma`. Below 128 pixels along a side there is no score.
    model : path or MaModel
        ``model.mat`` of the authors' release, which does not come with Photopeak; for more than one call, what
        :meth:`~photopeak.kernels.iqa.ma.model.MaModel.read` returns.
    window : str or tuple of float
        How pixel values become grey values 0 to 255; see :func:`~photopeak.kernels.iqa.intensity.window_of`.
    threads : int
        Most frames to work on side by side.

    Returns
    -------
    Scores
        ``details["predictions"]`` has what each of the three forests says.

    Raises
    ------
    InputError
        If the array is no image or stack.
    ModelError
        If there is no model, or its file is another one.
    UsageError
        If the window makes no sense, or there is no thread.

    References
    ----------
    * C. Ma, C.-Y. Yang, X. Yang and M.-H. Yang, "Learning a no-reference quality metric for single-image
      super-resolution", Computer Vision and Image Understanding 158, 2017.

    Examples
    --------
    >>> ma(np.zeros((256, 256), np.uint8))
    Traceback (most recent call last):
    photopeak.kernels.errors.ModelError: the metric of Ma et al. needs its forests, which do not come with Photopeak: ...
    """
    return _ma(frames, needed(model), _SMALLEST_SCORED, window, threads)


def perceptual_index(
    frames: NDArray[Any], *, ma_model: Model = None, window: Window = "auto", threads: int = 1
) -> Scores:
    """Return the perceptual index ((10 - Ma) + NIQE) / 2 of an image or stack: lower is better.

    Four pixels along each border are left out, as in the challenge that introduced it; NIQE is that of the LIVE model.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats; colour images as their :func:`luma`. Below 128 pixels along a side there is no score.
    ma_model : path or MaModel
        See :func:`ma`.
    window : str or tuple of float
        How pixel values become grey values 0 to 255; see :func:`~photopeak.kernels.iqa.intensity.window_of`.
    threads : int
        Most frames to work on side by side.

    Returns
    -------
    Scores
        ``details["ma"]`` and ``details["niqe"]`` have the two parts.

    Raises
    ------
    InputError
        If the array is no image or stack.
    ModelError
        If there is no model, or its file is another one.
    UsageError
        If the window makes no sense, or there is no thread.

    References
    ----------
    * Y. Blau, R. Mechrez, R. Timofte, T. Michaeli and L. Zelnik-Manor, "The 2018 PIRM challenge on perceptual image
      super-resolution", ECCV Workshops 2018.

    Examples
    --------
    >>> perceptual_index(frames, ma_model="model.mat")  # doctest: +SKIP
    """
    model = needed(ma_model)
    stack = check_frames(frames)
    if min(stack.shape[1:]) > 2 * _BORDER:
        stack = stack[:, _BORDER:-_BORDER, _BORDER:-_BORDER]
    learned = _ma(stack, model, _SMALLEST_SCORED - 2 * _BORDER, window, threads)
    natural = niqe(stack, window=window, threads=threads)
    values = ((10.0 - learned.values) + natural.values) / 2.0
    return Scores(
        metric="perceptual-index",
        values=values if np.ndim(frames) == 3 else values.reshape(()),
        reasons=tuple(one or other for one, other in zip(learned.reasons, natural.reasons, strict=True)),
        model=f"ma {learned.model}, niqe {natural.model}",
        rule=f"ma {learned.rule}, niqe {natural.rule}, border {_BORDER}",
        intensity=learned.intensity,
        details={"ma": list(learned.values), "niqe": list(natural.values)},
    )


def luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the Y channel (ITU-R BT.601, 16 to 235) that colour images are scored by, rounded as MATLAB does.

    Parameters
    ----------
    image : ndarray, shape (..., 3), uint8
        Red, green and blue.

    Returns
    -------
    ndarray, shape (...), uint8

    Raises
    ------
    InputError
        If it is no image of three bytes per pixel.

    Examples
    --------
    >>> luma(np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8))
    array([[ 16, 235,  81]], dtype=uint8)
    """
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim < 1 or array.shape[-1] != 3:
        raise InputError(f"an array of shape {array.shape} and type {array.dtype} is no colour image of bytes.")
    red, green, blue = np.moveaxis(array.astype(np.float64), -1, 0)
    # Divided first, as MATLAB does: a few colours in a million lie so close to a half that it shows.
    scale = 1.0 / 255.0
    grey = scale * 65.481 * red + scale * 128.553 * green + scale * 24.966 * blue + 16.0
    return np.asarray(np.floor(grey + 0.5), np.uint8)


def _ma(frames: NDArray[Any], model: MaModel, smallest: int, window: Window, threads: int) -> Scores:
    def kernel(run: Planes) -> list[Outcome]:
        if min(run.grey.shape[1:]) < smallest:
            return [Outcome(reason="too-small")] * len(run.grey)
        predictions = [model.predict(features(plane)) for plane in run.grey]
        return [Outcome(model.score(each), details={"predictions": np.array(each)}) for each in predictions]

    return measure(frames, kernel, Definition("ma", model.name, _RULE), window=window, threads=threads)
