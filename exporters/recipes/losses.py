"""What trainings make small."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

FLOOR = 0.1
SMALLEST = 1e-4  # relative squared error below which better is not worth more
SMALL_ERROR = 0.01  # of an image, in variances: below it, better is not worth more

LEAST_CONTRAST = 0.01  # in units of the recipe's gain: for CT 10 HU
_AROUND = 7


def by_variance(output: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Return the mean squared error in units of the expected Poisson variance.

    Weights are computed from the noisy input only, so the minimiser stays the conditional mean of the counts: unbiased over
    the images of training, while a single faint lesion is drawn towards what is usual there. Half of the weight is local,
    half per image (the latter is what PSNR sees).
    """
    return _in_variances(output, target, counts).mean()


def logarithmic(output: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Return the mean over the images of the logarithm of their error in variances.

    A mean of PSNRs is such a mean: images of many counts, whose errors are a hundred times smaller, count as much as those of few.
    """
    return torch.log1p(_in_variances(output, target, counts) / SMALL_ERROR).mean()


def absolute(output: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Return the mean absolute error: the minimiser is the conditional median, which keeps edges."""
    return (output - target).abs().mean()


def decibels(output: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Return the mean over the images of the logarithm of their relative squared error: less of it is a higher PSNR."""
    power = counts.square().mean((1, 2, 3)) + FLOOR
    return torch.log1p((output - target).square().mean((1, 2, 3)) / (SMALLEST * power)).mean()


def by_contrast(output: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Return the mean squared error relative to the variance around each pixel.

    A faint edge counts as much as a strong one. The weights are computed from the noisy input only, so that the minimiser stays
    the conditional mean, which is unbiased.
    """
    local = functional.avg_pool2d(counts, _AROUND, 1, _AROUND // 2, count_include_pad=False)
    off = (counts - local).square()
    variance = functional.avg_pool2d(off, _AROUND, 1, _AROUND // 2, count_include_pad=False)
    weight = 1 / (variance + LEAST_CONTRAST**2)
    return ((output - target).square() * functional.interpolate(weight, size=output.shape[-2:], mode="nearest")).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "variance": by_variance,
    "logarithm": logarithmic,
    "absolute": absolute,
    "contrast": by_contrast,
    "decibels": decibels,
}
"""By the name in ``Recipe.loss``; each takes output, target and noisy input, times the recipe's gain."""


def _in_variances(output: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Return the mean squared error of each image over the Poisson variance that the input lets expect, shape (n,)."""
    counts = functional.relu(counts)
    scale = output.shape[-1] // counts.shape[-1]
    local = functional.avg_pool2d(counts, 5, 1, 2, count_include_pad=False) / (scale * scale)
    whole = (local.square().mean((2, 3), keepdim=True) / (local.mean((2, 3), keepdim=True) + FLOOR)) + FLOOR
    weight = 0.5 / (local + FLOOR) + 0.5 / whole
    if scale > 1:
        weight = functional.interpolate(weight, scale_factor=float(scale), mode="nearest")
    return ((output - target).square() * weight).mean((1, 2, 3))
