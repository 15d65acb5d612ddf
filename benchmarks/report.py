"""The outcome of a benchmark run: what pytest-benchmark wrote, boiled down to what people compare."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.errors import InputError
from ..engine.files import atomic_write

__all__ = ["Measurement", "Report", "read_report", "write_report"]


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
    def from_pytest_benchmark(cls, document: Mapping[str, Any]) -> "Report":
        """Return the report of a JSON document that pytest-benchmark wrote with its data."""
        cpu = document["machine_info"]["cpu"]
        extra = document["benchmarks"][0]["extra_info"]
        return cls(
            date=document["datetime"],
            cpu=cpu.get("brand_raw", "unknown"),
            cores=cpu.get("count", 0),
            threads=extra["threads"],
            versions=extra["versions"],
            measurements=tuple(_measurement(benchmark) for benchmark in document["benchmarks"]),
        )


def read_report(path: Path) -> Report:
    """Return a report that :func:`write_report` wrote.

    Raises
    ------
    InputError
        If the file is missing or something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        measurements = tuple(Measurement(**measurement) for measurement in document.pop("measurements"))
        return Report(**document, measurements=measurements)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a benchmark report ({error}); make one with photopeak bench --json.") from error


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON."""
    with atomic_write(path) as file:
        file.write(json.dumps(asdict(report), indent=1).encode())


def _measurement(benchmark: Mapping[str, Any]) -> Measurement:
    """Return one measurement; where contestants took turns, that of the first."""
    extra = benchmark["extra_info"]
    comparison = extra.get("comparison")
    if comparison:
        figures = next(iter(comparison["contestants"].values()))
    else:
        figures = _figures(np.asarray(benchmark["stats"]["data"]))
    return Measurement(
        stage=benchmark["group"],
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
