"""``photopeak bench`` and ``photopeak conformance``."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ..engine.errors import DeviceError, PhotopeakError, UsageError
from ..engine.files import atomic_write
from ..engine.matrix import MatrixSize
from .settings import KINDS, MODEL_SUITES

if TYPE_CHECKING:
    from .document import Document

__all__ = ["SUITES", "bench", "conformance"]

HERE = Path(__file__).parent
SUITES = (
    *("reading", "frame_operations", "iqa", "mtf", "noise", "reconstruction"),
    *("session", "device", "analysis", "pipeline"),
)
# The only place that limits the libraries which read their thread count when they are first imported.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
TITLE = """# Conformance

How far Photopeak is from the scores of the metrics' authors and from closed forms, as `photopeak conformance` found it. The
reference scores are those of the authors' unmodified MATLAB code run in GNU Octave, and of the canonical rule: the
normalised value is 0 where a pixel differs from its local mean by less than 1e-9. Images in parentheses are ill-posed
without that rule, as windows of a single value leave rounding errors that decide the score of the original code. The
reference scores of PIQE follow the rule that its Python ports share (grey values scaled until their maximum is 255, the
image mirrored at its end); `piqe(..., convention="published")` does neither, and no reference score exists for it."""
PYTEST_INI = """
[pytest]
python_files = bench_*.py
python_functions = bench_*
filterwarnings =
    error
    default::pytest_benchmark.logger.PytestBenchmarkWarning
