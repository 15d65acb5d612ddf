"""Choosing provider, precision, threads, batch and tile."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Literal

from .bundle import INT8, Bundle
from .errors import DeviceError, ModelError, PhotopeakError, UsageError
from .fidelity import deviation, golden_run, measure_fidelity
from .graph import CheckedGraph, check_graph
from .head_fidelity import HEAD_TOLERANCES, changed_finding, golden_heads_run, head_deviation, probability_change
from .matrix import MatrixSize
from .processors import available_processors
from .providers import PRECISIONS, PROVIDERS, Precision, Provider, Runnable, Target, find

__all__ = [
    "TOLERANCES",
    "Loss",
    "Plan",
    "Request",
    "Take",
    "choose",
    "loss_of",
    "numbers",
    "prepared",
]

# A few hundred kilobytes of activations stay in the caches of a core; larger batches only add latency on a CPU.
_CPU_BATCH_PIXELS = 1 << 16
_CUDA_BATCH_PIXELS = 1 << 24
_LARGEST_UNTILED_PIXELS = 1 << 22
_TILE = 1024
# Largest difference from the golden output that a precision explains, relative to the peak; fp32: sums in another order.
TOLERANCES: dict[Precision, float] = {"fp32": 2e-5, "fp16": 5e-3, "bf16": 4e-2, "int8": 1e-1}
# What ``auto`` tries, in this order; the first that runs here and keeps the fidelity wins. A GPU comes before the CPU, less
# exact arithmetic before more exact, a library that chooses kernels by measuring before one that does not.
_AUTO_CUDA: tuple[tuple[str, Precision], ...] = (
    ("tensorrt", "fp16"),
    ("tensorrt-rtx", "fp16"),
    ("onnxruntime-tensorrt", "fp16"),
    ("onnxruntime", "fp16"),
    ("onnxruntime", "fp32"),
)
_AUTO_CPU: tuple[tuple[str, Precision], ...] = (
    ("openvino", "int8"),
    ("openvino", "bf16"),
    ("openvino", "fp16"),
    ("openvino", "fp32"),
    ("onnxruntime", "int8"),
    ("onnxruntime", "fp32"),
)
# Graphs of int8 lose more than this, those that ship 0.06 to 0.08 dB: for who admits no more, trying costs time in vain.
_LEAST_LOSS_OF_INT8_DB = 0.05
_MANY = 4


@dataclass(frozen=True, slots=True)
class Request:
    """What the caller wants of a plan; ``auto`` leaves the choice to Photopeak.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    precision : str
        ``auto``, ``fp32``, ``bf16``, ``fp16`` or ``int8``.
    provider : str
        ``auto`` or the name of a provider.
    threads : int
        Threads of one run; 0 stands for as many as measured fastest, or all that this process may use.
    max_loss_db : float
        Largest loss of PSNR against float32 that is admitted [dB]; of models that give images.
    """

    device: str = "auto"
    precision: str = "auto"
    provider: str = "auto"
    threads: int = 0
    max_loss_db: float = 0.05

    def __post_init__(self) -> None:
        if self.device != "auto":
            Target(self.device)
        if self.precision not in ("auto", *PRECISIONS):
            raise UsageError(f"{self.precision!r} is not a precision; use auto, {', '.join(PRECISIONS)}.")
        if self.provider != "auto":
            find(self.provider)
        if self.threads < 0:
            raise UsageError(f"threads={self.threads} makes no sense; use 1 or more, or 0 for all processors.")
        if not self.max_loss_db >= 0:
            raise UsageError(f"max_loss_db={self.max_loss_db} makes no sense; use 0 or more, such as 0.05.")


@dataclass(frozen=True, slots=True)
class Loss:
    """How far a prepared graph is from float32, on golden and calibration frames.

    Parameters
    ----------
    decibels : float
        Loss of PSNR [dB]; of models that give images.
    probability : float
        Largest change of a calibrated probability [1]; of models of findings.
    words : str
        What a plan's reason says of it.
    max_error, count_bias, ssim : float
        As in :class:`~photopeak.engine.fidelity.Fidelity`.
    """

    decibels: float = 0.0
    probability: float = 0.0
    words: str = ""
    max_error: float = 0.0
    count_bias: float = 0.0
    ssim: float = 1.0


Take = Callable[[Provider, Target], tuple[Runnable, Loss]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a bundle runs on this machine.

    Parameters
    ----------
    provider, provider_version : str
        Library and its version.
    device, precision, threads
        As in :class:`~photopeak.engine.providers.Target`.
    loss_db : float
        Measured loss of PSNR on the golden frames against float32 [dB]; 0 for float32 itself, and for models of findings.
    reason : str
        Why this plan, with what was passed over and why.
    batch : int
        Frames for each run of the graph.
    tile : int
        Edge of the tiles that larger frames are cut into [px]; 0: whole frames.
    probability_change : float
        Of models of findings: largest difference of a calibrated probability on the golden frames from that of float32 [1];
        0 for float32 itself, and for models that give images.
    streams, layout, throughout
        As in :class:`~photopeak.engine.providers.Target`.
    tuned : bool
        Whether it was measured as the fastest for this matrix; otherwise it is a guess.
    median_ms, p99_ms : float
        What a call took when it was measured, staging and finishing included [ms]; 0 for a guess.
    """

    provider: str
    provider_version: str
    device: str
    precision: Precision
    threads: int
    loss_db: float
    reason: str
    batch: int = 1
    tile: int = 0
    probability_change: float = 0.0
    streams: int = 1
    layout: Literal["nchw", "nhwc"] = "nchw"
    tuned: bool = False
    median_ms: float = 0.0
    p99_ms: float = 0.0
    throughout: bool = False

    @property
    def arithmetic(self) -> str:
        """What decides on the values of a result, in words, and how far they are from float32.

        Examples
        --------
        >>> Plan("openvino", "1", "cpu", "bf16", 2, 0.0471, "", tile=512).arithmetic
        'openvino bf16 on cpu in tiles of 512, 0.047 dB from fp32'
        """
        tiles = f" in tiles of {self.tile}" if self.tile else ""
        loss = f", {self.loss_db:.3f} dB from fp32" if self.loss_db else ""
        change = f", probabilities within {self.probability_change:.4f} of fp32" if self.probability_change else ""
        return f"{self.provider} {self.numbers} on {self.device}{tiles}{loss}{change}"

    @property
    def numbers(self) -> str:
        """What it computes in, in words.

        Examples
        --------
        >>> Plan("openvino", "1", "cpu", "int8", 2, 0.0884, "", throughout=True).numbers
        'int8 with bf16 throughout'
        """
        return numbers(self.precision, self.throughout)

    def for_matrix(self, matrix: MatrixSize) -> "Plan":
        """Return a plan that was not measured with batch and tile that suit frames of this size."""
        if matrix.pixels > _LARGEST_UNTILED_PIXELS:
            return replace(self, batch=1, tile=_TILE)
        pixels = _CUDA_BATCH_PIXELS if self.device.startswith("cuda") else _CPU_BATCH_PIXELS
        return replace(self, batch=max(1, pixels // matrix.pixels), tile=0)


def numbers(precision: Precision, throughout: bool) -> str:
    """Return what a graph computes in, in words."""
    between = " with bf16" if precision == "int8" else ""
    return f"{precision}{between} throughout" if throughout else precision


def choose(bundle: Bundle, request: Request, take: Take | None = None) -> tuple[Plan, Runnable]:
    """Return the first plan that runs here and keeps the fidelity, with the graph prepared for it; nothing is measured.

    Parameters
    ----------
    bundle : Bundle
        The model.
    request : Request
        What the caller wants; what it names is never replaced by something else.
    take : callable, optional
        Returns the graph prepared for a target and what that loses, instead of :func:`prepared`.

    Raises
    ------
    DeviceError
        If no candidate runs here; the message gives each reason.
    ModelError
        If candidates run but give another output than the bundle's golden one, lose more than ``request.max_loss_db``, or
        find something else: probabilities that differ from those of float32 by more than 0.01, or other lesions.
    """
    threads = request.threads or available_processors()
    if take is None:
        take = partial(prepared, bundle, check_graph(bundle), max_loss_db=request.max_loss_db)
    passed_over: list[tuple[Provider, Target, str]] = []
    kinds: list[type[PhotopeakError]] = []
    for provider, target in _candidates(bundle, request, threads):
        try:
            runnable, loss = take(provider, target)
        except PhotopeakError as error:
            passed_over.append((provider, target, str(error).rstrip(".")))
            kinds.append(type(error))
            continue
        label = f"{provider.name} {target.precision} on {target.device}"
        why = "; ".join([_why(request, label) + loss.words, *filter(None, [provider.remark]), *_reasons(passed_over)])
        plan = Plan(provider.name, provider.version(), target.device, target.precision, threads, loss.decibels, why)
        return replace(plan, probability_change=loss.probability), runnable
    kind = ModelError if ModelError in kinds else DeviceError
    reasons = "; ".join(_reasons(passed_over))
    raise kind(f"{bundle.name} cannot run as asked: {reasons}. 'photopeak doctor' shows what can.")


def prepared(
    bundle: Bundle, graph: CheckedGraph, provider: Provider, target: Target, max_loss_db: float
) -> tuple[Runnable, Loss]:
    """Return the graph prepared for a target and its loss, once it gave the golden output here.

    Raises
    ------
    DeviceError
        If it cannot run here.
    ModelError
        If it gives another output than it should, or loses too much.
    """
    if reason := provider.check(target):
        raise DeviceError(reason)
    wanted = provider.graph(target)
    runnable = provider.prepare(graph if wanted == "fp32" else check_graph(bundle, wanted), target)
    loss = loss_of(bundle, runnable, target.precision)
    if not loss.decibels <= max_loss_db:
        raise ModelError(f"loses {loss.decibels:.3f} dB against fp32, {max_loss_db:g} dB are admitted")
    return runnable, loss


def loss_of(bundle: Bundle, runnable: Runnable, precision: Precision, *, thorough: bool = False) -> Loss:
    """Return how far a prepared graph is from float32.

    Parameters
    ----------
    bundle : Bundle
        The model.
    runnable : Runnable
        Its graph, prepared.
    precision : Precision
        What it computes in.
    thorough : bool
        Whether to measure float32 itself and structural similarity too, which takes longer.

    Raises
    ------
    ModelError
        If it does not run, or gives another output than its precision explains.
    """
    try:
        if bundle.manifest.analysis:
            return _loss_of_findings(bundle, runnable, precision)
        return _loss_of_image(bundle, runnable, precision, thorough)
    except PhotopeakError:
        raise
    except Exception as error:  # each library has errors of its own
        raise ModelError(f"it fails on the golden input ({' '.join(str(error).split())[:200]})") from error


def _loss_of_image(bundle: Bundle, runnable: Runnable, precision: Precision, thorough: bool) -> Loss:
    if precision == "fp32" and not thorough:
        loss = Loss(max_error=deviation(bundle, golden_run(bundle, runnable)))
    else:
        found = measure_fidelity(bundle, runnable, similarity=thorough)
        decibels = 0.0 if precision == "fp32" else found.loss_db
        loss = Loss(decibels, max_error=found.max_error, count_bias=found.count_bias, ssim=found.ssim)
    if not loss.max_error <= TOLERANCES[precision]:
        raise ModelError(f"its output differs from the golden one by {loss.max_error:.1e} of the peak")
    return loss


def _loss_of_findings(bundle: Bundle, runnable: Runnable, precision: Precision) -> Loss:
    heads = golden_heads_run(bundle, runnable)
    difference, name = head_deviation(bundle, heads)
    if not difference <= HEAD_TOLERANCES[precision]:
        raise ModelError(f"its head {name!r} differs from the golden one by {difference:.1e} of the peak")
    if precision == "fp32":
        return Loss(max_error=difference)
    if problem := changed_finding(bundle, heads):
        raise ModelError(problem)
    change = probability_change(bundle, heads)
    words = f", which changes probabilities by at most {change:.4f} and no finding"
    return Loss(probability=change, words=words, max_error=difference)


def _candidates(bundle: Bundle, request: Request, threads: int) -> list[tuple[Provider, Target]]:
    """Return what to try: everything that the request leaves open, in the order of preference."""
    pairs: list[tuple[str, str, Precision]] = []
    if request.device == "auto" or request.device.startswith("cuda"):
        device = "cuda" if request.device == "auto" else request.device
        pairs += [(provider, device, precision) for provider, precision in _AUTO_CUDA]
    if not request.device.startswith("cuda"):
        pairs += [(provider, "cpu", precision) for provider, precision in _AUTO_CPU]
    if request.precision == "auto" and not _bears_int8(bundle, request):
        pairs = [pair for pair in pairs if pair[2] != "int8"]
    if request.provider != "auto" or request.precision != "auto":
        pairs = _narrowed(pairs, request)
    return [(find(provider), Target(device, precision, threads)) for provider, device, precision in pairs]


def _bears_int8(bundle: Bundle, request: Request) -> bool:
    """Return whether the bundle's graph of int8, if it has one, may keep the fidelity that is asked for."""
    lossy = request.max_loss_db > _LEAST_LOSS_OF_INT8_DB or bundle.manifest.analysis is not None
    return lossy and INT8 in bundle.contents


def _narrowed(pairs: list[tuple[str, str, Precision]], request: Request) -> list[tuple[str, str, Precision]]:
    """Keep what the request names; a named provider is tried with what is not in the lists too."""
    precisions = [p for p in PRECISIONS if request.precision in ("auto", p)]
    devices = list(dict.fromkeys(device for _, device, _ in pairs)) or [request.device]
    if request.provider != "auto":
        names = [request.provider]
    else:
        names = [provider.name for provider in PROVIDERS if provider.name != "reference"]
    everything = [(name, device, precision) for device in devices for name in names for precision in precisions]
    preferred = [pair for pair in pairs if pair in everything]
    return preferred + [pair for pair in everything if pair not in preferred]


def _reasons(passed_over: list[tuple[Provider, Target, str]]) -> list[str]:
    """Return why each candidate was passed over; those of one device with the same reason share it."""
    told = []
    for (device, reason), found in groupby(passed_over, key=lambda one: (one[1].device, one[2])):
        group = list(found)
        names = ", ".join(f"{provider.name} {target.precision}" for provider, target, _ in group)
        # What keeps so many away is not theirs but the device's, such as a driver that is not there.
        everything = len(group) >= _MANY and len(group) == sum(one[1].device == device for one in passed_over)
        told.append(f"{device}: {reason}" if everything else f"{names} on {device}: {reason}")
    return told


def _why(request: Request, label: str) -> str:
    asked = [request.device, request.precision, request.provider]
    return f"{label}, as asked" if "auto" not in asked else f"{label}, the first choice that runs here"
