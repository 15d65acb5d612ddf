"""Picking from a table of measured candidates, and saying why each of the others was passed over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .plan import Request, numbers
from .processors import available_processors
from .tuned import Measured

__all__ = ["Verdict", "best", "label", "pareto", "verdicts"]

# Closer medians than this are noise: what loses less and takes fewer threads is then better.
_TIE = 1.01
# Fewer calls than this are those of a candidate that was given up.
_FEW = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """One candidate and what became of it.

    Parameters
    ----------
    measured : Measured
        The candidate.
    admitted : bool
        Whether it runs here, is what was asked for, and keeps the fidelity.
    chosen : bool
        Whether it is the fastest of those.
    pareto : bool
        Whether nothing that was measured is both faster and closer to float32.
    reason : str
        Why it was chosen or not.
    """

    measured: Measured
    admitted: bool
    chosen: bool
    pareto: bool
    reason: str


def label(measured: Measured) -> str:
    """Return a candidate's name for people.

    Examples
    --------
    >>> label(Measured(provider="openvino", provider_version="1", device="cpu", precision="bf16", threads=2, batch=4))
    'openvino bf16 on cpu, 2 threads, batch 4'
    """
    words = [
        f"{measured.provider} {numbers(measured.precision, measured.throughout)} on {measured.device}",
        f"{measured.threads} thread{'s' * (measured.threads != 1)}" if measured.device == "cpu" else "",
        f"{measured.streams} streams" if measured.streams > 1 else "",
        f"batch {measured.batch}" if measured.batch > 1 else "",
        f"tiles of {measured.tile}" if measured.tile else "",
        measured.layout if measured.layout != "nchw" else "",
    ]
    return ", ".join(filter(None, words))


def best(candidates: Iterable[Measured], request: Request) -> Measured | None:
    """Return the fastest candidate that is what was asked for and keeps the fidelity, or None.

    Of candidates whose medians differ by less than 1 % the one that loses least is taken, then that with fewer threads.
    """
    admitted = [one for one in candidates if not _objection(one, request)]
    if not admitted:
        return None
    limit = _TIE * min(one.median_ms for one in admitted)
    return min(
        (one for one in admitted if one.median_ms <= limit),
        key=lambda one: (_loss(one), one.threads, one.streams, one.tile, one.median_ms),
    )


def pareto(candidates: Sequence[Measured]) -> tuple[Measured, ...]:
    """Return the measured candidates that no other beats in speed and fidelity at once, fastest first."""
    kept: list[Measured] = []
    for one in sorted((one for one in candidates if one.runs), key=lambda one: (one.median_ms, _loss(one))):
        if not kept or _loss(one) < _loss(kept[-1]):
            kept.append(one)
    return tuple(kept)


def verdicts(candidates: Sequence[Measured], request: Request) -> tuple[Verdict, ...]:
    """Return what became of each candidate: the measured ones first, by their medians.

    Parameters
    ----------
    candidates : sequence of Measured
        Those of one table.
    request : Request
        What is asked for.
    """
    chosen, front = best(candidates, request), pareto(candidates)
    found = []
    for one in sorted(candidates, key=lambda one: (one.runs == 0, one.median_ms)):
        objection = _objection(one, request)
        why = objection or (_praise(one, front) if one is chosen else _beaten(one, chosen, candidates, request))
        found.append(Verdict(one, not objection, one is chosen, any(one is other for other in front), why))
    return tuple(found)


def _loss(measured: Measured) -> float:
    """Return what a candidate costs besides time; of models of findings it is the change of a probability."""
    return measured.loss_db + measured.probability_change


def _objection(measured: Measured, request: Request) -> str:
    """Return why a candidate may not be taken, or an empty string."""
    if measured.problem:
        return measured.problem
    if not measured.runs:
        return "not measured"
    wishes = (
        ("device", measured.device.removesuffix(":0")),
        ("precision", measured.precision),
        ("provider", measured.provider),
    )
    for name, value in wishes:
        wish = getattr(request, name)
        if wish.removesuffix(":0") not in ("auto", value):
            return f"not asked for: {name} {wish}"
    # On a GPU they only copy frames: any number will do.
    if request.threads and measured.threads != request.threads and measured.device == "cpu":
        return f"not asked for: {request.threads} threads"
    if not request.threads and measured.threads > available_processors():
        return f"more threads than the {available_processors()} processors"
    if not measured.loss_db <= request.max_loss_db:
        return f"loses {measured.loss_db:.3f} dB, {request.max_loss_db:g} are admitted"
    return ""


def _praise(chosen: Measured, front: Sequence[Measured]) -> str:
    if chosen.precision == "fp32" and not chosen.tile:
        return "chosen: the fastest that is admitted"
    exact = [one for one in front if _loss(one) == 0 and one is not chosen]
    gain = f", {exact[0].median_ms / chosen.median_ms:.2f} times as fast as the fastest exact one" if exact else ""
    return f"chosen: the fastest that is admitted{gain}"


def _beaten(measured: Measured, chosen: Measured | None, candidates: Sequence[Measured], request: Request) -> str:
    """Return what is faster than an admitted candidate: one that loses no more, if there is any."""
    assert chosen is not None  # the candidate itself is admitted
    rivals = [one for one in candidates if not _objection(one, request) and _loss(one) <= _loss(measured)]
    rival = min(rivals, key=lambda one: one.median_ms)
    dominated = rival.median_ms < measured.median_ms
    if not dominated:
        rival = chosen
    ratio = measured.median_ms / rival.median_ms
    if ratio <= _TIE:
        return f"as fast as {label(rival)}, which loses no more" if dominated else f"no faster than {label(rival)}"
    rough = "; given up early" if measured.runs < _FEW else ""
    trade = "" if dominated else ", and loses less"
    return f"{ratio:.2f} times the time of {label(rival)}{trade}{rough}"
