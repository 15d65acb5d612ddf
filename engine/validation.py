"""All checks of a bundle, for ``photopeak validate`` and for whoever ships one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import domain
from .bundle import Bundle, open_bundle
from .errors import ModelError, PhotopeakError
from .graph import check_graph
from .plan import Request, available_processors, choose, fidelity_loss_db
from .providers import PROVIDERS, Provider, Target
from .session import Session

__all__ = ["TOLERANCES", "Check", "validate"]

# Largest difference between providers in float32, relative to the largest golden value: sums in another order.
TOLERANCES = {"fp32": 2e-5, "fp16": 5e-3, "bf16": 4e-2}


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
    operators = sorted({node.op_type for node in graph.graph.node})
    yield Check("graph", True, f"{len(bundle.model) / 1e6:.2f} MB, {', '.join(operators)}")
    for name, check in _CHECKS:
        yield _guarded(name, check, bundle)
    for provider in PROVIDERS:
        for kind, precision in provider.offers:
            yield _golden(bundle, provider, Target(kind, precision, available_processors()))


def _guarded(name: str, check: Callable[[Bundle], tuple[bool, str]], bundle: Bundle) -> Check:
    try:
        return Check(name, *check(bundle))
    except PhotopeakError as error:
        return Check(name, False, str(error))


def _golden(bundle: Bundle, provider: Provider, target: Target) -> Check:
    """Compare a provider's output with the golden one."""
    name = f"golden output, {provider.name} {target.precision} on {target.device}"
    if reason := provider.check(target):
        return Check(name, None, reason)
    try:
        runnable = provider.prepare(bundle, target)
        output = runnable.lane().run(bundle.golden.input)
    except PhotopeakError as error:
        return Check(name, False, str(error))
    difference = float(np.abs(output - bundle.golden.output).max() / np.abs(bundle.golden.output).max())
    detail = f"largest difference {difference:.1e} of the peak"
    if target.precision != "fp32":
        detail += f", loss {fidelity_loss_db(bundle, runnable):.4f} dB"
    return Check(name, difference <= TOLERANCES[target.precision], detail)


def _sizes(bundle: Bundle) -> tuple[bool, str]:
    """Run sizes and batches other than the golden ones."""
    plan, runnable = choose(bundle, Request(device="cpu", precision="fp32", threads=1))
    session = Session(bundle, plan, runnable)
    scale = bundle.manifest.output.scale
    for shape in ((1, 64, 64), (3, 40, 72), (1, 37, 51)):
        result = session.run(np.ones(shape, np.float32))
        if result.frames.pixels.shape != (shape[0], scale * shape[1], scale * shape[2]):
            return False, f"{shape} gave {result.frames.pixels.shape}"
    return True, "64x64, three frames of 40x72 and 37x51"


def _conservation(bundle: Bundle) -> tuple[bool, str]:
    plan, runnable = choose(bundle, Request(device="cpu", precision="fp32", threads=1))
    result = Session(bundle, plan, runnable).run(np.ascontiguousarray(bundle.golden.input[:, 0]))
    worst = float(np.abs(result.conservation.bias).max())
    bare = float(np.abs(result.conservation.model_bias).max())
    return worst < 1e-4, f"bias {worst:.1e} after the engine, {bare:.2%} of the bare model"


def _own_domain(bundle: Bundle) -> tuple[bool, str]:
    pixels = np.ascontiguousarray(bundle.golden.input[:, 0])
    verdict = domain.judge(domain.features(pixels), bundle.manifest.domain)
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
