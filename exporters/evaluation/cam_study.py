"""Whether the evidence maps that graphs compute themselves are Grad-CAM: every provider against automatic differentiation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...engine.bundle import Bundle
from ...engine.frames import Units
from ...engine.graph import check_graph
from ...engine.providers import Provider, Target
from ..torch_graph import TorchGraph

__all__ = ["BAR", "Parity", "as_markdown", "autograd_cam", "measure_cam", "variants"]

Floats = NDArray[np.float32]
Tell = Callable[[str], None]

BAR = 1e-4  # relative error
_LEAST = float(np.finfo(np.float32).tiny)
_FACTORS = (0.5, 2.0)  # of counts
_SIDE = 64  # px; the evaluator of ONNX takes seconds for larger ones


@dataclass(frozen=True)
class Parity:
    """How far the maps of a bundle are from Grad-CAM on one provider.

    Parameters
    ----------
    bundle, provider : str
        Their names.
    images, maps : int
        How many were compared, with one map for each class.
    empty : int
        Maps without any evidence, zero on both sides; they are no part of the errors.
    worst, typical : float
        Largest and median relative error of a map: its largest difference over its largest value. NaN, which meets no bar,
        where all maps are empty.
    """

    bundle: str
    provider: str
    images: int
    maps: int
    empty: int
    worst: float
    typical: float

    @property
    def passed(self) -> bool:
        """Whether every map keeps to the bar."""
        return self.worst < BAR


def measure_cam(bundle: Bundle, providers: Sequence[Provider], *, images: int, tell: Tell) -> list[Parity]:
    """Compare the head ``cam`` of a bundle with Grad-CAM by automatic differentiation.

    Parameters
    ----------
    bundle : Bundle
        Of a model of findings.
    providers : sequence of Provider
        What runs the graph, in float32 on the CPU.
    images : int
        How many, see :func:`variants`.
    tell : callable
        Told what goes on.

    Returns
    -------
    list of Parity
        One for each provider.
    """
    graph, torch_graph = check_graph(bundle), TorchGraph(bundle.model)
    pictures = list(variants(bundle, images))
    tell(f"{bundle.name}: automatic differentiation")
    expected = [autograd_cam(torch_graph, picture) for picture in pictures]
    found = []
    for provider in providers:
        tell(f"{bundle.name}: {provider.name}")
        runnable = provider.prepare(graph, Target())
        errors = [
            _errors(np.array(runnable.heads(picture)["cam"]), truth)
            for picture, truth in zip(pictures, expected, strict=True)
        ]
        maps = [error for each in errors for error in each]
        seen = [error for error in maps if error is not None]
        worst, typical = (max(seen), median(seen)) if seen else (np.nan, np.nan)
        found.append(Parity(bundle.name, provider.name, images, len(maps), len(maps) - len(seen), worst, typical))
    return found


def autograd_cam(graph: TorchGraph, image: Floats) -> Floats:
    """Return Grad-CAM of each class, or of the log-sum-exp of the heat, by automatic differentiation.

    Parameters
    ----------
    graph : TorchGraph
        With the heads of a model of findings; its own map is not looked at.
    image : ndarray, shape (n, channels, rows, columns), float32
        What the graph takes.

    Returns
    -------
    ndarray, shape (n, k, h', w'), float32
        Rectified sum of the last block's features, weighted by the mean gradient of the score.

    References
    ----------
    * Selvaraju, R. R. et al. (2017). Grad-CAM: visual explanations from deep networks via gradient-based localization.
      ICCV, equations 1 and 2.
    """
    tensor, name = torch.from_numpy(image), graph.source_of("embedding")
    with torch.no_grad():
        features = graph(tensor)[name]
    features.requires_grad_()
    values = graph(tensor, {name: features})
    if "heat" in values:
        scores = torch.logsumexp(values["heat"], (2, 3))
    else:
        scores = values["logits"][:, :, 0, 0]
    maps = [_map(score, features) for score in scores.unbind(1)]
    return np.asarray(torch.stack(maps, 1).numpy(), np.float32)


def variants(bundle: Bundle, number: int, seed: int = 0) -> Iterator[Floats]:
    """Yield parts of a bundle's golden tensors: mirrored, of other intensity, counts drawn anew.

    Parameters
    ----------
    bundle : Bundle
        Of a model of findings.
    number : int
        How many.
    seed : int
        Of what is drawn.

    Yields
    ------
    ndarray, shape (1, channels, rows, columns), float32
        What the graph takes; at most 64 px high and wide.
    """
    rng = np.random.default_rng(seed)
    golden, taken = bundle.golden_heads.input, bundle.manifest.input
    for index in range(number):
        image = golden[index % len(golden)]
        image = np.flip(image, tuple(axis for axis in (1, 2) if rng.random() < 0.5))
        sides = [min(side, _SIDE - _SIDE % taken.multiple) for side in image.shape[1:]]
        top, left = (int(rng.integers(whole - side + 1)) for whole, side in zip(image.shape[1:], sides, strict=True))
        image = image[:, top : top + sides[0], left : left + sides[1]]
        if taken.units is Units.COUNTS and taken.scaling == "none":
            image = rng.poisson(np.maximum(image, 0) * np.exp(rng.uniform(*np.log(_FACTORS))))
        yield np.ascontiguousarray(image[None], np.float32)


def as_markdown(rows: Sequence[Parity]) -> str:
    """Return a table of all bundles and providers."""
    lines = [
        "| Bundle | Provider | Images | Maps | of these empty | Median error | Largest error | Bar |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        verdict = "met" if row.passed else "**missed**"
        lines.append(
            f"| {row.bundle} | {row.provider} | {row.images} | {row.maps} | {row.empty} | {row.typical:.1e} | "
            f"{row.worst:.1e} | {verdict} |"
        )
    return "\n".join(lines)


def _map(score: Tensor, features: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(score.sum(), features, retain_graph=True)
    weights = gradient.mean((2, 3), keepdim=True)
    return torch.relu((weights * features).sum(1)).detach()


def _errors(found: Floats, expected: Floats) -> list[float | None]:
    """Return the relative error of each map; nothing where both are empty."""
    if found.shape != expected.shape:
        raise ValueError(f"the graph gives maps of {found.shape}, Grad-CAM of {expected.shape}.")
    pairs = zip(found.reshape(-1, *found.shape[2:]), expected.reshape(-1, *found.shape[2:]), strict=True)
    return [
        float(np.abs(one - other).max() / max(float(other.max()), _LEAST)) if one.any() or other.any() else None
        for one, other in pairs
    ]
