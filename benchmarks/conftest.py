"""Fixtures of all benchmarks: the matrix sizes, the images, and one way to measure.

Every benchmark is named after its file: ``bench_session.py`` is the stage ``session``. It takes ``matrix`` to run once
for each scanner matrix, ``measure`` to time one function, ``compare`` to time several in turns, ``against`` to time ours and
those peers that are installed, and asserts its result.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from photopeak.benchmarks import images, interleave
from photopeak.benchmarks.peers import limit_threads
from photopeak.benchmarks.settings import RUN_ONLY_MATRICES, limits
from photopeak.benchmarks.versions import versions
from photopeak.engine.frames import Frames, Units
from photopeak.engine.matrix import SCANNER_MATRICES, MatrixSize


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("photopeak", "Photopeak benchmarks")
    group.addoption("--matrix", default="", help="Matrix sizes to run, such as 128,1024x256.")
    group.addoption("--threads", type=int, default=1, help="Threads of whatever is measured.")
    group.addoption(
        "--quick", action="store_true", help="A fifth of a second for each figure instead of more than half."
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "matrix" in metafunc.fixturenames:
        metafunc.parametrize("matrix", _matrices(metafunc.config), ids=str)


@pytest.fixture(scope="session")
def threads(pytestconfig: pytest.Config) -> int:
    """Threads that everything measured may use; nothing else sets them."""
    return int(pytestconfig.getoption("--threads", default=1))


@pytest.fixture
def counts(matrix: MatrixSize) -> np.ndarray:
    """One frame of Poisson counts, shape (1, rows, columns), uint16, the same in every run."""
    return images.counts(matrix)


@pytest.fixture
def frames(counts: np.ndarray, matrix: MatrixSize) -> Frames:
    """The counts as Frames with the pixel spacing of a gamma camera."""
    spacing = images.FIELD_OF_VIEW_MM / matrix.columns
    return Frames.from_array(counts, units=Units.COUNTS, modality="NM", pixel_spacing_mm=(spacing, spacing))


@pytest.fixture
def nm_file(matrix: MatrixSize, tmp_path: Path) -> Path:
    """A planar NM object with an anterior and a posterior frame."""
    path = tmp_path / "nm.dcm"
    images.write_nm(path, matrix)
    return path


@pytest.fixture
def measure(benchmark: Any, pytestconfig: pytest.Config) -> Callable[..., Any]:
    """Time one function: ``measure(function, *arguments)`` returns what it returns.

    Warm-up calls are not counted; every later call is one sample, so that percentiles are those of single calls.
    """

    def run(function: Callable[..., Any], *arguments: Any) -> Any:
        if benchmark.disabled:
            return benchmark(function, *arguments)
        rounds = _rounds(partial(function, *arguments), pytestconfig)
        return benchmark.pedantic(function, arguments, rounds=rounds)

    return run


@pytest.fixture
def compare(benchmark: Any, pytestconfig: pytest.Config) -> Callable[..., interleave.Comparison]:
    """Time functions in turns: ``compare({"ours": f, "theirs": g}, baseline="theirs")``.

    The times that the report gives for the benchmark are those of the first contestant.
    """

    def run(
        contestants: dict[str, Callable[[], object]], baseline: str, *, settle: bool = False
    ) -> interleave.Comparison:
        rounds = 1
        if not benchmark.disabled:
            rounds = min(_rounds(function, pytestconfig) for function in contestants.values())
        # pytest-benchmark knows one function only: it gets a single call that contains all turns.
        turns = partial(interleave.compare, contestants, rounds, 0, settle=settle)
        comparison: interleave.Comparison = benchmark.pedantic(turns)
        benchmark.extra_info["comparison"] = comparison.document(baseline)
        return comparison

    return run


@pytest.fixture
def against(compare: Any, measure: Any, threads: int) -> Callable[[dict[str, Callable[[], object]]], None]:
    """Time ours, the first contestant, and those peers that there are, in turns with settled caches."""

    def run(contestants: dict[str, Callable[[], object]]) -> None:
        ours = next(iter(contestants))
        limit_threads(threads)
        if len(contestants) > 1:
            compare(contestants, baseline=ours, settle=True)
        else:
            measure(contestants[ours])

    return run


@pytest.fixture(autouse=True)
def described(request: pytest.FixtureRequest) -> None:
    """Write into each benchmark which stage, case and matrix it is, and what it ran on."""
    if "benchmark" in request.fixturenames:
        benchmark = request.getfixturevalue("benchmark")
        benchmark.group = request.path.stem.removeprefix("bench_")
        benchmark.extra_info |= _case(request.node, benchmark.group) | {"versions": versions()}
        benchmark.extra_info["threads"] = request.getfixturevalue("threads")


def _case(node: Any, stage: str) -> dict[str, str]:
    """Return the name of a benchmark without its stage and matrix, and the matrix."""
    parameters = node.callspec.params if hasattr(node, "callspec") else {}
    matrix = str(parameters.get("matrix", ""))
    identifiers = node.callspec.id.split("-") if parameters else []
    if matrix in identifiers:
        identifiers.remove(matrix)
    name = node.originalname.removeprefix("bench_").removeprefix(stage).replace("_", " ")
    return {"case": f"{name} {'-'.join(identifiers)}".strip() or stage, "matrix": matrix}


def _matrices(config: pytest.Config) -> tuple[MatrixSize, ...]:
    """Return the sizes asked for; without measuring, small ones prove that a benchmark works."""
    if text := config.getoption("--matrix", default=""):
        return tuple(MatrixSize.parse(size) for size in text.split(","))
    return RUN_ONLY_MATRICES if config.getoption("benchmark_disable", default=False) else SCANNER_MATRICES


def _rounds(function: Callable[[], object], config: pytest.Config) -> int:
    """Warm `function` up and return how many calls fit into the time for one figure."""
    budget = limits(quick=config.getoption("--quick", default=False))
    start = perf_counter()
    function()
    if (first := perf_counter() - start) > budget.patience_s:
        return budget.rounds(first)
    start, calls = perf_counter(), 0
    while calls < budget.warmup_calls or (perf_counter() - start) < budget.warmup_s:
        function()
        calls += 1
        if perf_counter() - start > budget.patience_s:
            break
    return budget.rounds((perf_counter() - start) / calls)
