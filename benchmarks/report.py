"""The outcome of a benchmark run: what pytest-benchmark wrote, boiled down to what people compare."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
    """Return one measurement; the data are seconds of single calls."""
    times_ms = np.asarray(benchmark["stats"]["data"]) * 1e3
    extra = benchmark["extra_info"]
    return Measurement(
        stage=benchmark["group"],
        case=extra["case"],
        matrix=extra["matrix"],
        rounds=len(times_ms),
        min_ms=float(times_ms.min()),
        median_ms=float(np.median(times_ms)),
        p99_ms=float(np.percentile(times_ms, 99)),
        comparison=extra.get("comparison"),
    )
