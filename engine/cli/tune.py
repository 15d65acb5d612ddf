"""``photopeak tune``."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from .candidates import described, disturbance, numbers, sizes
from .console import JsonOption, LossOption, answer, fail, paused, print_table, progress

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..plan import Request
    from ..tuned import Table

MatrixOption = Annotated[str, typer.Option(help="Matrix sizes, such as 64,256,1024x256.")]
FramesOption = Annotated[str, typer.Option(help="Frames of a call, such as 1,16: a single image, and a stack.")]
TriedThreadsOption = Annotated[int, typer.Option(help="Threads of one run; 0 tries several numbers.")]
BudgetOption = Annotated[float, typer.Option(help="Seconds for each model, matrix and number of frames.")]
_SCANNERS = "64,128,256,512,1024,1024x256"


def tune(
    models: Annotated[list[str], typer.Argument(help="Names of models, or folders of bundles.")],
    matrix: MatrixOption = _SCANNERS,
    frames: FramesOption = "1,16",
    threads: TriedThreadsOption = 0,
    budget: BudgetOption = 15.0,
    max_loss_db: LossOption = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Measure what runs a model fastest on this machine; every later run uses it.

    Providers, precisions, threads, streams, batches and tiles are timed side by side, and compared with fp32 on the model's
    golden and calibration frames. Let nothing else run meanwhile. 'photopeak plan MODEL' shows all that was measured.

    Example: photopeak tune scint-denoise --matrix 256,1024x256
    """
    from ..plan import Request
    from ..tuner import tune as measure
    from ..zoo import load_bundle

    request = Request(threads=threads, max_loss_db=max_loss_db)
    matrices, counts = sizes(matrix), numbers(frames, "--frames")
    bundles = [load_bundle(model) for model in models]
    with answer(as_json) as found, progress("Tuning", shown=not as_json) as bar:
        found["models"] = []
        for bundle in bundles:
            with _warnings_as_sentences():
                tables = measure(
                    bundle,
                    matrices,
                    frames=counts,
                    threads=threads,
                    max_loss_db=max_loss_db,
                    budget_s=budget,
                    progress=partial(_tell, bar, bundle.name),
                )
            about = {"model": bundle.name, "version": bundle.manifest.version, "digest": bundle.digest}
            found["models"].append(about | {"tables": [described(table, request) for table in tables]})
            with paused(bar):
                if not as_json:
                    _print(bundle.name, tables, request)
                if sentence := disturbance(tables):
                    fail(f"{bundle.name}: {sentence}")


def _tell(bar: "Progress", name: str, what: str, share: float) -> None:
    bar.update(bar.task_ids[0], total=100, completed=int(100 * share), description=f"{name} {what}")


@contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """Print what a block warns of as a command prints an error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for sentence in dict.fromkeys(str(warning.message) for warning in caught):
        fail(sentence)


def _print(name: str, tables: "Sequence[Table]", request: "Request") -> None:
    columns = ("matrix", "frames", "ms", "p99", "loss dB", "gain", "of", "plan")
    print_table(
        f"{name}: fastest plans (ms of a call with all frames; gain against the fastest fp32)",
        columns,
        [_row(one, request) for one in tables],
    )


def _row(table: "Table", request: "Request") -> tuple[str, ...]:
    """Return the chosen plan of a table in words."""
    from ..selection import best, label

    cell, runs = table.cell, sum(one.runs > 0 for one in table.candidates)
    chosen = best(table.candidates, request)
    if chosen is None:
        return (str(cell.matrix), str(cell.frames), "", "", "", "", str(runs), "nothing that was measured is admitted")
    exact = [one.median_ms for one in table.candidates if one.runs and one.precision == "fp32" and not one.tile]
    gain = f"{min(exact) / chosen.median_ms:.2f}x" if exact else ""
    times = (f"{chosen.median_ms:.2f}", f"{chosen.p99_ms:.2f}", f"{chosen.loss_db:.3f}")
    return (str(cell.matrix), str(cell.frames), *times, gain, str(runs), label(chosen))
