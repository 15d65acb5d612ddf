"""What a quantised graph costs a model, measured where it will run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..engine.bundle import CALIBRATION, INT8, Bundle, Golden, archive
from ..engine.fidelity import measure_fidelity
from ..engine.graph import check_graph
from ..engine.head_fidelity import (
    HEAD_TOLERANCES,
    changed_finding,
    golden_heads_run,
    head_deviation,
    probability_change,
)
from ..engine.plan import TOLERANCES
from ..engine.processors import available_processors
from ..engine.providers import Provider, Target, find
from ..engine.schemes import Scheme, schemes_archive

__all__ = ["Loss", "loss_of", "runner"]

# Tolerances hold for every machine, and another one rounds otherwise.
_MARGIN = 0.8


@dataclass(frozen=True, slots=True)
class Loss:
    """What a graph costs against float32.

    Parameters
    ----------
    amount : float
        Of models of images the loss of PSNR at the level that loses most [dB], of models of findings the largest change of a
        probability [1].
    problem : str
        Why the graph must not ship whatever it loses; empty where nothing speaks against it.
    by_level : tuple of (float, float)
        Least PSNR of each level in float32 and its mean loss [dB]; of models of images.
    """

    amount: float
    problem: str
    by_level: tuple[tuple[float, float], ...] = ()


def runner() -> Provider:
    """Return the provider that runs graphs of int8 fastest here."""
    openvino = find("openvino")
    return find("onnxruntime") if openvino.check(Target("cpu", "int8")) else openvino


def loss_of(bundle: Bundle, schemes: Mapping[str, Scheme], frames: Golden | None = None) -> Loss:
    """Return what a quantised graph costs on the golden frames, and on others of known truth.

    Parameters
    ----------
    bundle : Bundle
        The model.
    schemes : mapping of str to Scheme
        How layers are quantised, by their names.
    frames : Golden, optional
        Further frames of a model of images; by default those that the bundle holds.

    Raises
    ------
    ModelError
        If schemes do not fit the graph, or it does not run.
    """
    files: Mapping[str, bytes] = {**bundle.contents, INT8: schemes_archive(schemes)}
    if frames is not None:
        files = {**files, CALIBRATION: archive(frames)}
    candidate = replace(bundle, contents=files)
    target = Target("cpu", "int8", available_processors())
    runnable = runner().prepare(check_graph(candidate, "int8"), target)
    if bundle.manifest.analysis:
        heads = golden_heads_run(candidate, runnable)
        difference, name = head_deviation(candidate, heads)
        problem = changed_finding(candidate, heads)
        if not difference <= _MARGIN * HEAD_TOLERANCES["int8"]:
            problem = f"its head {name!r} is off by {difference:.1e} of the peak"
        return Loss(probability_change(candidate, heads), problem)
    found = measure_fidelity(candidate, runnable, similarity=False)
    large = not found.max_error <= _MARGIN * TOLERANCES["int8"]
    return Loss(found.loss_db, f"a pixel is off by {found.max_error:.1e} of the peak" * large, found.by_level)
