"""What every provider and precision of this machine makes of a bundle's golden tensors, as a report."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..engine.bundle import Bundle
from ..engine.errors import PhotopeakError
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
from ..engine.providers import PROVIDERS, Precision, Provider, Runnable, Target
from .markdown import markdown

__all__ = ["Comparison", "Parity", "compare_providers"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one provider makes of the golden input in one precision.

    Parameters
    ----------
    provider, version : str
        Library and its version; no version where it is not installed.
    device : {"cpu", "cuda"}
        Kind of device.
    precision : {"fp32", "bf16", "fp16", "int8"}
        Arithmetic inside of the graph.
    tolerance : float
        Largest difference that the precision explains, relative to the peak [1].
    passed : bool or None
        Whether the difference is within the tolerance; None where nothing ran.
    difference : float or None
        Largest difference from the golden output, relative to the peak of the output or head [1].
    head : str
        Of models of findings: the head with that difference.
    loss_db, count_bias, ssim : float or None
        Of models of images: see :class:`photopeak.engine.fidelity.Fidelity`.
    probability_change : float or None
        Of models of findings: largest change of a calibrated probability [1].
    remark : str
        Why nothing ran, or which finding changes.
    """

    provider: str
    version: str
    device: str
    precision: str
    tolerance: float
    passed: bool | None
    difference: float | None = None
    head: str = ""
    loss_db: float | None = None
    count_bias: float | None = None
    ssim: float | None = None
    probability_change: float | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far providers are from the golden output of a bundle.

    Parameters
    ----------
    model, version, digest : str
        Identity of the bundle.
    gives : {"image", "findings"}
        What the model makes.
    frames : int
        Golden frames, and those for calibration where there are some.
    comparisons : tuple of Comparison
        One for each provider, kind of device and precision that there is.
    """

    model: str
    version: str
    digest: str
    gives: str
    frames: int
    comparisons: tuple[Comparison, ...]

    @property
    def ran(self) -> tuple[Comparison, ...]:
        """The comparisons that this machine could make."""
        return tuple(one for one in self.comparisons if one.passed is not None)

    @property
    def failed(self) -> tuple[Comparison, ...]:
        """Those that are farther from the golden output than their precision explains."""
        return tuple(one for one in self.comparisons if one.passed is False)

    def markdown(self) -> str:
        """Return the report for people."""
        return f"# Parity of {self.model} {self.version}\n\nSHA-256 `{self.digest}`.\n\n{self.table()}"

    def table(self, ran_only: bool = False) -> str:
        """Return the comparisons as a table, with a sentence on what they are."""
        changed = ("loss [dB]", "counts off by", "SSIM") if self.gives == "image" else ("probabilities change by",)
        columns = ("provider", "precision", "device", "difference", "tolerance", *changed, "")
        rows = (_row(one, len(changed)) for one in (self.ran if ran_only else self.comparisons))
        return (
            f"{self.frames} frames. What they are compared with was computed by ONNX Runtime in fp32 on a CPU when the "
            "bundle was made; differences are the largest ones, relative to the peak.\n\n"
            + markdown(columns, rows)
            + "\n"
        )


def compare_providers(bundle: Bundle, *, threads: int = 0, tell: Callable[[str], None] = lambda doing: None) -> Parity:
    """Run the golden input with every provider and precision that this machine has.

    Parameters
    ----------
    bundle : Bundle
        The model.
    threads : int
        Threads of one run; 0 stands for all processors that this process may use.
    tell : callable
        Told what is being run.

    Returns
    -------
    Parity
        Also tells what cannot run here, and why.

    Raises
    ------
    ModelError
        If the graph is not as the manifest says.

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> report = compare_providers(zoo.load_bundle("pet-sr-x2-srcnn"), threads=1)
    >>> {one.provider for one in report.ran} >= {"onnxruntime", "openvino", "reference"}, report.failed
    (True, ())
    """
    check_graph(bundle)
    frames = _frames(bundle)
    found = tuple(_compared(bundle, provider, target, tell) for provider, target in _all(threads))
    manifest = bundle.manifest
    gives = "findings" if manifest.analysis else "image"
    return Parity(manifest.name, manifest.version, bundle.digest, gives, frames, found)


def _frames(bundle: Bundle) -> int:
    if bundle.manifest.analysis:
        return len(bundle.golden_heads.input)
    return len(bundle.golden.input) + (len(bundle.calibration.input) if bundle.calibration else 0)


def _all(threads: int) -> Iterator[tuple[Provider, Target]]:
    for provider in PROVIDERS:
        for kind, precision in provider.offers:
            yield provider, Target(kind, precision, threads or available_processors())


def _compared(bundle: Bundle, provider: Provider, target: Target, tell: Callable[[str], None]) -> Comparison:
    tolerances = HEAD_TOLERANCES if bundle.manifest.analysis else TOLERANCES
    row: dict[str, Any] = {"device": target.device, "precision": target.precision, "provider": provider.name}
    row["tolerance"] = tolerances[target.precision]
    if reason := provider.check(target) or _missing_graph(bundle, provider.graph(target)):
        return Comparison(**row, version="", passed=None, remark=reason)
    tell(f"comparing {provider.name} {target.precision}")
    row["version"] = provider.version()
    try:
        runnable = provider.prepare(check_graph(bundle, provider.graph(target)), target)
        figures = _of_heads(bundle, runnable) if bundle.manifest.analysis else _of_image(bundle, runnable)
    except PhotopeakError as error:
        return Comparison(**row, passed=False, remark=str(error))
    return Comparison(**row, **figures, passed=figures["difference"] <= row["tolerance"])


def _missing_graph(bundle: Bundle, precision: Precision) -> str:
    """Return that a bundle has no graph of a precision, or an empty string."""
    return "the bundle holds no int8 graph" if precision == "int8" and bundle.int8 is None else ""


def _of_image(bundle: Bundle, runnable: Runnable) -> dict[str, Any]:
    found = measure_fidelity(bundle, runnable)
    return {
        "difference": found.max_error,
        "loss_db": found.loss_db,
        "count_bias": found.count_bias,
        "ssim": found.ssim,
    }


def _of_heads(bundle: Bundle, runnable: Runnable) -> dict[str, Any]:
    heads = golden_heads_run(bundle, runnable)
    difference, head = head_deviation(bundle, heads)
    change, remark = probability_change(bundle, heads), changed_finding(bundle, heads)
    return {"difference": difference, "head": head, "probability_change": change, "remark": remark}


def _row(one: Comparison, figures: int) -> tuple[str, ...]:
    """Return the cells of a comparison, with so many figures after difference and tolerance."""
    verdict = {True: "within", False: "OUTSIDE", None: "not here"}[one.passed]
    cells = [""] * (2 + figures)
    if one.difference is not None:
        where = f" ({one.head})" if one.head else ""
        cells = [f"{one.difference:.1e}{where}", f"{one.tolerance:.0e}"]
        if one.loss_db is not None:
            cells += [f"{one.loss_db:.4f}", f"{one.count_bias:.1e}", f"{one.ssim:.5f}"]
        else:
            cells.append(f"{one.probability_change:.4f}")
    last = f"{verdict}: {one.remark}" if one.remark else verdict
    return (f"{one.provider} {one.version}".strip(), one.precision, one.device, *cells, last.replace("|", "/"))
