"""Whether one run is slower than an earlier one: a statistical test for each figure, and none of them a threshold on noise.

The logarithm of each turn's median is taken relative to the peers that took turns with it, whose code has not changed: what
slowed the whole machine cancels. The difference of its medians between the runs has the uncertainty within each run, by
bootstrap over blocks of turns, and one between runs, as memory and threads fall into place anew each time. The second
is what peers show, each against the others, beyond the first. A t-test against no slowdown, with Holm's correction for the
number of figures, decides.

References
----------
* T. Kalibera, R. Jones, Rigorous benchmarking in reasonable time, ISMM 2013.
* B. Efron, Large-scale simultaneous hypothesis testing: the choice of a null hypothesis, JASA 99, 2004.
* S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979.
* D. N. Politis, J. P. Romano, A circular block-resampling procedure for stationary data, 1992.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.errors import UsageError
from .document import errors_told, new_document, read_document
from .tables import Table, number, text_of

__all__ = ["Change", "Verdict", "change_table", "compare_documents", "holm", "require_comparable", "t_survival"]

Floats = NDArray[np.float64]
RESAMPLES = 200
SIGNIFICANCE = 0.05
# Share of the processors that others may take before it is told.
BUSY = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """A figure in two runs.

    Parameters
    ----------
    name : str
        The benchmark.
    earlier_s, later_s : float
        Medians as they were measured [s].
    ratio, low, high : float
        Later / earlier with what slowed the machine taken out, and its 95 % interval [1].
    p : float
        Probability of such a slowdown or a greater one if nothing had changed, corrected for the number of figures.
    p_faster : float
        The same of a speed-up.
    """

    name: str
    earlier_s: float
    later_s: float
    ratio: float
    low: float
    high: float
    p: float
    p_faster: float

    @property
    def slower(self) -> bool:
        """Whether it has become slower significantly."""
        return self.p < SIGNIFICANCE

    @property
    def faster(self) -> bool:
        """Whether it has become faster significantly."""
        return self.p_faster < SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class Verdict:
    """All figures that two runs share.

    Parameters
    ----------
    changes : tuple of Change
        In the order of the later run.
    between_runs : float
        Standard deviation between runs of what has not changed, as a share of the time [1].
    nulls : int
        Figures of peers that it comes from.
    drift : float
        Later / earlier of the peers' median: how much the machine has slowed [1].
    notes : tuple of str
        What else to know.
    """

    changes: tuple[Change, ...]
    between_runs: float
    nulls: int
    drift: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Shift:
    """A difference of logarithms between runs, with its standard error within the runs."""

    value: float
    error: float


def compare_documents(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Verdict:
    """Return how each figure of ours has changed.

    Parameters
    ----------
    earlier, later : mapping
        Documents of :mod:`.document`.

    Raises
    ------
    UsageError
        If they are of different machines or thread counts, or share no figure that peers took turns with.
    """
    _require_same_conditions(earlier, later)
    before, after = _by_case(earlier), _by_case(later)
    ours: list[tuple[dict[str, Any], dict[str, Any], _Shift]] = []
    nulls: list[_Shift] = []
    drifts: list[float] = []
    cases = 0
    for case in [case for case in after if case in before]:
        old, new = before[case], after[case]
        shared = [name for name in new if name in old]
        peers = [name for name in shared if new[name]["extra_info"].get("peer")]
        drifts += [_medians(new[name]) - _medians(old[name]) for name in peers]
        cases += len(peers) > 1
        for name in shared:
            others = [peer for peer in peers if peer != name]
            if not others:
                continue
            shift = _shift(name, others, old, new)
            if name in peers:
                nulls.append(shift)
            else:
                ours.append((old[name], new[name], shift))
    if not ours:
        raise UsageError(
            "the runs share no figure that a peer took turns with; run the same suites, models and matrices."
        )
    return _verdict(ours, nulls, drifts, cases, _notes(earlier, later, len(nulls)))


def require_comparable(earlier: Mapping[str, Any], threads: int) -> None:
    """Refuse an earlier run that one with so many threads on this machine cannot be compared with, before it is measured.

    Parameters
    ----------
    earlier : mapping
        Document of :mod:`.document`.
    threads : int
        Threads of the run to come.

    Raises
    ------
    UsageError
        If it is of another processor or number of threads.
    """
    coming = new_document() | {"benchmarks": [{"extra_info": {"threads": threads}}]}
    _require_same_conditions(earlier, coming)


def change_table(verdict: Verdict) -> Table:
    """Return all figures, those that changed significantly first."""
    ordered = sorted(verdict.changes, key=lambda one: (not one.slower, not one.faster))
    rows = []
    for one in ordered:
        word = "slower" if one.slower else "faster" if one.faster else ""
        times = (number(1e3 * one.earlier_s), number(1e3 * one.later_s))
        interval = f"{one.ratio:.3f} [{one.low:.3f}, {one.high:.3f}]"
        rows.append((one.name, *times, interval, f"{min(one.p, one.p_faster):.2g}", word))
    title = (
        f"Later / earlier; the machine's drift, x{verdict.drift:.3f} by the peers, is taken out; unchanged code differs by "
        f"{100 * verdict.between_runs:.1f} % between runs ({verdict.nulls} figures of peers). {' '.join(verdict.notes)}"
    )
    columns = ("figure", "earlier [ms]", "later [ms]", "ratio [95 % interval]", "p (Holm)", "")
    return Table(title.strip(), columns, tuple(rows))


def t_survival(t: float, degrees: int) -> float:
    """Return the probability that Student's t exceeds a value.

    Examples
    --------
    >>> round(t_survival(2.0, 1), 6)  # 1/2 - atan(2) / pi
    0.147584
    """
    # With t = sqrt(degrees) tan(angle) the density is that power of the cosine.
    angle = np.arctan(t / np.sqrt(degrees))
    tail = _cosine_power(np.linspace(angle, np.pi / 2, 20001), degrees - 1)
    return min(1.0, tail / _cosine_power(np.linspace(-np.pi / 2, np.pi / 2, 40001), degrees - 1))


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values corrected so that any false alarm among all is as rare as one alone.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    found, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(np.argsort(p, kind="stable")):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        found[index] = highest
    return found


def _verdict(
    ours: list[tuple[dict[str, Any], dict[str, Any], _Shift]],
    nulls: list[_Shift],
    drifts: list[float],
    cases: int,
    notes: tuple[str, ...],
) -> Verdict:
    variance, degrees = _between_runs(nulls, cases)
    scores = [shift.value / np.sqrt(shift.error**2 + variance) for _, _, shift in ours]
    slower = holm([t_survival(score, degrees) for score in scores])
    faster = holm([t_survival(-score, degrees) for score in scores])
    width = _t_quantile(0.975, degrees)
    changes = []
    for (old, new, shift), p, p_faster in zip(ours, slower, faster, strict=True):
        half = width * np.sqrt(shift.error**2 + variance)
        ratio, low, high = (float(np.exp(value)) for value in (shift.value, shift.value - half, shift.value + half))
        medians = old["stats"]["median"], new["stats"]["median"]
        changes.append(Change(new["name"], medians[0], medians[1], ratio, low, high, p, p_faster))
    return Verdict(tuple(changes), float(np.sqrt(variance)), len(nulls), float(np.exp(np.median(drifts))), notes)


def _between_runs(nulls: Sequence[_Shift], cases: int) -> tuple[float, int]:
    """Return the variance between runs of what has not changed, beyond that within runs, and its degrees of freedom.

    The peers of a case, each against the mean of the others, have one degree of freedom less than there are.
    """
    if len(nulls) < 2:
        return 0.0, 10
    total = float(np.mean([shift.value**2 for shift in nulls]))
    within = float(np.mean([shift.error**2 for shift in nulls]))
    return max(0.0, total - within), max(1, len(nulls) - cases)


def _shift(name: str, others: Sequence[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> _Shift:
    """Return how a figure changed relative to others of its case."""
    (first, first_error), (second, second_error) = (_relative(name, others, run) for run in (old, new))
    return _Shift(second - first, float(np.hypot(first_error, second_error)))


def _relative(name: str, others: Sequence[str], run: Mapping[str, Any]) -> tuple[float, float]:
    """Return the median logarithm of a figure relative to the mean of others, round by round, and its standard error."""
    own, peers = _turns(run[name]), [_turns(run[other]) for other in others]
    rounds = min(map(len, (own, *peers)))
    relative = own[:rounds] - np.mean([peer[:rounds] for peer in peers], axis=0)
    if rounds < 3:
        return float(np.median(relative)), float(np.inf)
    block = max(1, round(rounds ** (1 / 3)))
    generator = np.random.default_rng(0)  # the same runs must give the same verdict
    starts = generator.integers(rounds, size=(RESAMPLES, -(-rounds // block), 1))
    drawn = ((starts + np.arange(block)) % rounds).reshape(RESAMPLES, -1)[:, :rounds]
    return float(np.median(relative)), float(np.median(relative[drawn], axis=1).std())


def _turns(benchmark: Mapping[str, Any]) -> Floats:
    """Return the logarithm of each turn's median; where nothing is said of turns, each call is one."""
    data = np.asarray(benchmark["stats"]["data"], float)
    lengths = benchmark["extra_info"].get("turns") or [1] * len(data)
    parts = np.split(data, np.cumsum(lengths)[:-1])
    return np.log([np.median(part) for part in parts])


