"""The page on plans: for every model and matrix the plan that runs, beside the fastest mode of any other runtime.

``python -m photopeak.benchmarks.plans FILE.json > PLANS.md`` writes it.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.errors import InputError
from ..engine.plan import numbers
from .document import errors_told, read_document
from .interleave import Estimate
from .tables import Table, number, text_of

__all__ = ["Bar", "Row", "bars", "page", "plan_tables", "plan_text", "quiet_text", "ratio", "rows_of"]

Entry = Mapping[str, Any]
RESAMPLES = 500
SLOWER_BY = 1.03
# Admitted loss [dB], and how many times the speed of ONNX Runtime in float32 it has to bring in geometric mean.
SPEED_BARS = {0.05: 1.9, 0.1: 3.0}
RUNTIME = "ONNX Runtime fp32"
HEAD = """# Plans

Written by `make plans`. Every contestant is a process of its own with the same number of threads; they take turns of a few
calls each, and start anew several times, as memory and threads fall into place differently each time. Times are medians of
single calls in ms, of the graph alone: from a tensor to a tensor. Ratios have a 95 % interval over launches and rounds. The other runtimes run in float32 and bfloat16 as their documentation says they run fastest
(ONNX Runtime with IOBinding, OpenVINO with its LATENCY hint, PyTorch channels-last, in inference mode, with autocast and
`torch.compile` where they were measured); the fastest of them for the case is the one that counts, and apart the
fastest that was found to keep the loss that our plan is admitted. Outputs of all were compared.
Where a plan cuts frames into tiles, our time is that of the whole session. Models of findings have one case, the grid that
they work on, and no loss in decibels."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model on one matrix at one admitted loss.

    Parameters
    ----------
    model, matrix : str
        The case.
    loss_db : float
        Loss admitted [dB].
    plan : str
        What Photopeak ran.
    ours_ms : float
        Median [ms].
    peer : str
        The fastest other mode.
    peer_ms : float
        Its median [ms].
    against_peer : Estimate
        Ours / the fastest other [1].
    against_runtime : Estimate or None
        ONNX Runtime in float32 / ours [1].
    session_ms : float or None
        Median of the whole session, from pixels to a result [ms].
    frames : int
        Frames of a call.
    peer_loss_db : float or None
        Loss of the fastest other mode, where it was measured [dB].
    against_faithful : Estimate or None
        Ours / the fastest other that keeps the admitted loss [1].
    """

    model: str
    matrix: str
    loss_db: float
    plan: str
    ours_ms: float
    peer: str
    peer_ms: float
    against_peer: Estimate
    against_runtime: Estimate | None
    session_ms: float | None
    frames: int = 1
    peer_loss_db: float | None = None
    against_faithful: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that was set beforehand, and what was found.

    Parameters
    ----------
    what, found : str
        In words.
    met : bool
        Whether it is reached.
    """

    what: str
    found: str
    met: bool


def rows_of(entries: Sequence[Entry]) -> list[Row]:
    """Return a row for each model, matrix and admitted loss that was measured beside a peer."""
    cases: dict[tuple[str, str], list[Entry]] = {}
    for one in entries:
        if one["group"] == "plans":
            cases.setdefault((one["extra_info"]["model"], one["extra_info"]["matrix"]), []).append(one)
    found = []
    for case in cases.values():
        peers = [one for one in case if one["extra_info"]["peer"]]
        ours = [one for one in case if not one["extra_info"]["peer"]]
        for one in ours:
            if one["extra_info"]["call"] == "model" and peers:
                sessions = [o for o in ours if _same(o, one) and o["extra_info"]["call"] == "session"]
                found.append(_row(one, peers, sessions[0] if sessions else None))
    return found


def bars(rows: Sequence[Row]) -> list[Bar]:
    """Return the bars, which are for single frames, with what was found."""
    found, rows = list[Bar](), [row for row in rows if row.frames == 1]
    for loss in dict.fromkeys(row.loss_db for row in rows):
        chosen = [row for row in rows if row.loss_db == loss]
        everybody = [(row, row.against_peer) for row in chosen]
        faithful = [(row, row.against_faithful) for row in chosen if row.against_faithful]
        found.append(_never_slower(f"at {loss:g} dB never more than 3 % slower than the fastest other mode", everybody))
        if faithful:
            what = f"at {loss:g} dB never more than 3 % slower than the fastest other mode that keeps this loss"
            found.append(_never_slower(what, faithful))
        if loss in SPEED_BARS:
            # Not every model has a graph of int8: cases that run in one are told apart.
            parts = {"": chosen, ", plans of int8": [row for row in chosen if " int8" in row.plan]}
            what = f"at {loss:g} dB at least {SPEED_BARS[loss]:g} times the speed of {RUNTIME} (geometric mean"
            found += [
                _faster(f"{what}{part})", some, SPEED_BARS[loss])
                for part, some in parts.items()
                if any(row.against_runtime for row in some)
            ]
    return found


