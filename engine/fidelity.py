"""What a provider and a precision cost a model of images against float32, measured on frames whose truth is known."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle, Golden
from .providers import Runnable

__all__ = ["Fidelity", "deviation", "fidelity_loss_db", "golden_run", "images_run", "measure_fidelity"]

Tensor = NDArray[np.float32]
# Frames whose PSNR in float32 lies in the same step count as one level; halving the noise, or four times the counts, is a step.
_LEVEL_DB = 6.0


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How far a prepared graph is from float32.

    Parameters
    ----------
    loss_db : float
        Loss of PSNR against float32, relative to the truth: the mean over the frames of the level that loses most [dB].
        Never below 0.
    max_error : float
        Largest difference from what float32 gives, relative to the peak of all frames of its file [1].
    count_bias : float
        Largest relative change of a frame's total, before the engine conserves it [1].
    ssim : float
        Least structural similarity of a frame to that of float32 [1]; NaN where it was not asked for.
    by_frame : tuple of float
        Loss of each frame, the golden ones first [dB]; negative where the precision is nearer to the truth by chance.
    by_level : tuple of (float, float)
        Least PSNR of a level in float32, and the mean loss of its frames [dB].
    """

    loss_db: float
    max_error: float
    count_bias: float
    ssim: float
    by_frame: tuple[float, ...]
    by_level: tuple[tuple[float, float], ...]


def measure_fidelity(bundle: Bundle, runnable: Runnable, *, similarity: bool = True) -> Fidelity:
    """Run the bundle's golden and calibration frames and compare them with the outputs of float32 that it holds.

    Parameters
    ----------
    bundle : Bundle
        A model of images.
    runnable : Runnable
        The prepared graph.
    similarity : bool
        Whether to measure the structural similarity too, whose kernels take a second to compile on first use.

    Returns
    -------
    Fidelity
        The figures.

    Raises
    ------
    ModelError
        If the model gives findings.

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> from photopeak.engine.graph import check_graph
    >>> from photopeak.engine.providers import Target, find
    >>> bundle = zoo.load_bundle("scint-denoise")
    >>> runnable = find("onnxruntime").prepare(check_graph(bundle), Target())
    >>> measure_fidelity(bundle, runnable, similarity=False).loss_db < 1e-3
    True
    """
    files = [images for images in (bundle.golden, bundle.calibration) if images is not None]
    compared = [(images_run(runnable, images.input), images.output, images.truth) for images in files]
    losses = np.concatenate([_losses(*one) for one in compared])
    qualities = np.concatenate([_psnr(known, truth) for _, known, truth in compared])
    levels = _by_level(losses, qualities)
    return Fidelity(
        loss_db=max(0.0, _largest(np.array([loss for _, loss in levels]))),
        max_error=_largest(np.array([_difference(output, known) for output, known, _ in compared])),
        count_bias=_largest(np.concatenate([np.abs(_bias(output, known)) for output, known, _ in compared])),
        ssim=min(_similarity(output, known) for output, known, _ in compared) if similarity else float("nan"),
        by_frame=tuple(losses.tolist()),
        by_level=levels,
    )


def images_run(runnable: Runnable, images: Tensor) -> Tensor:
    """Return what a prepared graph gives for images, frame by frame.

    Parameters
    ----------
    runnable : Runnable
        The prepared graph.
    images : ndarray, shape (n, 1, rows, columns), float32
        What the graph takes.
    """
    lane = runnable.lane()
    return np.concatenate([lane.run(frame[np.newaxis]).copy() for frame in images])


def golden_run(bundle: Bundle, runnable: Runnable) -> Tensor:
    """Return what a prepared graph gives for the bundle's golden input, frame by frame."""
    return images_run(runnable, bundle.golden.input)


def deviation(bundle: Bundle, output: Tensor) -> float:
    """Return the largest difference from the golden output, relative to its peak [1]."""
    return _difference(output, bundle.golden.output)


def fidelity_loss_db(bundle: Bundle, output: Tensor) -> float:
    """Return the loss of PSNR of the golden frames, at the level that loses most, against float32 and relative to the truth [dB].

    Parameters
    ----------
    bundle : Bundle
        A model of images.
    output : ndarray, float32
        What :func:`golden_run` returned.
    """
    golden: Golden = bundle.golden
    levels = _by_level(_losses(output, golden.output, golden.truth), _psnr(golden.output, golden.truth))
    return max(0.0, _largest(np.array([loss for _, loss in levels])))


def _by_level(losses: NDArray[np.float64], qualities: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Return the mean loss of each level of noise, with the least PSNR that counts as of that level."""
    levels: dict[int, list[float]] = defaultdict(list)
    for loss, quality in zip(losses.tolist(), qualities.tolist(), strict=True):
        levels[int(quality // _LEVEL_DB)].append(loss)
    return tuple((level * _LEVEL_DB, float(np.mean(found))) for level, found in sorted(levels.items()))


def _losses(output: Tensor, known: Tensor, truth: Tensor) -> NDArray[np.float64]:
    return np.asarray(10 * np.log10(_errors(output, truth) / _errors(known, truth)))


def _psnr(image: Tensor, truth: Tensor) -> NDArray[np.float64]:
    peaks = np.abs(truth.astype(np.float64)).max(axis=(1, 2, 3))
    return np.asarray(10 * np.log10(np.maximum(peaks, 1e-20) ** 2 / _errors(image, truth)))


def _errors(image: Tensor, truth: Tensor) -> NDArray[np.float64]:
    """Return the mean squared error of each frame, with a floor that keeps identical images comparable."""
    return np.asarray(np.mean((image.astype(np.float64) - truth) ** 2, axis=(1, 2, 3)) + 1e-20)


def _difference(output: Tensor, known: Tensor) -> float:
    return float(np.abs(output - known).max() / np.abs(known).max())


def _bias(output: Tensor, known: Tensor) -> NDArray[np.float64]:
    """Return the change of each frame's total; Hounsfield units may add up to 0, so their magnitudes are the measure."""
    exact = known.astype(np.float64)
    return np.asarray((output - exact).sum(axis=(1, 2, 3)) / np.maximum(np.abs(exact).sum(axis=(1, 2, 3)), 1e-20))


def _similarity(output: Tensor, known: Tensor) -> float:
    from ..kernels.iqa.ssim import ssim

    values = [ssim(frame, other).values for frame, other in zip(output[:, 0], known[:, 0], strict=True)]
    return float(np.min(values))


def _largest(values: NDArray[np.float64]) -> float:
    """Return the largest value; what is no number is larger than any."""
    return float("inf") if np.isnan(values).any() else float(values.max())
