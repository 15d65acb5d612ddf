"""Measuring which plan is fastest on this machine, for each matrix and number of frames.

Candidates differ in provider, precision, layout, threads, streams, batch and tile. First each arithmetic is tried once, in
the simplest way; of those that are not much slower than the best of their precision the variants follow. All that are left
then take turns, see :mod:`photopeak.engine.racing`. What is timed is a whole call of a session: staging, graph, finishing.
Everything that was measured is kept, so that later wishes for a precision, a loss or a number of threads pick from it.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import floor, log2
from time import perf_counter, sleep

from .bundle import Bundle
from .bystanders import Bystanders
from .contenders import Contender, Family, Workbench, families
from .errors import ModelError, PhotopeakError, UsageError
from .matrix import MatrixSize
from .plan import Loss, Plan
from .planner import working_matrix
from .processors import available_processors
from .providers import Runnable
from .racing import Runner, race
from .trials import Trials
from .tuned import TILES, Cell, Measured, Table, cache_folder, key_of, store

__all__ = ["Progress", "thread_counts", "tune", "variants"]

Progress = Callable[[str, float], None]
"""Called with what is being measured, and the share of the time for this matrix that is used."""

# So much of the time may go into preparing candidates; the rest is for timing them.
_PREPARING = 0.6
# A call may take this share of the time; stacks are cut to fewer frames where it would take more.
_LARGEST_SHARE = 1 / 40
_TURNS_OF_BASES = 2
# So long threads of the libraries wait in loops for more work [s].
_REST_S = 3e-3
# What is this much slower than the best of its class in its first call takes no part in the race.
_HOPELESS = 1.6
# Tiles may differ from the whole frame by this part of the peak at most: more is seen as a line.
_LARGEST_SEAM = 1e-2
_SMALLEST_TILED = 512
_BATCHES = (1, 4, 16)
_MOST_FRAMES = 1024
# Pixels of one call: with what the graph makes of them they fill gigabytes.
_MOST_PIXELS = 1 << 26
# Activations of more pixels at once do not fit the memory of a usual machine.
_LARGEST_BATCH = {"cpu": 1 << 22, "cuda": 1 << 26}


def tune(
    bundle: Bundle,
    matrices: Sequence[MatrixSize],
    *,
    frames: Sequence[int] = (1, 16),
    threads: int = 0,
    max_loss_db: float = 0.05,
    budget_s: float = 15.0,
    progress: Progress | None = None,
) -> tuple[Table, ...]:
    """Measure what runs a model fastest here, and keep the tables for every later session.

    Parameters
    ----------
    bundle : Bundle
        The model.
    matrices : sequence of MatrixSize
        Those of the images; of models of findings each stands for its working grid.
    frames : sequence of int
        How many frames a call has; single frames and stacks want different plans.
    threads : int
        Threads of one run; 0 tries several numbers, up to all processors that this process may use.
    max_loss_db : float
        What loses more against float32 is measured last, if there is time [dB].
    budget_s : float
        Time for each matrix and number of frames [s]; trying each arithmetic once comes before it.
    progress : callable, optional
        Called with what is being measured and the share of the budget.

    Returns
    -------
    tuple of Table
        One for each matrix and number of frames, with every candidate; :func:`~photopeak.engine.selection.verdicts` says
        what becomes of them.

    Raises
    ------
    UsageError
        If a number makes no sense, or a matrix has too many pixels.

    Warns
    -----
    RuntimeWarning
        If the tables cannot be kept.

    Examples
    --------
    >>> from photopeak.engine.zoo import load_bundle
    >>> getfixture("monkeypatch").setenv("PHOTOPEAK_CACHE_DIR", str(getfixture("tmp_path")))
    >>> (table,) = tune(load_bundle("scint-denoise"), [MatrixSize(64, 64)], frames=(1,), threads=1, budget_s=0.5)
    >>> str(table.cell), any(one.runs for one in table.candidates)
    ('64x64, 1 frame, 1 thread', True)
    """
    _check(frames, threads, budget_s)
    wanted_matrices = dict.fromkeys(working_matrix(bundle, one) for one in matrices)
    for matrix in wanted_matrices:
        if matrix.pixels > _MOST_PIXELS:
            raise UsageError(f"{matrix} has too many pixels; give at most {_MOST_PIXELS}, such as 8192x8192.")
    bench, tables = Workbench(bundle), []
    counts = [threads] if threads else thread_counts(available_processors())
    for matrix in wanted_matrices:
        quickest_ms = 0.0
        for wanted in sorted(set(frames)):
            cell = Cell(matrix, _affordable(wanted, matrix, quickest_ms, budget_s))
            watch = Bystanders()
            candidates = _Tuning(bench, cell, counts, max_loss_db, progress).measure(budget_s)
            table = Table(
                key=key_of(bundle.digest),
                matrix=(matrix.rows, matrix.columns),
                frames=cell.frames,
                candidates=candidates,
                threads=threads,
                others=watch.share(),
            )
            quickest_ms = min((one.median_ms / cell.frames for one in table.candidates if one.runs), default=0.0)
            _keep(table)
            tables.append(table)
    return tuple(tables)


def thread_counts(processors: int) -> list[int]:
    """Return how many threads to try: all, and fewer by factors of two; every number where there are few.

    Examples
    --------
    >>> thread_counts(3), thread_counts(12)
    ([3, 2, 1], [12, 8, 4, 2, 1])
    """
    if processors <= 4:
        return list(range(processors, 0, -1))
    return sorted({processors, *(1 << i for i in range(floor(log2(processors)) + 1))}, reverse=True)


def variants(base: Plan, cell: Cell, threads: Sequence[int]) -> list[Plan]:
    """Return plans for the same arithmetic that differ in threads, streams, batch and tile; `base` is not among them.

    Parameters
    ----------
    base : Plan
        With the most threads.
    cell : Cell
        Matrix and frames.
    threads : sequence of int
        Numbers of threads to try, the most first; a GPU is driven with these.
    """
    kind = "cuda" if base.device.startswith("cuda") else "cpu"
    largest = max(1, _LARGEST_BATCH[kind] // cell.matrix.pixels)
    batches = sorted({min(batch, cell.frames) for batch in (*_BATCHES, base.batch)} | {cell.frames})
    batches = [batch for batch in batches if batch <= largest]
    found = [replace(base, batch=batch) for batch in batches]
    if kind == "cpu":
        streams = sorted({2, threads[0]} - {1})
        found += [
            replace(base, streams=n, batch=batch) for n in streams for batch in batches if n <= min(threads[0], batch)
        ]
        found += [replace(base, threads=count) for count in threads[1:]]
    if max(cell.matrix) >= _SMALLEST_TILED:
        found += [replace(base, batch=1, tile=tile) for tile in TILES if tile < max(cell.matrix)]
    return [plan for plan in dict.fromkeys(found) if plan != base]


def _check(frames: Sequence[int], threads: int, budget_s: float) -> None:
    if not frames or min(frames) < 1 or max(frames) > _MOST_FRAMES:
        raise UsageError(
            f"frames={tuple(frames)} make no sense; give numbers from 1 to {_MOST_FRAMES}, such as 1 and 16."
        )
    if threads < 0:
        raise UsageError(f"threads={threads} makes no sense; use 1 or more, or 0 to try several numbers.")
    if not 0 < budget_s < float("inf"):
        raise UsageError(f"budget_s={budget_s} makes no sense; give seconds, such as 15.")


def _affordable(frames: int, matrix: MatrixSize, frame_ms: float, budget_s: float) -> int:
    """Return how many frames a call may have: all, or a power of two that leaves time for many calls, and memory."""
    most = min(1e3 * budget_s * _LARGEST_SHARE / frame_ms if frame_ms else frames, _MOST_PIXELS / matrix.pixels)
    return frames if frames <= most else min(frames, max(2, 1 << floor(log2(max(most, 1)))))


def _keep(table: Table) -> None:
    try:
        store(table)
    except OSError as error:
        warnings.warn(
            f"Measured plans cannot be kept in {cache_folder()} ({error.strerror}), so that no session will use them; "
            "set PHOTOPEAK_CACHE_DIR to a folder of your own.",
            RuntimeWarning,
            stacklevel=3,
        )


def _sentence(error: Exception) -> str:
    """Return what a table can hold of an error; libraries colour their messages, or end them as C does."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return " ".join(printable.split()).rstrip(".")[:2000]


