"""Graphs of 8 bits: the layers that bear it as int8, the others in float, chosen by what they cost on frames of known truth."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from ..engine.bundle import Bundle, Golden, write_bundle
from ..engine.errors import ModelError, UsageError
from ..engine.graph import check_graph
from ..engine.quantised_graph import find_layers
from ..engine.schemes import Scheme
from .calibration_frames import calibration_frames, frames_to_keep
from .int8_card import with_section
from .int8_losses import Loss, loss_of, runner
from .quantisation_schemes import Fit, activations, fit

__all__ = ["Quantised", "QuantisedLayer", "Report", "quantise", "quantise_bundle", "write_quantised"]

Tell = Callable[[str], None]
# Of the admitted loss: frames that nobody has seen lose a little more.
_MARGIN = 0.9


@dataclass(frozen=True, slots=True)
class QuantisedLayer:
    """One convolution and what became of it.

    Parameters
    ----------
    name : str
        Its output.
    shape : tuple of int
        Of its weights: outputs, inputs, rows, columns.
    share : float
        Of all multiplications of the layers that could be quantised [1].
    error : float
        Mean squared error of its output in 8 bits, relative to the mean square of the output [1].
    loss : float or None
        What the model loses when this layer alone is quantised, in the unit of the report; None where it was not measured,
        since all layers together lose little enough.
    int8 : bool
        Whether it is quantised.
    """

    name: str
    shape: tuple[int, ...]
    share: float
    error: float
    loss: float | None
    int8: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a quantisation did.

    Parameters
    ----------
    model : str
        Name of the model.
    loss : float
        Of PSNR at the level that loses most [dB]; of models of findings the largest change of a probability [1].
    by_level : tuple of (float, float)
        Least PSNR of each level in float32 and its mean loss [dB].
    share : float
        Of the multiplications of convolutions that are in 8 bits [1], where 1 stands for all that could be.
    layers : tuple of QuantisedLayer
        In the order of the graph.
    engine : str
        Library that measured.
    """

    model: str
    loss: float
    by_level: tuple[tuple[float, float], ...]
    share: float
    layers: tuple[QuantisedLayer, ...]
    engine: str

    @property
    def in_float(self) -> tuple[str, ...]:
        """Names of the layers that stay in float."""
        return tuple(layer.name for layer in self.layers if not layer.int8)


@dataclass(frozen=True, slots=True)
class Quantised:
    """How a model is quantised, and how that came about.

    Parameters
    ----------
    schemes : mapping of str to Scheme
        Of the layers in 8 bits, by their names; the graph is derived from them.
    report : Report
        What it costs, layer by layer.
    """

    schemes: Mapping[str, Scheme]
    report: Report


def quantise(
    bundle: Bundle, frames: Golden | None = None, *, max_loss_db: float = 0.1, tell: Tell = lambda text: None
) -> Quantised:
    """Return the schemes of as many layers of a bundle's graph as its fidelity admits in 8 bits.

    Each layer gets the step, the factors of its channels and the correction of its bias that change its output least. All
    layers are tried first; where that loses too much, those that cost most for what they save stay in float.

    Parameters
    ----------
    bundle : Bundle
        The model.
    frames : Golden, optional
        What steps are fitted on, besides the golden frames; simulated by default where the model's recipe is known. Losses
        are measured on others: the golden frames and those that the bundle keeps or will keep.
    max_loss_db : float
        Loss of PSNR that is admitted [dB]; of models of findings no finding may change and no probability by more than 0.01.
    tell : callable
        Told in words what is being done.

    Returns
    -------
    Quantised
        The schemes, whose graph ran, and the report.

    Raises
    ------
    UsageError
        If the admitted loss is not positive.
    ModelError
        If no layer can be quantised.

    Examples
    --------
    >>> from photopeak.engine.zoo import load_bundle
    >>> quantise(load_bundle("scint-sr-x2")).report.in_float  # doctest: +SKIP
    ()
    """
    if not max_loss_db > 0:
        raise UsageError(f"max_loss_db={max_loss_db} leaves nothing to give away; use more than 0, such as 0.1.")
    model = onnx.load_model_from_string(check_graph(bundle).data)
    if frames is None and not bundle.manifest.analysis:
        tell("simulating frames")
        frames = calibration_frames(bundle)
    kept = None if bundle.manifest.analysis else bundle.calibration or frames_to_keep(bundle)
    search = _Search(bundle, model, (frames, kept), _MARGIN * max_loss_db, tell)
    chosen = search.run()
    if not chosen:
        raise ModelError(f"{bundle.name}: no layer can be quantised at {max_loss_db:g} dB; keep the bundle as it is.")
    return Quantised(search.schemes(chosen), search.report(chosen))