def plan_tables(rows: Sequence[Row]) -> list[Table]:
    """Return the bars, then a table for each admitted loss."""
    told = [(bar.what, bar.found, "met" if bar.met else "missed") for bar in bars(rows)]
    tables = [Table("Bars", ("bar", "found", ""), tuple(told))] if told else []
    times = ("ours [ms]", "session [ms]", "fastest other", "[ms]", "its loss [dB]")
    ratios = ("ours / other", "ours / fastest that keeps the loss", f"{RUNTIME} / ours")
    columns = ("model", "matrix", "plan", *times, *ratios)
    for loss in dict.fromkeys(row.loss_db for row in rows):
        for stacks in (False, True):
            cells = tuple(_cells(row) for row in rows if row.loss_db == loss and (row.frames > 1) == stacks)
            if cells:
                tables.append(Table(f"{'Stacks, a' if stacks else 'A'}dmitted loss {loss:g} dB", columns, cells))
    return tables


def page(document: Mapping[str, Any]) -> str:
    """Return the document as Markdown.

    Raises
    ------
    InputError
        If no plan was measured beside a peer.
    """
    rows = rows_of(document["benchmarks"])
    if not rows:
        raise InputError(
            "the report holds no plans beside other runtimes; make one with photopeak bench --suite plans."
        )
    extra = next(one["extra_info"] for one in document["benchmarks"] if one["group"] == "plans")
    cpu = document["machine_info"]["cpu"]
    versions = ", ".join(f"{name} {version}" for name, version in extra["versions"].items())
    conditions = f"{cpu.get('brand_raw', 'unknown')}, {cpu.get('count', 0)} logical cores, {extra['threads']} threads; {versions}."
    return "\n\n".join([HEAD, conditions, quiet_text(document["benchmarks"]), *map(text_of, plan_tables(rows))]) + "\n"


def quiet_text(entries: Sequence[Entry]) -> str:
    """Return how much of the processors other programs took; empty where nobody watched.

    Examples
    --------
    >>> quiet_text([{"extra_info": {"others_share": share}} for share in (0.01, 0.02, 0.1)])
    'While plans were timed, other programs took 2 % of the processors (median over cases; at most 10 %).'
    """
    shares = [one["extra_info"]["others_share"] for one in entries if "others_share" in one["extra_info"]]
    if not shares:
        return ""
    middle, most = 100 * float(np.median(shares)), 100 * max(shares)
    return f"While plans were timed, other programs took {middle:.0f} % of the processors (median over cases; at most {most:.0f} %)."


def plan_text(plan: Mapping[str, Any]) -> str:
    """Return a plan in a few words.

    Examples
    --------
    >>> plan_text({"provider": "openvino", "precision": "bf16", "threads": 2, "batch": 4, "tile": 0, "tuned": True})
    'openvino bf16, 2 threads, tuned'
    """
    words = [f"{plan['provider']} {numbers(plan['precision'], plan.get('throughout', False))}"]
    words += [f"{plan['threads']} threads" if plan["threads"] > 1 else "1 thread"]
    words += [f"{plan['streams']} streams"] if plan.get("streams", 1) > 1 else []
    words += [f"{plan['tile']} px tiles"] if plan.get("tile") else []
    words += ["tuned" if plan.get("tuned") else "not tuned"]
    return ", ".join(words)


def _faster(what: str, rows: Sequence[Row], bar: float) -> Bar:
    ratios = [row.against_runtime for row in rows if row.against_runtime]
    mean = _geometric_mean(ratios)
    words = f"x{mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}] over {len(ratios)} cases"
    return Bar(what, words, mean.value >= bar)


def _never_slower(what: str, ratios: Sequence[tuple[Row, Estimate]]) -> Bar:
    slower = [(row, ratio) for row, ratio in ratios if ratio.value > SLOWER_BY]
    worst, most = max(ratios, key=lambda pair: pair[1].value)
    words = f"{len(ratios) - len(slower)} of {len(ratios)} cases; "
    if slower:
        words += "slower: " + "; ".join(f"{row.model} {row.matrix} x{ratio.value:.2f}" for row, ratio in slower)
    else:
        words += f"at worst x{most.value:.3f} ({worst.model} {worst.matrix})"
    return Bar(what, words, not slower)


