"""Models of one's own: NIQE from good images, BRISQUE from images and what people said about them.

The published models were made with photographs. What is natural for a gamma camera is another matter, and so is what
its users call good; a model fitted to a site's own images asks the right question.

References
----------
* A. Mittal, R. Soundararajan, A. C. Bovik, Making a "completely blind" image quality analyzer, IEEE Signal Process.
  Lett. 20 (2013) 209.
* A. Mittal, A. K. Moorthy, A. C. Bovik, No-reference image quality assessment in the spatial domain, IEEE Trans. Image
  Process. 21 (2012) 4695.
"""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..compilation import compiled
from ..errors import InputError, UsageError
from ..parallel import over
from .brisque import SMALLEST, image_features
from .intensity import Window, check_frames, grey, window_of
from .models import FEATURES, BrisqueModel, NiqeModel
from .mscn import buffers, constants, deviation_sum
from .niqe import block_features

__all__ = ["fit_brisque", "fit_niqe", "sharpness"]

Floats = NDArray[np.float64]


def fit_niqe(
    images: Iterable[NDArray[Any]],
    *,
    name: str,
    block: int = 96,
    sharp: float = 0.75,
    window: Window = "auto",
    threads: int = 1,
) -> NiqeModel:
    """Return a NIQE model of what good images look like.

    Blocks whose mean local deviation exceeds a share of the greatest in their image are used, so that background and
    blurred parts teach nothing.

    Parameters
    ----------
    images : iterable of ndarray, shape (rows, columns) or (n, rows, columns)
        Good images of any size from `block` on, as they will be scored: the same kind and the same window.
    name : str
        What scores will call the model.
    block : int
        Edge of a block [pixels], even. The features of small blocks scatter more.
    sharp : float
        Share of the sharpest block's deviation, 0 to less than 1; the authors used 0.75.
    window : str or tuple of float
        How pixel values become grey values; see :func:`~photopeak.kernels.iqa.intensity.window_of`.
    threads : int
        Most images to work on side by side.

    Returns
    -------
    NiqeModel
        Keep it with its method ``save``.

    Raises
    ------
    InputError
        If an image is smaller than a block or holds values that are not finite, or if there are too few blocks for a
        covariance of 36 features.
    UsageError
        If `block` or `sharp` makes no sense.

    Examples
    --------
    >>> counts = np.random.default_rng(1).poisson(50.0, (12, 128, 128))
    >>> model = fit_niqe(counts, name="noise", block=32, sharp=0.0)
    >>> model.name, model.block, model.mean.shape
    ('noise', 32, (36,))
    """
    if not 0 <= sharp < 1:
        raise UsageError(f"sharp is {sharp}; use 0 to less than 1.")
    if not isinstance(block, Integral) or block % 2 or not 16 <= block <= 512:
        raise UsageError(f"block is {block}; use an even number from 16 to 512.")

    def one(plane: Floats) -> Floats:
        return _sharp_features(plane, block, sharp)

    planes = _planes(images, window, block)
    features = np.concatenate([np.empty((0, FEATURES)), *over(one, planes, threads)])
    complete = features[~np.isnan(features).any(axis=1)]
    if len(complete) <= FEATURES:
        raise InputError(
            f"{len(complete)} blocks with structure cannot give the covariance of {FEATURES} features; "
            "give more or larger images, or lower sharp."
        )
    told = f"{len(complete)} blocks of {len(planes)} images, sharpness above {sharp:g}, window {_told(window)}"
    mean = np.nanmean(features, axis=0)
    return NiqeModel(name, mean, np.cov(complete, rowvar=False), block, provenance=told)