def quantise_bundle(
    bundle: Bundle,
    out: Path,
    *,
    frames: Golden | None = None,
    max_loss_db: float = 0.1,
    tell: Tell = lambda text: None,
) -> tuple[Bundle, Report]:
    """Write a bundle with the schemes of a graph of int8, and of images with calibration frames.

    Parameters
    ----------
    bundle : Bundle
        The model.
    out : Path
        Folder of the bundle to write; it may be that of `bundle`.
    frames, max_loss_db, tell
        As in :func:`quantise`.

    Returns
    -------
    bundle : Bundle
        What was written, read back.
    report : Report
        What the quantisation did.

    Raises
    ------
    UsageError, ModelError
        As :func:`quantise`; nothing is written then.
    """
    made = quantise(bundle, frames, max_loss_db=max_loss_db, tell=tell)
    return write_quantised(bundle, out, made), made.report


def write_quantised(bundle: Bundle, out: Path, made: Quantised) -> Bundle:
    """Write a bundle with the schemes that were found, and what its card has to say about them.

    Parameters
    ----------
    bundle, out
        As in :func:`quantise_bundle`.
    made : Quantised
        What :func:`quantise` returned.

    Returns
    -------
    Bundle
        What was written, read back.
    """
    findings = bundle.manifest.analysis is not None
    return write_bundle(
        out,
        bundle.manifest,
        model=bundle.model,
        golden=bundle.golden_heads if findings else bundle.golden,
        card=with_section(bundle.card, made.report),
        int8=made.schemes,
        calibration=None if findings else bundle.calibration or frames_to_keep(bundle),
    )


class _Search:
    """Layers, their fits, and what sets of them lose.

    Parameters
    ----------
    bundle : Bundle
        The model.
    model : ModelProto
        Its graph of float32.
    frames : tuple of (Golden or None, Golden or None)
        What steps are fitted on, and what losses are measured on, each besides the golden frames.
    limit : float
        Loss that is admitted, in the model's unit.
    tell : callable
        Told what is being done.
    """

    def __init__(
        self, bundle: Bundle, model: ModelProto, frames: tuple[Golden | None, Golden | None], limit: float, tell: Tell
    ) -> None:
        self._bundle, self._model, self._tell = bundle, model, tell
        self._frames, self._kept = frames
        self._limit = float("inf") if bundle.manifest.analysis else limit
        self._layers = {layer.name: layer for layer in find_layers(model)}
        self._fits = self._fitted()
        self._alone: dict[str, Loss] = {}

    def _fitted(self) -> Mapping[str, Fit]:
        given = self._inputs()
        fits = {}
        for name, layer in self._layers.items():
            self._tell(f"fitting {name}")
            if (found := fit(layer, activations(self._model, layer, given))) is not None:
                fits[name] = found
        return fits

    def _inputs(self) -> NDArray[np.float32]:
        """Return what steps are fitted on; the golden frames are among them, so that nothing in them is beyond the range."""
        if self._frames is None:
            return self._bundle.golden_heads.input
        parts = (self._frames.input, self._bundle.golden.input)
        return np.concatenate(parts) if parts[0].shape[1:] == parts[1].shape[1:] else parts[0]

    def run(self) -> frozenset[str]:
        """Return the layers to quantise."""
        chosen = frozenset(self._fits)
        if not chosen or self._holds(chosen):
            return chosen
        for name in sorted(chosen):
            self._alone[name] = self._loss({name})
            self._tell(f"{name} alone loses {self._alone[name].amount:.4f}")
        dropped: list[str] = []
        for name in sorted(chosen, key=self._price, reverse=True):
            chosen -= {name}
            dropped.append(name)
            if not chosen or self._holds(chosen):
                break
        # The order is a guess: what was dropped on the way may do no harm in the end.
        for name in sorted(dropped[:-1], key=lambda name: self._fits[name].multiplications, reverse=True):
            if self._holds(chosen | {name}):
                chosen |= {name}
        return chosen

    def schemes(self, names: Iterable[str]) -> dict[str, Scheme]:
        """Return how these layers are quantised."""
        return {name: self._fits[name].scheme for name in names}

    def report(self, chosen: frozenset[str]) -> Report:
        """Return what became of each layer."""
        loss = self._loss(chosen)
        total = sum(found.multiplications for found in self._fits.values())
        layers = tuple(
            QuantisedLayer(
                name,
                self._layers[name].weights.shape,
                found.multiplications / total,
                found.error,
                self._alone[name].amount if name in self._alone else None,
                name in chosen,
            )
            for name, found in self._fits.items()
        )
        share = sum(layer.share for layer in layers if layer.int8)
        provider = runner()
        engine = f"{provider.name} {provider.version()}"
        return Report(self._bundle.name, loss.amount, loss.by_level, share, layers, engine)

    def _loss(self, names: Iterable[str]) -> Loss:
        return loss_of(self._bundle, self.schemes(names), self._kept)

    def _holds(self, names: frozenset[str]) -> bool:
        found = self._loss(names)
        self._tell(f"{len(names)} of {len(self._fits)} layers lose {found.amount:.4f}")
        return found.amount <= self._limit and not found.problem

    def _price(self, name: str) -> float:
        """Return what a layer costs for what it saves."""
        return self._alone[name].amount / self._fits[name].multiplications
