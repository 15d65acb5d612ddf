"""What trainings make small."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

FLOOR = 0.1


def by_variance(output: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Return the mean squared error in units of the expected Poisson variance.

    Weights are computed from the noisy input only, so the minimiser stays the conditional mean of the counts: unbiased over
    the images of training, while a single faint lesion is drawn towards what is usual there. Half of the weight is local,
    half per image (the latter is what PSNR sees).
    """
    counts = functional.relu(counts)
    scale = output.shape[-1] // counts.shape[-1]
    local = functional.avg_pool2d(counts, 5, 1, 2, count_include_pad=False) / (scale * scale)
    whole = (local.square().mean((2, 3), keepdim=True) / (local.mean((2, 3), keepdim=True) + FLOOR)) + FLOOR
    weight = 0.5 / (local + FLOOR) + 0.5 / whole
    if scale > 1:
        weight = functional.interpolate(weight, scale_factor=float(scale), mode="nearest")
    return ((output - target).square() * weight).mean()


def absolute(output: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Return the mean absolute error: the minimiser is the conditional median, which keeps edges."""
    return (output - target).abs().mean()


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"variance": by_variance, "absolute": absolute}
"""By the name in ``Recipe.loss``; each takes output, target and noisy input, times the recipe's gain."""