"""


def bench(
    suite: Annotated[str, typer.Option(help="Suites to run, separated by commas.")] = ",".join(SUITES),
    matrix: Annotated[str, typer.Option(help="Matrix sizes, such as 128,1024x256; all scanner sizes if empty.")] = "",
    threads: Annotated[int, typer.Option(min=1, help="Threads that everything measured may use.")] = 1,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write FILE, and Markdown tables beside it.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a report for the browser.")] = None,
    earlier: Annotated[
        Path | None,
        typer.Option("--compare", metavar="EARLIER.json", help="Test against an earlier run; slower is an error."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A short look: fewer rounds, rougher figures.")] = False,
    model: Annotated[str, typer.Option(help="Models of plans, stack and start; all that ship if empty.")] = "",
    peers: Annotated[str, typer.Option(help="Runtimes beside Photopeak in plans, stack and start.")] = ",".join(KINDS),
    max_loss_db: Annotated[str, typer.Option(help="Losses that plans may have, in dB.")] = "0.05,0.1",
    scenario: Annotated[str, typer.Option(help="Of plans and stack: latency, single-stream or offline.")] = "latency",
    frames: Annotated[int, typer.Option(min=0, help="Frames of a stack or a pool; 0: the suite's own number.")] = 0,
    budget: Annotated[float, typer.Option(min=0, help="Seconds for plans, stack or start; 0: no limit.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with --json FILE: keep what it holds.")] = False,
) -> None:
    """Measure Photopeak on this machine for each scanner matrix size.

    The suites plans (Photopeak's plans beside other runtimes), stack (the same for 200 slices) and start (a fresh process)
    measure models, each contestant in a process of its own; the others measure what lies around them.

    Example: photopeak bench --suite session --matrix 128,256 --threads 2 --json bench.json
    """
    from .document import merged, read_document
    from .models.command import Wanted, measure_models
    from .regression import require_comparable

    if find_spec("pytest_benchmark") is None:
        raise UsageError("photopeak bench needs pytest-benchmark; install it with pip install 'photopeak[bench]'.")
    suites = _split(suite)
    sizes = tuple(MatrixSize.parse(size) for size in _split(matrix))
    files = [_suite_file(name) for name in suites if name not in MODEL_SUITES]
    before = read_document(earlier) if earlier else None
    if before:
        require_comparable(before, threads)
    of_models = tuple(name for name in suites if name in MODEL_SUITES)
    if resume and not (json_file and of_models):
        raise UsageError("--resume goes on with plans, stack or start in a file; give --suite and --json.")
    if not of_models:
        _refuse_idle(
            suites, model=model, peers=peers, max_loss_db=max_loss_db, scenario=scenario, frames=frames, budget=budget
        )
    document: Document | None = None
    if of_models:
        wanted = Wanted(
            suites=of_models,
            models=tuple(_split(model)),
            matrices=sizes,
            threads=threads,
            peers=tuple(_split(peers)),
            losses_db=_numbers(max_loss_db),
            scenario=scenario,
            frames=frames,
            budget_s=budget,
            quick=quick,
        )
        document = measure_models(wanted, json_file, resume=resume, say=typer.echo)
    if files:
        options = [f"--matrix={','.join(map(str, sizes))}", f"--threads={threads}", *(["--quick"] if quick else [])]
        measured = _measure(files, options, threads)
        document = merged(document, [measured]) if document else measured
    assert document is not None
    _tell(document, json_file, html, before)


def conformance(
    reference: Annotated[
        Path | None, typer.Option(help="Folder with reference images and scores; without it, closed forms only.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.md", help="Write Markdown.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the closed forms of sharpness and noise.")] = False,
) -> None:
    """Compare scores with those of the metrics' authors, and sharpness and noise with closed forms.

    Libraries that are installed beside Photopeak are compared too. The exit code is not 0 if anything misses its bar.

    Example: photopeak conformance --reference reference/iqa -o CONFORMANCE.md
    """
    from .closed_forms import closed_form_tables
    from .conformance import conformance_tables, read_reference
    from .tables import show, text_of
    from .versions import versions

    tables, missed = conformance_tables(read_reference(reference)) if reference else ([], [])
    if not quick:
        more, others = closed_form_tables()
        tables, missed = tables + more, missed + others
    show(tables)
    if output:
        conditions = ", ".join(f"{name} {version}" for name, version in versions().items())
        with atomic_write(output) as file:
            file.write("\n\n".join([TITLE, f"{conditions}.", *map(text_of, tables)]).encode() + b"\n")
    if missed:
        raise PhotopeakError(f"{len(missed)} figures miss their bar: {'; '.join(missed)}.")


def _tell(document: "Document", json_file: Path | None, html: Path | None, earlier: "Document | None") -> None:
    """Print the tables, write the files, and compare with an earlier run.

    Raises
    ------
    PhotopeakError
        If something has become slower.
    """
    from .document import write_document
    from .page import write_page
    from .regression import change_table, compare_documents
    from .report import Report
    from .summary import summary_tables
    from .tables import markdown, show

    show(summary_tables(document))
    if json_file:
        write_document(document, json_file)
        with atomic_write(json_file.with_suffix(".md")) as file:
            file.write(markdown(Report.from_document(document), summary_tables(document)).encode())
    verdict = compare_documents(earlier, document) if earlier else None
    if html:
        write_page(document, html, verdict)
    if verdict:
        show([change_table(verdict)])
        if slower := [change.name for change in verdict.changes if change.slower]:
            raise PhotopeakError(f"{len(slower)} figures are slower than in the earlier run: {'; '.join(slower)}.")


def _refuse_idle(suites: list[str], **given: object) -> None:
    """Refuse options of the suites of models where none of them runs."""
    usual = {name: parameter.default for name, parameter in signature(bench).parameters.items()}
    if idle := [name for name, value in given.items() if value != usual[name]]:
        names = ", ".join("--" + name.replace("_", "-") for name in idle)
        raise UsageError(
            f"{names} means nothing to {', '.join(suites)}; leave it out, or name plans, stack or start with --suite."
        )


def _split(text: str) -> list[str]:
    """Return the items of a comma-separated list."""
    return [item.strip() for item in text.split(",") if item.strip()]


def _numbers(text: str) -> tuple[float, ...]:
    """Return the numbers of a comma-separated list."""
    try:
        return tuple(float(item) for item in _split(text))
    except ValueError as error:
        raise UsageError(f"{text!r} are no numbers; write them as 0.05,0.1.") from error


def _suite_file(name: str) -> Path:
    """Return the benchmarks of a suite."""
    if name not in SUITES:
        raise UsageError(f"There is no suite {name!r}; choose from {', '.join((*SUITES, *MODEL_SUITES))}.")
    return HERE / f"bench_{name}.py"


def _measure(files: list[Path], options: list[str], threads: int) -> "Document":
    """Run pytest in a process of its own, with no configuration but ours, and return what it measured."""
    from .document import expanded

    with TemporaryDirectory(prefix="photopeak-bench-") as folder:
        config, output = Path(folder, "pytest.ini"), Path(folder, "benchmarks.json")
        config.write_text(PYTEST_INI)
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--import-mode=importlib"]
        command += ["-c", str(config), f"--rootdir={folder}", f"--benchmark-json={output}", "--benchmark-quiet"]
        command.append(f"--benchmark-storage=file://{folder}")
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment = ours | dict.fromkeys(THREAD_VARIABLES, str(threads))
        code = subprocess.run([*command, *options, *map(str, files)], env=environment, check=False).returncode
        if code:
            raise PhotopeakError(f"The benchmarks failed (pytest exit code {code}); its output above says why.")
        text = output.read_text() if output.exists() else ""
    if not text:
        raise DeviceError("Nothing was measured: every benchmark was skipped; pytest's output above says why.")
    return expanded(json.loads(text))