def _keeps(peer: Entry, loss_db: float) -> bool:
    """Return whether a mode of another runtime was found to keep a loss; of findings none is asked."""
    extra = peer["extra_info"]
    return extra["findings"] or (extra["loss_db"] is not None and extra["loss_db"] <= loss_db)


def _row(one: Entry, peers: Sequence[Entry], session: Entry | None) -> Row:
    extra = one["extra_info"]
    best = min(peers, key=lambda peer: peer["stats"]["median"])
    runtime = [peer for peer in peers if peer["extra_info"]["contestant_name"] == RUNTIME]
    faithful = [peer for peer in peers if _keeps(peer, extra["max_loss_db"])]
    kept = min(faithful, key=lambda peer: peer["stats"]["median"]) if faithful else None
    fastest = min(runtime, key=lambda peer: peer["stats"]["median"]) if runtime else None
    return Row(
        model=extra["model"],
        matrix=extra["matrix"],
        loss_db=extra["max_loss_db"],
        plan=plan_text(extra["plan"]) if "plan" in extra else "",
        ours_ms=1e3 * one["stats"]["median"],
        peer=best["extra_info"]["contestant"].removesuffix(", model"),
        peer_ms=1e3 * best["stats"]["median"],
        against_peer=ratio(one, best),
        against_runtime=ratio(fastest, one) if fastest else None,
        session_ms=1e3 * session["stats"]["median"] if session else None,
        frames=extra["frames"],
        peer_loss_db=best["extra_info"]["loss_db"],
        against_faithful=ratio(one, kept) if kept else None,
    )


def ratio(one: Entry, other: Entry) -> Estimate:
    """Return how many times as long one takes as another that took turns with it, with a 95 % interval.

    It is the geometric mean over launches of the median over rounds of the ratio of turns; the interval is that of a bootstrap
    over launches and over the rounds within.
    """
    launches = [np.log(ours / theirs) for ours, theirs in zip(_launches(one), _launches(other), strict=True)]
    generator = np.random.default_rng(0)  # a report must be repeatable
    means = np.empty(RESAMPLES)
    for index in range(RESAMPLES):
        drawn = [launches[k] for k in generator.integers(len(launches), size=len(launches))]
        means[index] = np.mean([np.median(x[generator.integers(len(x), size=len(x))]) for x in drawn])
    middle = float(np.mean([np.median(launch) for launch in launches]))
    return Estimate(*(float(np.exp(value)) for value in (middle, *np.percentile(means, [2.5, 97.5]))))


def _launches(one: Entry) -> list[NDArray[np.float64]]:
    """Return the medians of turns [s], launch by launch."""
    extra = one["extra_info"]
    parts = np.split(np.asarray(one["stats"]["data"]), np.cumsum(extra["turns"])[:-1])
    medians = np.array([np.median(part) for part in parts])
    return np.split(medians, np.cumsum(extra["launches"])[:-1])


def _geometric_mean(ratios: Sequence[Estimate]) -> Estimate:
    """Return the geometric mean; its interval takes the cases as fixed and their errors as independent."""
    logs = np.log([one.value for one in ratios])
    halves = np.array([(np.log(one.high) - np.log(one.low)) / 2 for one in ratios])
    middle, half = float(logs.mean()), float(np.sqrt((halves**2).sum()) / len(logs))
    return Estimate(*(float(np.exp(value)) for value in (middle, middle - half, middle + half)))


def _same(one: Entry, other: Entry) -> bool:
    return bool(one["extra_info"]["contestant_name"] == other["extra_info"]["contestant_name"])


def _cells(row: Row) -> tuple[str, ...]:
    slower = row.against_peer.value > SLOWER_BY
    return (
        row.model,
        row.matrix,
        row.plan,
        number(row.ours_ms),
        number(row.session_ms) if row.session_ms else "",
        row.peer,
        number(row.peer_ms),
        "" if row.peer_loss_db is None else f"{row.peer_loss_db:.3f}",
        _interval(row.against_peer) + (" missed" if slower else ""),
        _interval(row.against_faithful) if row.against_faithful else "",
        _interval(row.against_runtime) if row.against_runtime else "",
    )


def _interval(one: Estimate) -> str:
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _main() -> None:
    """Print the page on plans."""
    parser = argparse.ArgumentParser(prog="python -m photopeak.benchmarks.plans", description=_main.__doc__)
    parser.add_argument(
        "report", type=Path, metavar="FILE.json", help="written by photopeak bench --suite plans --json"
    )
    print(page(read_document(parser.parse_args().report)), end="")


if __name__ == "__main__":
    with errors_told():
        _main()