class _Tuning:
    """The measurement of one cell."""

    def __init__(
        self, bench: Workbench, cell: Cell, threads: Sequence[int], max_loss_db: float, progress: Progress | None
    ) -> None:
        self._bench = bench
        self._cell = cell
        self._threads = threads
        self._max_loss_db = max_loss_db
        self._progress = progress
        self._trials = Trials(bench.bundle, cell)
        self._runnables: dict[tuple[str, int, int], tuple[Runnable, Loss]] = {}
        self._contenders: list[Contender] = []

    def measure(self, budget_s: float) -> tuple[Measured, ...]:
        """Return every candidate with its figures, or with the reason why it has none."""
        bases = [self._add(family, self._base(family)) for family in families()]
        start = perf_counter()
        # One turn after the other, lest a moment's noise rule out a whole arithmetic.
        for _ in range(_TURNS_OF_BASES):
            self._race(bases, budget_s=0)
        worthy = [base for base in bases if self._has_a_chance(base)]
        for base in sorted(worthy, key=self._urgency):
            for plan in variants(base.plan, self._cell, self._threads):
                used = (perf_counter() - start) / budget_s
                if base.family.provider.check(base.family.target(plan.threads, plan.streams)):
                    continue  # a provider without streams
                if used > _PREPARING:
                    problem = f"not measured: the time of {budget_s:g} s was used up"
                    self._contenders.append(Contender(base.family, plan, base.loss, problem=problem))
                else:
                    self._tell(f"{base.family}", used)
                    self._add(base.family, plan)
        used_s = perf_counter() - start
        self._race(
            [one for one in self._contenders if self._has_a_chance(one)],
            budget_s=max(budget_s - used_s, (1 - _PREPARING) * budget_s),
            progress=lambda share: self._tell("timing", used_s / budget_s + (1 - used_s / budget_s) * share),
        )
        return tuple(one.measured() for one in self._contenders)

    def _race(
        self, contenders: list[Contender], *, budget_s: float, progress: Callable[[float], None] | None = None
    ) -> None:
        """Time candidates in turns; one that fails meanwhile is left out."""
        runners = [one.runner for one in contenders if one.runner and not one.problem]
        race(runners, budget_s=budget_s, rest=partial(sleep, _REST_S), progress=progress)
        for one in contenders:
            if one.runner and one.runner.error:
                one.problem = _sentence(one.runner.error)

    def _base(self, family: Family) -> Plan:
        """Return the plain plan of a family: all threads, one stream, whole frames, batches as a guess makes them."""
        threads = max(self._threads)
        plan = Plan(
            family.provider.name,
            "",
            family.device,
            family.precision,
            threads,
            0.0,
            "",
            layout=family.layout,
            throughout=family.throughout,
        )
        guess = plan.for_matrix(self._cell.matrix)
        return replace(guess, batch=min(guess.batch, self._cell.frames))

    def _add(self, family: Family, plan: Plan) -> Contender:
        """Prepare a candidate, warm it up and time it once; errors become its problem."""
        contender = Contender(family, plan)
        self._contenders.append(contender)
        try:
            contender.plan = replace(plan, provider_version=family.provider.version())
            runnable, contender.loss = self._prepared(family, plan)
            call = self._trials.call(plan, runnable)
            call()
            group = f"{family.device} {plan.numbers} {plan.threads}"
            contender.runner = Runner(call, group, contender.loss.decibels + contender.loss.probability)
            contender.runner.time()
            # Frames that are never run whole have nothing to be compared with.
            if plan.tile and not plan.for_matrix(self._cell.matrix).tile:
                self._add_seams(contender, contender.runner, runnable)
        except PhotopeakError as error:
            contender.problem = _sentence(error)
        return contender

    def _prepared(self, family: Family, plan: Plan) -> tuple[Runnable, Loss]:
        key = str(family), plan.threads, plan.streams
        if key not in self._runnables:
            self._runnables[key] = self._bench.prepare(family, plan.threads, plan.streams)
        return self._runnables[key]

    def _add_seams(self, contender: Contender, runner: Runner, runnable: Runnable) -> None:
        """Count what the seams of tiles cost as a loss of the candidate's own."""
        decibels, error = self._trials.seams(contender.plan, runnable)
        loss = contender.loss
        contender.loss = replace(loss, decibels=loss.decibels + decibels, max_error=loss.max_error + error)
        if not error <= _LARGEST_SEAM:
            raise ModelError(f"its seams differ from the whole frame by {error:.1e} of the peak")
        runner.loss += decibels

    def _has_a_chance(self, contender: Contender) -> bool:
        """Return whether a candidate is worth more calls: not far behind another of its class."""
        runner = contender.runner
        if runner is None or contender.problem:
            return False
        sound = [one.runner for one in self._contenders if one.runner and not one.problem]
        rivals = [one.best_ms for one in sound if one.group == runner.group]
        return runner.best_ms <= _HOPELESS * min(rivals)

    def _urgency(self, base: Contender) -> tuple[float, float]:
        """Return what sorts families: those that are admitted first, and of these the fast ones."""
        excess = max(base.loss.decibels - self._max_loss_db, 0.0)
        return excess, base.runner.best_ms if base.runner else 0.0

    def _tell(self, what: str, share: float) -> None:
        if self._progress:
            self._progress(f"{self._cell}: {what}", min(1.0, share))
