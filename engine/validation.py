"""All checks of a bundle, for ``photopeak validate`` and for whoever ships one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from . import domain
from .bundle import CALIBRATION, INT8, Bundle, open_bundle
from .errors import ModelError
from .fidelity import deviation, fidelity_loss_db, golden_run, measure_fidelity
from .golden import head_shapes, problem_of_head
from .graph import check_graph
from .head_fidelity import HEAD_TOLERANCES, changed_finding, golden_heads_run, head_deviation, probability_change
from .plan import TOLERANCES, Request, choose
from .processors import available_processors
from .providers import PROVIDERS, Provider, Runnable, Target
from .result import DomainVerdict
from .session import Session

__all__ = ["Check", "validate"]


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check.

    Parameters
    ----------
    name : str
        What was checked.
    passed : bool or None
        None where the machine cannot run the check.
    detail : str
        Figures, or what is wrong.
    """

    name: str
    passed: bool | None
    detail: str


def validate(folder: Path) -> Iterator[Check]:
    """Yield every check of a bundle; the first failures of manifest and graph end it.

    Parameters
    ----------
    folder : Path
        The bundle.

    Yields
    ------
    Check
        In order; a bundle is good when none has ``passed`` False.

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> all(check.passed is not False for check in validate(zoo.locate("scint-sr-x2")))
    True
    """
    try:
        bundle = open_bundle(folder)
    except ModelError as error:
        yield Check("manifest and digests", False, str(error))
        return
    yield Check("manifest and digests", True, f"{bundle.name} {bundle.manifest.version}, {bundle.digest[:12]}")
    try:
        graph = check_graph(bundle)
    except ModelError as error:
        yield Check("graph", False, str(error))
        return
    yield Check("graph", True, f"{len(bundle.model) / 1e6:.2f} MB, {', '.join(graph.operators)}")
    if INT8 in bundle.contents:
        yield _guarded("graph of int8", _quantised, bundle)
    if CALIBRATION in bundle.contents:
        yield _guarded("calibration frames", _calibration, bundle)
    for name, check in _CHECKS_OF_FINDINGS if bundle.manifest.analysis else _CHECKS_OF_IMAGES:
        yield _guarded(name, check, bundle)
    for provider in PROVIDERS:
        for kind, precision in provider.offers:
            yield _golden(bundle, provider, Target(kind, precision, available_processors()))


def _guarded(name: str, check: Callable[[Bundle], tuple[bool, str]], bundle: Bundle) -> Check:
    try:
        return Check(name, *check(bundle))
    except Exception as error:  # noqa: BLE001 - a hostile bundle may provoke anything; a check that cannot end has failed
        return Check(name, False, str(error))


def _golden(bundle: Bundle, provider: Provider, target: Target) -> Check:
    """Compare what a provider gives with what is golden."""
    what, compare = ("heads", _compare_heads) if bundle.manifest.analysis else ("output", _compare_images)
    name = f"golden {what}, {provider.name} {target.precision} on {target.device}"
    if reason := provider.check(target):
        return Check(name, None, reason)
    if target.precision == "int8" and INT8 not in bundle.contents:
        return Check(name, None, "the bundle holds no schemes of int8")
    return _guarded(name, partial(compare, provider=provider, target=target), bundle)


def _compare_images(bundle: Bundle, provider: Provider, target: Target) -> tuple[bool, str]:
    output = golden_run(bundle, provider.prepare(check_graph(bundle, provider.graph(target)), target))
    difference = deviation(bundle, output)
    detail = f"largest difference {difference:.1e} of the peak"
    if target.precision != "fp32":
        detail += f", loss {fidelity_loss_db(bundle, output):.4f} dB"
    return difference <= TOLERANCES[target.precision], detail


def _compare_heads(bundle: Bundle, provider: Provider, target: Target) -> tuple[bool, str]:
    heads = golden_heads_run(bundle, provider.prepare(check_graph(bundle, provider.graph(target)), target))
    difference, head = head_deviation(bundle, heads)
    detail = f"largest difference {difference:.1e} of the peak, of the head {head!r}"
    if target.precision != "fp32":
        # A precision that finds something else is never chosen, which is no fault of the bundle.
        detail += (
            f"; {changed_finding(bundle, heads) or f'probabilities change by {probability_change(bundle, heads):.4f}'}"
        )
    return difference <= HEAD_TOLERANCES[target.precision], detail


def _quantised(bundle: Bundle) -> tuple[bool, str]:
    graph = check_graph(bundle, "int8")
    return True, f"{len(graph.data) / 1e6:.2f} MB, {', '.join(graph.operators)}"


def _calibration(bundle: Bundle) -> tuple[bool, str]:
    """Compare float32 with the outputs that are kept of the frames that fidelity is measured on."""
    frames = bundle.calibration
    count = 0 if frames is None else len(frames.input)
    _, runnable = choose(bundle, Request(device="cpu", precision="fp32", threads=1))
    found = measure_fidelity(bundle, runnable, similarity=False)
    return found.max_error <= TOLERANCES[
        "fp32"
    ], f"{count} frames, with the golden ones a largest difference of {found.max_error:.1e} of the peak"


