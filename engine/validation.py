"""All checks of a bundle, for ``photopeak validate`` and for whoever ships one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import domain
from .bundle import Bundle, open_bundle
from .errors import ModelError
from .graph import CheckedGraph, check_graph
from .plan import TOLERANCES, Request, choose, deviation, fidelity_loss_db, golden_run
from .processors import available_processors
from .providers import PROVIDERS, Provider, Target
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
    for name, check in _CHECKS:
        yield _guarded(name, check, bundle)
    for provider in PROVIDERS:
        for kind, precision in provider.offers:
            yield _golden(bundle, graph, provider, Target(kind, precision, available_processors()))


def _guarded(name: str, check: Callable[[Bundle], tuple[bool, str]], bundle: Bundle) -> Check:
    try:
        return Check(name, *check(bundle))
    except Exception as error:  # noqa: BLE001 - a hostile bundle may provoke anything; a check that cannot end has failed
        return Check(name, False, str(error))


def _golden(bundle: Bundle, graph: CheckedGraph, provider: Provider, target: Target) -> Check:
    """Compare a provider's output with the golden one."""
    name = f"golden output, {provider.name} {target.precision} on {target.device}"
    if reason := provider.check(target):
        return Check(name, None, reason)

    def compare(bundle: Bundle) -> tuple[bool, str]:
        output = golden_run(bundle, provider.prepare(graph, target))
        difference = deviation(bundle, output)
        detail = f"largest difference {difference:.1e} of the peak"
        if target.precision != "fp32":
            detail += f", loss {fidelity_loss_db(bundle, output):.4f} dB"
        return difference <= TOLERANCES[target.precision], detail

    return _guarded(name, compare, bundle)


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


def _card(bundle: Bundle) -> tuple[bool, str]:
    missing = [word for word in (bundle.name, bundle.manifest.licence) if word not in bundle.card]
    return not missing, f"the card does not mention {missing}" if missing else f"{len(bundle.card.split())} words"


_CHECKS = (
    ("frame sizes", _sizes),
    ("conservation", _conservation),
    ("training domain", _own_domain),
    ("card", _card),
)
