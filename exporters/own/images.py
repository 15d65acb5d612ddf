"""From a network that gives images, with examples and their truth, to the parts of a bundle."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ...engine.bundle import Golden
from ...engine.domain import features, fit_domain, judge
from ...engine.errors import InputError, ModelError, UsageError
from ...engine.manifest import Input, Manifest, Output
from ...engine.postprocess import scale_in
from ..evaluation.metrics import psnr
from ..inference import Runner
from ..onnx import to_onnx
from ..parity import Difference, compare
from .about import CONSERVED, About, Examples, stack_of
from .normalisation import without_group_norm
from .parts import (
    Figure,
    Numbers,
    Parts,
    fields,
    level_split,
    not_exported,
    require_operators,
    require_parity,
    spread,
)
from .probe import LARGEST_CONTEXT, context_px, multiple_of, require_apart, run

__all__ = ["parts_of_image"]

Floats = NDArray[np.float32]
SCALES = (1, 2, 4)
_GOLDEN, _CALIBRATION, _MEASURED = 4, 12, 64
_LARGEST = 48 << 20  # bytes of the golden tensors together, which a bundle limits


def parts_of_image(net: nn.Module, examples: Examples, truth: Any, about: About, name: str, task: str) -> Parts:
    """Return the parts of the bundle of a network that gives images.

    Parameters
    ----------
    net : nn.Module
        From :func:`.probe.frozen`: (n, 1, rows, columns) to (n, 1, s * rows, s * columns).
    examples : Examples
        What goes in, before any scaling.
    truth : Frames, array or tensor
        What should ideally come out for each example, in the same units; shape (n, s * rows, s * columns).
    about : About
        What its maker tells.
    name : str
        Of the bundle.
    task : {"denoise", "super-resolution"}
        What it does.

    Raises
    ------
    InputError
        If truth and examples do not fit each other.
    ModelError
        If the network cannot be exported, or the graph does not compute what it computes.
    UsageError
        If there is no truth.
    """
    pairs = _pairs(examples, truth, about, task)
    multiple = about.multiple or multiple_of(net, 1, pairs.fits)
    pairs = pairs.cropped(multiple)
    overlap = _overlap(net, pairs, about, multiple)
    model, differences = _exported(net, pairs, multiple)
    training, held = level_split(examples.images)
    taken = Input(name="counts", units=examples.units, scaling=about.scaling, multiple=multiple, overlap=overlap)
    output = Output.model_validate(
        {"name": "image", "scale": pairs.scale, "conserve": about.conserve or CONSERVED[examples.units]}
    )
    rows = _features(examples, held, taken)
    fitted = fit_domain(_features(examples, training, taken), rows)
    manifest = Manifest(**fields(about, examples, name, task), input=taken, output=output, domain=fitted)
    some = spread(np.arange(len(held)), _MEASURED)
    measured = _measured(model, pairs, held[some])
    inside = np.flatnonzero(judge(rows[some], fitted).distances <= fitted.limits[1])
    if not len(inside):
        raise ModelError("every held-out example is unlike the others; give more examples of each kind.")
    golden, calibration = _chosen(inside, len(some), measured.input[0].nbytes + 2 * measured.truth[0].nbytes)
    figures = _figures(measured, output)
    return Parts(manifest, model, _some(measured, golden), _some(measured, calibration), differences, figures)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """What goes into the graph and what should come out of it, both (n, 1, rows, columns)."""

    images: Floats
    truth: Floats
    scale: int

    def fits(self, given: Any, shape: tuple[int, ...]) -> bool:
        """Return whether what a network gave for an input of this shape is an image at the scale."""
        wanted = (shape[0], 1, self.scale * shape[2], self.scale * shape[3])
        return isinstance(given, Tensor) and given.is_floating_point() and tuple(given.shape) == wanted

    def cropped(self, multiple: int) -> "_Pairs":
        """Return what is left when sides are cut to multiples."""
        rows, columns = (side - side % multiple for side in self.images.shape[2:])
        if min(rows, columns) < 4 * multiple:
            raise InputError(
                f"examples of {self.images.shape[2]}x{self.images.shape[3]} px are too small for a network that takes "
                f"multiples of {multiple}; give {4 * multiple} px or more."
            )
        scale = self.scale
        truth = self.truth[:, :, : scale * rows, : scale * columns]
        return _Pairs(self.images[:, :, :rows, :columns], truth, scale)


def _pairs(examples: Examples, truth: Any, about: About, task: str) -> _Pairs:
    """Return examples and truth as the graph takes and gives them."""
    if examples.images.shape[1] != 1:
        raise InputError(f"examples have {examples.images.shape[1]} channels; a network that gives images takes one.")
    if truth is None:
        raise UsageError(
            "a network that gives images needs truth: what it should ideally make of each example, such as a longer "
            "acquisition; what lower precisions lose is measured against it."
        )
    wanted = stack_of(truth, "truth")
    n, _, rows, columns = examples.images.shape
    scale = wanted.shape[2] // rows
    if wanted.shape != (n, 1, scale * rows, scale * columns) or scale not in SCALES:
        raise InputError(
            f"truth is {wanted.shape} for examples of {examples.images.shape}; give as many, of 1, 2 or 4 times the size."
        )
    if (task == "denoise") != (scale == 1):
        raise UsageError(f"truth is {scale} times the size of the examples, which is not {task}; name the other task.")
    scaled = scale_in(np.ascontiguousarray(examples.images[:, 0]), about.scaling, 1)
    if scaled.peaks is not None:
        wanted = wanted / scaled.peaks[:, None, None, None]
    return _Pairs(scaled.pixels[:, None], wanted, scale)


def _overlap(net: nn.Module, pairs: _Pairs, about: About, multiple: int) -> int:
    """Return the context of a tile, once the network is known to treat each frame by itself."""
    two = pairs.images[:2]
    if not pairs.fits(run(net, two), two.shape):
        raise ModelError(
            f"the network gives no image of {pairs.scale} times the size of the examples, as truth has; look at its scale."
        )
    require_apart(net, two)
    reach = context_px(net, pairs.images[:1]) if about.overlap is None else about.overlap
    return min(-(-reach // multiple) * multiple, LARGEST_CONTEXT)


def _exported(net: nn.Module, pairs: _Pairs, multiple: int) -> tuple[bytes, tuple[Difference, ...]]:
    """Return the graph, and how far it is from the network for the examples and for another size."""
    try:
        model = to_onnx(without_group_norm(net), multiple)
    except Exception as error:  # torch raises what the network's code provokes
        raise ModelError(not_exported(error)) from error
    require_operators(model)
    other = np.ascontiguousarray(pairs.images[:1, :, multiple:, : -2 * multiple])
    found = tuple(compare(net, model, [np.ascontiguousarray(pairs.images[:_GOLDEN]), other]))
    require_parity(found)
    return model, found


def _measured(model: bytes, pairs: _Pairs, numbers: Numbers) -> Golden:
    """Return examples with what the graph gives for them, one by one, since many at once need memory for all layers of each."""
    runner, images = Runner(model, multiple=1), np.ascontiguousarray(pairs.images[numbers])
    return Golden(images, np.concatenate([runner(image[np.newaxis]) for image in images]), pairs.truth[numbers])


def _features(examples: Examples, numbers: Numbers, taken: Input) -> NDArray[np.float64]:
    pixels = np.ascontiguousarray(examples.images[numbers, 0])
    return features(pixels, scaling=taken.scaling, units=taken.units)


def _chosen(inside: Numbers, number: int, bytes_each: int) -> tuple[Numbers, Numbers]:
    """Return which held-out examples, of those inside of the domain, are golden, and which of all serve for calibration."""
    room = _LARGEST // bytes_each
    if not room:
        raise InputError("examples are too large for golden tensors; give parts of 1024x1024 px or less.")
    golden = spread(inside, min(_GOLDEN, room))
    others = np.setdiff1d(np.arange(number), golden)
    return golden, spread(others if len(others) else golden, min(_CALIBRATION, room))


def _some(measured: Golden, numbers: Numbers) -> Golden:
    return Golden(*(np.ascontiguousarray(array[numbers], np.float32) for array in measured.arrays().values()))


def _figures(held: Golden, output: Output) -> tuple[Figure, ...]:
    """Measure the bare network on the held-out examples."""
    before = [psnr(image, true) for image, true in _planes(held.input, held.truth)] if output.scale == 1 else []
    after = [psnr(image, true) for image, true in _planes(held.output, held.truth)]
    bias = held.output.mean(axis=(1, 2, 3)) / np.maximum(np.abs(held.input.mean(axis=(1, 2, 3))), 1e-12)
    if output.conserve == "sum":
        bias = bias * output.scale**2
    found = [Figure("PSNR of the output against truth, held-out examples, mean (range) [dB]", _range(after))]
    if before:
        found.insert(0, Figure("PSNR of the input against truth, held-out examples, mean (range) [dB]", _range(before)))
        gain = [one - other for one, other in zip(after, before, strict=True)]
        found.append(Figure("gain, mean (range) [dB]", _range(gain)))
    if output.conserve != "none":
        found.append(
            Figure(
                f"{output.conserve} of the bare network, before the engine keeps it, in % off", _range(100 * (bias - 1))
            )
        )
    return tuple(found)


def _planes(images: Floats, truth: Floats) -> list[tuple[Floats, Floats]]:
    return [(image[0], true[0]) for image, true in zip(images, truth, strict=True)]


def _range(values: Any) -> str:
    array = np.asarray(values, np.float64)
    return f"{array.mean():.2f} ({array.min():.2f} to {array.max():.2f})"