def _medians(benchmark: Mapping[str, Any]) -> float:
    return float(np.log(benchmark["stats"]["median"]))


def _by_case(document: Mapping[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Return the benchmarks of contestants that took turns, by what they took turns at."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for benchmark in document["benchmarks"]:
        extra = benchmark["extra_info"]
        if extra.get("contestant"):
            case = (benchmark["group"], str(extra.get("model", extra["case"])), str(extra["matrix"]))
            found.setdefault(case, {})[benchmark["fullname"]] = benchmark
    return found


def _require_same_conditions(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> None:
    """Refuse runs whose times cannot be compared."""
    for what, of in (("processor", _processor), ("number of threads", _threads)):
        if of(earlier) != of(later):
            raise UsageError(
                f"the {what} differs ({of(earlier)}, now {of(later)}); compare runs of the same conditions."
            )


def _processor(document: Mapping[str, Any]) -> str:
    cpu = document["machine_info"]["cpu"]
    return f"{cpu.get('brand_raw', 'unknown')}, {cpu.get('count', 0)} cores"


def _threads(document: Mapping[str, Any]) -> str:
    return ", ".join(sorted({str(one["extra_info"].get("threads")) for one in document["benchmarks"]}))


def _notes(earlier: Mapping[str, Any], later: Mapping[str, Any], nulls: int) -> tuple[str, ...]:
    """Return what weakens the comparison."""
    old, new = (document["benchmarks"][0]["extra_info"].get("versions", {}) for document in (earlier, later))
    changed = [
        f"{name} {old.get(name, 'none')} -> {new.get(name, 'none')}" for name in new if old.get(name) != new[name]
    ]
    notes = [f"Versions differ: {', '.join(changed)}."] if changed else []
    for when, document in (("earlier", earlier), ("later", later)):
        busy = max((one["extra_info"].get("others_share", 0.0) for one in document["benchmarks"]), default=0.0)
        if busy > BUSY:
            notes.append(f"Other programs took up to {100 * busy:.0f} % of the processors in the {when} run.")
    if nulls < 2:
        notes.append(
            "Too few peers took turns to know how much unchanged code differs from run to run: it counts as nothing."
        )
    return tuple(notes)


def _cosine_power(angles: Floats, power: int) -> float:
    return float(np.trapezoid(np.maximum(np.cos(angles), 0.0) ** power, angles))


def _t_quantile(probability: float, degrees: int) -> float:
    """Return the quantile of Student's t by bisection."""
    low, high = 0.0, 1e4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_survival(middle, degrees) > 1 - probability else (low, middle)
    return high


def _main() -> None:
    """Compare two runs; the exit code is 1 if something has become slower."""
    parser = argparse.ArgumentParser(prog="python -m photopeak.benchmarks.regression", description=_main.__doc__)
    parser.add_argument("earlier", type=Path, metavar="EARLIER.json", help="written by photopeak bench --json")
    parser.add_argument("later", type=Path, metavar="LATER.json", help="of the same suites")
    files = parser.parse_args()
    verdict = compare_documents(read_document(files.earlier), read_document(files.later))
    print(text_of(change_table(verdict)))
    sys.exit(any(change.slower for change in verdict.changes))


if __name__ == "__main__":
    with errors_told():
        _main()
