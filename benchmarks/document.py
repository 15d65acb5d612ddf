"""Documents in the form of pytest-benchmark: one entry for each contestant of each case, with every single time.

``pytest-benchmark compare`` reads them, and :mod:`.regression` tests two of them against each other.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.errors import InputError, PhotopeakError
from ..engine.files import atomic_write

__all__ = [
    "Document",
    "entry",
    "errors_told",
    "expanded",
    "merged",
    "new_document",
    "read_document",
    "write_document",
]

Document = dict[str, Any]
NANOSECONDS = 9


def new_document() -> Document:
    """Return a document without benchmarks, with what pytest-benchmark knows of the machine."""
    from pytest_benchmark import __version__
    from pytest_benchmark.plugin import pytest_benchmark_generate_machine_info

    return {
        "machine_info": pytest_benchmark_generate_machine_info(),
        "commit_info": {"id": "unversioned", "time": None, "dirty": False, "branch": "(unknown)"},
        "benchmarks": [],
        "datetime": datetime.now(UTC).isoformat(),
        "version": __version__,
    }


def entry(stage: str, params: Mapping[str, str], seconds: Iterable[float], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return one benchmark.

    Parameters
    ----------
    stage : str
        Its group.
    params : mapping of str to str
        What sets it apart from others of the group, in the order of its name.
    seconds : iterable of float
        Time of each call [s].
    extra : mapping of str to object
        What else is known, ready for JSON.
    """
    from pytest_benchmark.stats import Stats

    stats = Stats()
    for value in seconds:
        stats.update(round(float(value), NANOSECONDS))
    if not stats.data:
        raise ValueError(f"{stage} {dict(params)} has no times; measure at least one call.")
    identifier = "-".join(value for value in params.values() if value)
    name = f"bench_{stage}[{identifier}]" if identifier else f"bench_{stage}"
    options = {
        "disable_gc": False,
        "timer": "perf_counter",
        "min_rounds": 1,
        "max_time": 0,
        "min_time": 0,
        "warmup": True,
    }
    return {
        "group": stage,
        "name": name,
        "fullname": f"bench_{stage}.py::{name}",
        "params": dict(params),
        "param": identifier or None,
        "extra_info": dict(extra),
        "options": options,
        "stats": stats.as_dict() | {"data": stats.data, "iterations": 1},
    }


def expanded(document: Mapping[str, Any]) -> Document:
    """Return a document of pytest-benchmark's with an entry for each contestant where several took turns.

    pytest-benchmark times one function only: our suites give it all turns as one call, and what each contestant took stands in
    ``extra_info``.
    """
    entries: list[dict[str, Any]] = []
    for benchmark in document["benchmarks"]:
        extra = dict(benchmark["extra_info"])
        comparison = extra.pop("comparison", None)
        if not comparison:
            entries.append(benchmark)
            continue
        for index, (name, times_ms) in enumerate(comparison["times_ms"].items()):
            params = {"case": extra["case"], "matrix": extra["matrix"], "contestant": name}
            # The first contestant is ours in every suite; what the others do changes with their libraries only.
            more = extra | {"contestant": name, "baseline": comparison["baseline"], "peer": index > 0}
            entries.append(entry(benchmark["group"], params, np.asarray(times_ms) / 1e3, more))
    return dict(document) | {"benchmarks": entries}


def read_document(path: Path) -> Document:
    """Return a document of pytest-benchmark's that holds the times of single calls.

    Raises
    ------
    InputError
        If the file is missing or something else.
    """
    try:
        document: Document = json.loads(path.read_text(encoding="utf-8"))
        for benchmark in document["benchmarks"]:
            benchmark["fullname"], benchmark["group"], benchmark["extra_info"]["case"], benchmark["stats"]["data"][0]
        document["machine_info"]["cpu"], document["datetime"]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"{path}: not a benchmark report ({error}); make one with photopeak bench --json.") from error
    return document


def write_document(document: Mapping[str, Any], path: Path) -> None:
    """Write a document."""
    with atomic_write(path) as file:
        file.write(json.dumps(document, indent=1, allow_nan=False).encode())


def merged(first: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Document:
    """Return the first document with the benchmarks of all."""
    entries = [*first["benchmarks"], *(one for other in others for one in other["benchmarks"])]
    return dict(first) | {"benchmarks": entries}


@contextmanager
def errors_told() -> Iterator[None]:
    """Tell an error of a module that is run as a program in one sentence, and end with its exit code."""
    try:
        yield
    except PhotopeakError as error:
        print(f"photopeak: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
