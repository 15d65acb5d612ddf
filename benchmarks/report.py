"""The outcome of a benchmark run: its document, boiled down to what people compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.errors import InputError
from .document import read_document
from .interleave import Comparison

__all__ = ["Measurement", "Report", "read_report"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """The times of one benchmark.

    Parameters
    ----------
    stage, case : str
        The suite, and what of it ran.
    matrix : str
        Matrix size, such as ``1024x256``; empty when the benchmark has none.
    rounds : int
        Calls measured.
    min_ms, median_ms, p99_ms : float
        Wall time of one call [ms].
    comparison : dict or None
        ``Comparison.summary`` where contestants took turns.
    """

    stage: str
    case: str
    matrix: str
    rounds: int
    min_ms: float
    median_ms: float
    p99_ms: float
    comparison: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All measurements of one run and what they were made on.

    Parameters
    ----------
    date : str
        When it ran, ISO 8601.
    cpu : str
        Name of the processor.
    cores : int
        Logical processors that the system has.
    threads : int
        Threads that everything measured could use.
    versions : dict of str to str
        Versions of Python and the libraries.
    measurements : tuple of Measurement
        In the order of the run.
    """

    date: str
    cpu: str
    cores: int
    threads: int
    versions: dict[str, str]
    measurements: tuple[Measurement, ...]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Report":
        """Return the report of a document of :mod:`.document`; contestants that took turns make one measurement."""
        cpu = document["machine_info"]["cpu"]
        benchmarks = document["benchmarks"]
        extra = benchmarks[0]["extra_info"]
        return cls(
            date=document["datetime"],
            cpu=cpu.get("brand_raw", "unknown"),
            cores=cpu.get("count", 0),
            threads=extra["threads"],
            versions=extra["versions"],
            measurements=tuple(_measurement(list(group)) for _, group in groupby(benchmarks, _turn)),
        )


def read_report(path: Path) -> Report:
    """Return the report of a file that ``photopeak bench --json`` wrote.

    Raises
    ------
    InputError
        If the file is missing or something else.
    """
    document = read_document(path)
    try:
        return Report.from_document(document)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a benchmark report ({error}); make one with photopeak bench --json.") from error


def _turn(benchmark: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what contestants that took turns have in common, and nobody else has."""
    extra = benchmark["extra_info"]
    shared = (benchmark["group"], extra["case"], extra["matrix"], extra.get("baseline", ""))
    return shared if extra.get("baseline") else (*shared, benchmark["fullname"])


def _measurement(benchmarks: list[Mapping[str, Any]]) -> Measurement:
    """Return one measurement; where contestants took turns, that of the first."""
    first, comparison = benchmarks[0], None
    extra = first["extra_info"]
    if extra.get("baseline"):
        times = {one["extra_info"]["contestant"]: 1e3 * np.asarray(one["stats"]["data"]) for one in benchmarks}
        comparison = Comparison(times).summary(extra["baseline"])
        figures = next(iter(comparison["contestants"].values()))
    else:
        figures = _figures(np.asarray(first["stats"]["data"]))
    return Measurement(
        stage=first["group"],
        case=extra["case"],
        matrix=extra["matrix"],
        rounds=figures["rounds"],
        min_ms=figures["min_ms"],
        median_ms=figures["median_ms"],
        p99_ms=figures["p99_ms"],
        comparison=comparison,
    )


def _figures(seconds: NDArray[np.float64]) -> dict[str, Any]:
    """Return the statistics of single calls."""
    minimum, median, p99 = (1e3 * float(value) for value in np.percentile(seconds, [0, 50, 99]))
    return {"rounds": len(seconds), "min_ms": minimum, "median_ms": median, "p99_ms": p99}