def fit_brisque(
    images: Iterable[NDArray[Any]],
    scores: ArrayLike,
    *,
    name: str,
    cost: float = 1024.0,
    gamma: float = 0.05,
    tolerance: float = 0.1,
    window: Window = "auto",
    threads: int = 1,
) -> BrisqueModel:
    """Return a BRISQUE model that predicts scores which people gave; it needs scikit-learn.

    Parameters
    ----------
    images : iterable of ndarray, shape (rows, columns) or (n, rows, columns)
        Images of any size; a stack counts as n images.
    scores : array_like, shape (number of images,)
        What to predict, in any unit.
    name : str
        What scores will call the model.
    cost, gamma, tolerance : float
        Of the support vector regression: the price of an error, the inverse squared width of the kernel (features are
        scaled to -1 to 1), and the error that costs nothing (in units of the scores). The authors used 1024 and 0.05.
    window : str or tuple of float
        How pixel values become grey values; see :func:`~photopeak.kernels.iqa.intensity.window_of`.
    threads : int
        Most images to work on side by side.

    Returns
    -------
    BrisqueModel
        Keep it with its method ``save``.

    Raises
    ------
    InputError
        If an image cannot be measured, there are fewer than two, not as many scores as images, scores that do not differ
        by more than the tolerance, or a feature is the same in all of them.
    UsageError
        If scikit-learn is not installed, or `cost`, `gamma` or `tolerance` makes no sense.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> images = [rng.poisson(level, (64, 64)) for level in (2, 8, 32, 128)]
    >>> model = fit_brisque(images, [70.0, 50.0, 30.0, 10.0], name="counts")
    >>> model.name, model.provenance
    ('counts', '4 images, cost 1024, tolerance 0.1, window auto')
    """
    if not (0 < cost < np.inf and 0 < gamma < np.inf and 0 <= tolerance < np.inf):
        raise UsageError(
            f"cost is {cost}, gamma {gamma} and tolerance {tolerance}; use a cost and a gamma above 0 and a tolerance from 0."
        )
    try:
        from sklearn.svm import SVR
    except ImportError as error:
        raise UsageError("fit_brisque needs scikit-learn: pip install 'photopeak[fit]'.") from error

    planes = _planes(images, window, SMALLEST)
    wanted = np.asarray(scores)
    if wanted.dtype.kind not in "uif":
        raise InputError(f"scores of type {wanted.dtype} cannot be predicted; give numbers.")
    if wanted.shape != (len(planes),) or len(planes) < 2 or not np.isfinite(wanted).all():
        raise InputError(
            f"{len(planes)} images and scores of shape {wanted.shape}; give one finite score for each of two or more."
        )
    features = np.stack(over(image_features, planes, threads))
    if unfit := np.flatnonzero(~np.isfinite(features).all(axis=1)).tolist():
        raise InputError(
            f"image {unfit[0]} has no detail darker, or none brighter, than its surroundings; leave it out."
        )
    low, high = features.min(axis=0), features.max(axis=0)
    if not (low < high).all():
        raise InputError(f"feature {int(np.argmin(high - low))} is the same in all images; give more that differ.")
    scaled = 2 * (features - low) / (high - low) - 1
    machine = SVR(kernel="rbf", C=cost, gamma=gamma, epsilon=tolerance).fit(scaled, wanted)
    if not machine.support_vectors_.size:
        raise InputError(
            f"all scores lie within {tolerance:g} of each other; lower the tolerance or give scores that differ."
        )
    told = f"{len(planes)} images, cost {cost:g}, tolerance {tolerance:g}, window {_told(window)}"
    weights, intercept = machine.dual_coef_[0], float(machine.intercept_[0])
    return BrisqueModel(name, low, high, machine.support_vectors_, weights, gamma, intercept, provenance=told)


def sharpness(plane: Floats, block: int) -> Floats:
    """Return the mean local deviation of each block.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Grey values.
    block : int
        Edge of a block.

    Returns
    -------
    ndarray, shape (rows // block, columns // block), float64
        Grey values.
    """
    found = np.empty((plane.shape[0] // block, plane.shape[1] // block))
    _deviations(np.require(plane, requirements=("C", "W")), block, constants(), found)
    return found


def _sharp_features(plane: Floats, block: int, sharp: float) -> Floats:
    deviations = sharpness(plane, block)
    return block_features(plane, deviations > sharp * deviations.max(), block)


def _planes(images: Iterable[NDArray[Any]], window: Window, smallest: int) -> Sequence[Floats]:
    """Return every frame of every image as grey values."""
    planes = []
    for index, image in enumerate(images):
        for frame in check_frames(image):
            if min(frame.shape) < smallest:
                rows, columns = frame.shape
                raise InputError(f"image {index} has {rows} x {columns} pixels; give at least {smallest} x {smallest}.")
            if not np.isfinite(frame).all():
                raise InputError(f"image {index} holds values that are not finite; leave it out.")
            _, low, high = window_of(frame, window)
            planes.append(grey(frame, low, high).plane)
    return planes


def _told(window: Window) -> str:
    return window if isinstance(window, str) else " to ".join(f"{end:g}" for end in window)


@compiled("(float64[:, ::1], int64, float64[::1], float64[:, ::1])")
def _deviations(image: Floats, block: int, use: Floats, found: Floats) -> None:
    """Fill `found` with the mean deviation of each block."""
    room = buffers(use, block)
    size = found.shape[0] * block, found.shape[1] * block
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            region = row * block, column * block, block, block
            found[row, column] = deviation_sum(image, size, region, room) / block**2