def _sizes(bundle: Bundle) -> tuple[bool, str]:
    """Run sizes and batches other than the golden ones."""
    plan, runnable = choose(bundle, Request(device="cpu", precision="fp32", threads=1))
    session = Session(bundle, plan, runnable)
    scale = bundle.manifest.image_output.scale
    for shape in ((1, 64, 64), (3, 40, 72), (1, 37, 51)):
        result = session.run(np.ones(shape, np.float32))
        if result.frames.pixels.shape != (shape[0], scale * shape[1], scale * shape[2]):
            return False, f"{shape} gave {result.frames.pixels.shape}"
    return True, "64x64, three frames of 40x72 and 37x51"


def _conservation(bundle: Bundle) -> tuple[bool, str]:
    plan, runnable = choose(bundle, Request(device="cpu", precision="fp32", threads=1))
    result = Session(bundle, plan, runnable).run(np.ascontiguousarray(bundle.golden.input[:, 0]))
    kept = result.conservation
    if kept.kind == "none":
        return True, f"nothing is promised; means change by up to {np.abs(kept.after - kept.before).max():.2g}"
    worst, bare = (float(np.abs(bias).max()) for bias in (kept.bias, kept.model_bias))
    return worst < 1e-4, f"bias {worst:.1e} after the engine, {bare:.2%} of the bare model"


def _own_domain(bundle: Bundle) -> tuple[bool, str]:
    pixels = np.ascontiguousarray(bundle.golden.input[:, 0])
    verdict = domain.judge_pixels(pixels, bundle.manifest.input, bundle.manifest.domain)
    return verdict.verdict != "outside", f"golden inputs are {verdict.verdict}"


def _head_sizes(bundle: Bundle) -> tuple[bool, str]:
    """Run sizes and batches other than the golden ones."""
    _, runnable = choose(bundle, Request(device="cpu", precision="fp32", threads=1))
    taken = bundle.manifest.input
    side, step = taken.grid.side if taken.grid else None, taken.multiple
    sizes = [(side, side)] if side else [(8 * step, 8 * step), (5 * step, 9 * step)]
    for rows, columns in sizes:
        if problem := _problem_at(bundle, runnable, rows, columns):
            return False, problem
    return True, f"one and three frames of {' and '.join(f'{rows}x{columns}' for rows, columns in sizes)}"


def _problem_at(bundle: Bundle, runnable: Runnable, rows: int, columns: int) -> str:
    """Run three frames of a size, one of them empty; no frame may know of its neighbours."""
    golden = bundle.golden_heads.input
    tiles = -(-rows // golden.shape[2]), -(-columns // golden.shape[3])
    frame = np.tile(golden[0], (1, *tiles))[:, :rows, :columns]
    frames = np.ascontiguousarray(np.stack([frame, frame[..., ::-1], np.zeros_like(frame)]))
    together, alone = runnable.heads(frames), runnable.heads(frames[1:2])
    for name, wanted in head_shapes(bundle.manifest, frames.shape).items():
        if problem := problem_of_head(name, wanted, together[name].shape, frames.shape):
            return problem
        if not np.isfinite(together[name]).all():
            return f"the head {name!r} holds NaN or infinite values for {rows}x{columns} px"
        difference = float(np.abs(alone[name] - together[name][1:2]).max())
        peak = float(max(np.abs(alone[name]).max(), np.abs(together[name]).max()))
        if not difference <= HEAD_TOLERANCES["fp32"] * peak:
            return f"the head {name!r} of a frame changes by {difference:.1e} with the frames beside it"
    return ""


def _own_training(bundle: Bundle) -> tuple[bool, str]:
    from .analysis.verdict import judge

    analysis, golden = bundle.manifest.analysis, bundle.golden_heads
    if analysis is None:
        return False, "there is no table analysis"
    found: list[DomainVerdict] = []
    for frame, embedding in zip(golden.input, golden.heads["embedding"], strict=True):
        names = bundle.manifest.input.channels or ("",)
        channels = {name: np.ascontiguousarray(frame[i : i + 1]) for i, name in enumerate(names) if frame[i].any()}
        found += judge(channels, embedding[np.newaxis], bundle.manifest, analysis.embedding)
    outside = [number for number, verdict in enumerate(found, 1) if verdict.verdict == "outside"]
    if outside:
        return False, f"golden frames {outside} of {len(found)} are outside: {'; '.join(found[outside[0] - 1].reasons)}"
    return True, f"{len(found)} golden frames are {' or '.join(sorted({verdict.verdict for verdict in found}))}"


def _card(bundle: Bundle) -> tuple[bool, str]:
    missing = [word for word in (bundle.name, bundle.manifest.licence) if word not in bundle.card]
    return not missing, f"the card does not mention {missing}" if missing else f"{len(bundle.card.split())} words"


_CHECKS_OF_IMAGES = (
    ("frame sizes", _sizes),
    ("conservation", _conservation),
    ("training domain", _own_domain),
    ("card", _card),
)
_CHECKS_OF_FINDINGS = (("frame sizes", _head_sizes), ("training domain", _own_training), ("card", _card))
