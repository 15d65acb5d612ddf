"""From a network that detects or classifies, with examples, to the parts of a bundle."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ...engine.analysis.decode import class_probabilities
from ...engine.analysis.verdict import judge
from ...engine.bundle import GoldenHeads
from ...engine.errors import InputError, ModelError, UsageError
from ...engine.golden import problem_of_heads
from ...engine.manifest import HEADS, Analysis, Grid, Input, Manifest
from .. import parity
from ..cam import with_cam
from ..inference import HeadRunner
from ..onnx import ForeignOperatorsError, in_order, to_onnx_heads
from ..recipes.analysis.common import fit_embedding_domain, fit_pixel_domain, fit_temperature, network_input
from .about import About, Examples
from .normalisation import without_group_norm
from .parts import Figure, Parts, fields, foreign_operators, level_split, not_exported, require_parity, spread
from .probe import multiple_of, require_apart

__all__ = ["parts_of_findings"]

Floats = NDArray[np.float32]
_GOLDEN = 4
_BATCH = 32
_CELL = 4


def parts_of_findings(net: nn.Module, examples: Examples, truth: Any, about: About, name: str, task: str) -> Parts:
    """Return the parts of the bundle of a network that gives findings.

    Parameters
    ----------
    net : nn.Module
        From :func:`.probe.frozen`. It gives the heads of :data:`photopeak.engine.manifest.HEADS`, as a dict or in this order;
        or it has ``features(image)`` and ``head(features)``, see :func:`photopeak.exporters.cam.with_cam`.
    examples : Examples
        Images on the model's grid, before any scaling.
    truth : sequence of int, optional
        Of a classification: the number of the class of each example.
    about : About
        What its maker tells.
    name : str
        Of the bundle.
    task : {"detection", "classification"}
        What it does.

    Raises
    ------
    InputError
        If truth and examples do not fit each other.
    ModelError
        If the network gives other heads, cannot be exported, or the graph does not compute what it computes.
    UsageError
        If the grid cannot be told.
    """
    whole = _with_heads(net, HEADS[task])
    taken = _input(whole, examples, about, task)
    tensor = network_input(examples.images, taken.scaling)
    require_apart(whole, tensor[:2])
    training, held = level_split(examples.images)
    model = _exported(whole, taken, task)
    differences = tuple(parity.compare_heads(whole, model, [tensor[spread(held, _GOLDEN)]]))
    require_parity(differences)
    runner = HeadRunner(model)
    heads = _joined([runner(tensor[first : first + _BATCH]) for first in range(0, len(tensor), _BATCH)])
    classes = _labels(truth, len(examples), task)
    temperature = about.temperature
    if temperature is None:
        temperature = fit_temperature(heads["logits"][:, :, 0, 0], classes) if len(classes) else 1.0
    analysis = Analysis(
        labels=about.labels or _numbered(heads, task),
        threshold=about.threshold,
        temperature=round(temperature, 6),
        embedding=fit_embedding_domain(heads["embedding"][training], heads["embedding"][held]),
    )
    manifest = Manifest(
        **fields(about, examples, name, task),
        input=taken,
        analysis=analysis,
        domain=fit_pixel_domain([examples.images[training]], [examples.images[held]], taken),
    )
    chosen = spread(_inside(examples, heads, held, manifest), _GOLDEN)
    golden = GoldenHeads(tensor[chosen], {head: heads[head][chosen] for head in manifest.heads})
    if problem := problem_of_heads(golden, manifest):
        raise ModelError(f"the network does not give what a bundle of {task} holds: {problem}.")
    return Parts(manifest, model, golden, None, differences, _figures(heads, classes, analysis))


def _with_heads(net: nn.Module, heads: tuple[str, ...]) -> nn.Module:
    """Return a network that gives all heads: with maps and features that are derived where it has none."""
    if callable(getattr(net, "features", None)) and callable(getattr(net, "head", None)):
        return with_cam(net)
    return _Named(net, heads).eval()


class _Named(nn.Module):
    """A network whose own heads come by their names."""

    def __init__(self, net: nn.Module, heads: tuple[str, ...]) -> None:
        super().__init__()
        self.net, self.heads = net, heads

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        given = self.net(image)
        try:
            return in_order((given,) if isinstance(given, Tensor) else given, self.heads)
        except ValueError as error:
            raise ValueError(
                f"{error}; give {', '.join(self.heads)} as a dict, or give the network the methods features(image) and "
                "head(features), from which evidence and embedding are derived"
            ) from error


def _input(net: nn.Module, examples: Examples, about: About, task: str) -> Input:
    _, depth, rows, columns = examples.images.shape
    if about.grid is None and rows != columns:
        raise UsageError(
            f"examples are {rows}x{columns} px; name the grid that images are brought to, such as one by pitch."
        )
    grid = about.grid or Grid(kind="fit", side=rows)
    channels = about.channels or (() if depth == 1 else tuple(f"channel-{k + 1}" for k in range(depth)))
    if max(1, len(channels)) != depth:
        raise InputError(f"examples have {depth} channels and {len(channels)} names; name each one.")
    least = _CELL if task == "detection" else 1
    multiple = about.multiple or max(least, multiple_of(net, depth, lambda given, shape: True))
    if grid.side and grid.side % multiple:
        raise ModelError(
            f"the network takes multiples of {multiple}, the examples' side is {grid.side} px; give others."
        )
    return Input(
        name="image", units=examples.units, scaling=about.scaling, multiple=multiple, channels=channels, grid=grid
    )


def _exported(net: nn.Module, taken: Input, task: str) -> bytes:
    try:
        model = to_onnx_heads(without_group_norm(net), taken.depth, taken.multiple, HEADS[task])
    except ForeignOperatorsError as error:
        raise ModelError(foreign_operators(error.kinds)) from error
    except Exception as error:  # torch raises what the network's code provokes
        raise ModelError(not_exported(error)) from error
    return model


def _joined(batches: list[dict[str, Floats]]) -> dict[str, Floats]:
    return {head: np.concatenate([batch[head] for batch in batches]) for head in batches[0]}


def _labels(truth: Any, n: int, task: str) -> NDArray[np.intp]:
    """Return the class of each example; empty where none are given."""
    if truth is None or task == "detection":
        return np.empty(0, np.intp)
    found = np.asarray(truth)
    if found.shape != (n,) or found.dtype.kind not in "iu":
        raise InputError(
            f"truth is {found.dtype} of shape {found.shape}; give the number of the class of each of {n} examples."
        )
    return found.astype(np.intp)


def _numbered(heads: dict[str, Floats], task: str) -> tuple[str, ...]:
    if task == "detection":
        return ("lesion",)
    return tuple(f"class {k}" for k in range(heads["logits"].shape[1]))


def _inside(
    examples: Examples, heads: dict[str, Floats], held: NDArray[np.intp], manifest: Manifest
) -> NDArray[np.intp]:
    """Return which held-out examples are not outside of the domains."""
    if manifest.analysis is None:
        raise ModelError(f"{manifest.name} gives no findings.")
    names = manifest.input.channels or ("",)
    channels = {name: np.ascontiguousarray(examples.images[held, k]) for k, name in enumerate(names)}
    verdicts = judge(channels, heads["embedding"][held], manifest, manifest.analysis.embedding)
    found = held[[verdict.verdict != "outside" for verdict in verdicts]]
    if not len(found):
        raise ModelError("every held-out example is unlike the others; give more examples of each kind.")
    return found


def _figures(heads: dict[str, Floats], classes: NDArray[np.intp], analysis: Analysis) -> tuple[Figure, ...]:
    """Measure the network on the examples whose class is known."""
    if not len(classes):
        return ()
    if classes.min() < 0 or classes.max() >= len(analysis.labels):
        raise InputError(
            f"truth has classes from {classes.min()} to {classes.max()}; there are {len(analysis.labels)}, from 0."
        )
    probabilities = class_probabilities(heads["logits"], analysis.temperature)
    right = probabilities.reshape(len(classes), -1).argmax(axis=1) == classes
    own = np.take_along_axis(probabilities.reshape(len(classes), -1), classes[:, None], axis=1)
    return (
        Figure("examples whose most probable class is right", f"{int(right.sum())} of {len(classes)}"),
        Figure("mean probability of the right class", f"{float(own.mean()):.3f}"),
    )
