"""Which plan serves which frames: the measured one where there is a table, a guess elsewhere."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from threading import Lock
from typing import Generic, Protocol, TypeVar

from .bundle import Bundle
from .errors import PhotopeakError
from .graph import CheckedGraph, check_graph
from .matrix import MatrixSize
from .plan import Loss, Plan, Request, choose, prepared
from .providers import Provider, Runnable, Target, find
from .selection import best, label
from .tuned import Cell, Measured, Table, cells, key_of, read

__all__ = ["Planner", "TunedPlanner", "fixed", "nearest", "target_of", "working_matrix"]

Thing = TypeVar("Thing")
# What was measured at this many times as many pixels, or as few, still says which provider is fast.
_NEAR = 4.0
# Pixels of a gamma camera whose field is as wide as most [mm]; a matrix alone does not tell the field of view.
_CAMERA, _CAMERA_PIXEL_MM = MatrixSize(256, 256), (2.4, 2.4)
# Stacks of any length may come.
_PLANS_KEPT = 256


class Planner(Protocol):
    """Returns the plan for a matrix and a number of frames, and the graph prepared for it; from any thread."""

    def __call__(self, matrix: MatrixSize, frames: int) -> tuple[Plan, Runnable]:
        """Return a plan and its graph; the graph is the same object for equal targets."""
        ...


def fixed(plan: Plan, runnable: Runnable) -> Planner:
    """Return a planner that takes one graph for everything; only batch and tile follow the matrix."""
    return lambda matrix, frames: (plan.for_matrix(matrix), runnable)


class TunedPlanner:
    """The plans of one session; each graph is prepared once, when it is first needed.

    Parameters
    ----------
    bundle : Bundle
        The model.
    request : Request
        What is asked for.
    """

    def __init__(self, bundle: Bundle, request: Request) -> None:
        self._bundle = bundle
        self._request = request
        self._key = key_of(bundle.digest)
        # What was measured with one number of threads only says nothing about the best number.
        self._cells = tuple(cell for cell in cells(self._key) if cell.threads in (0, request.threads))
        self._tables: dict[Cell, Table | None] = {}
        self._known: dict[tuple[MatrixSize, int], tuple[Plan, Runnable]] = {}
        self._slots: dict[tuple[str, Target], _Slot[tuple[Runnable, Loss]]] = {}
        self._guess: _Slot[tuple[Plan, Runnable]] = _Slot()
        self._graph: _Slot[CheckedGraph] = _Slot()
        self._lock = Lock()

    def first(self) -> tuple[Plan, Runnable]:
        """Return a plan to begin with: one that was measured, for a matrix like that of the golden frames.

        Raises
        ------
        PhotopeakError
            If nothing runs as asked.
        """
        home = Cell(_home(self._bundle), 1)
        matrix, frames, _ = nearest(self._cells, home, within=math.inf) or home
        return self(matrix, frames)

    def __call__(self, matrix: MatrixSize, frames: int) -> tuple[Plan, Runnable]:
        """Return the plan for frames of a matrix, and the graph prepared for it.

        Raises
        ------
        PhotopeakError
            If nothing runs as asked.
        """
        known = self._known.get((matrix, frames))
        if known is None:
            known = self._found(matrix, frames)
            if len(self._known) >= _PLANS_KEPT:
                self._known.clear()
            self._known[matrix, frames] = known
        return known

    def _found(self, matrix: MatrixSize, frames: int) -> tuple[Plan, Runnable]:
        table, refused = self.table(matrix, frames), ""
        if table and (measured := best(table.candidates, self._request)):
            measured = measured.model_copy(update={"threads": self._request.threads or measured.threads})
            try:
                runnable, loss = self._taken(find(measured.provider), target_of(measured))
                return self._plan(measured, loss, table, matrix), runnable
            except PhotopeakError as error:
                refused = f"; {label(measured)}, which was measured as the fastest, was passed over: {error}"
        elif table:
            refused = f"; nothing that was measured at {table.cell} is as asked"
        plan, runnable = self._guess.get(lambda: choose(self._bundle, self._request, self._taken))
        reason = f"{plan.reason}{refused}; not measured here: {self._advice(matrix)}"
        return replace(plan.for_matrix(matrix), reason=reason), runnable

    def table(self, matrix: MatrixSize, frames: int) -> Table | None:
        """Return the table that the plan for a matrix is taken from; None where there is none, or it cannot be used."""
        cell = nearest(self._cells, Cell(matrix, frames, self._request.threads))
        if cell is None:
            return None
        if cell not in self._tables:
            self._tables[cell] = read(self._key, cell)
        return self._tables[cell]

    def _taken(self, provider: Provider, target: Target) -> tuple[Runnable, Loss]:
        """Return the graph prepared for a target; others that want the same one wait, and nobody else."""
        with self._lock:
            slot = self._slots.setdefault((provider.name, target), _Slot())
        graph = self._graph.get(lambda: check_graph(self._bundle))
        return slot.get(lambda: prepared(self._bundle, graph, provider, target, self._request.max_loss_db))

    def _plan(self, measured: Measured, loss: Loss, table: Table, matrix: MatrixSize) -> Plan:
        """Return the plan that a measured candidate stands for."""
        cell = table.cell
        here = cell.matrix == matrix
        runs = sum(one.runs > 0 for one in table.candidates)
        cost = f", loses {measured.loss_db:.3f} dB" if measured.loss_db else ""
        why = f"{label(measured)}: the fastest of {runs} measured at {cell}, {measured.median_ms:.2f} ms"
        plan = Plan(
            provider=measured.provider,
            provider_version=find(measured.provider).version(),
            device=measured.device,
            precision=measured.precision,
            threads=measured.threads,
            loss_db=max(measured.loss_db, loss.decibels),
            reason=f"{why}{cost}{loss.words}" + ("" if here else f"; not measured at {matrix}: {self._advice(matrix)}"),
            batch=measured.batch,
            tile=measured.tile,
            probability_change=max(measured.probability_change, loss.probability),
            streams=measured.streams,
            layout=measured.layout,
            throughout=measured.throughout,
            tuned=here,
            median_ms=measured.median_ms if here else 0.0,
            p99_ms=measured.p99_ms if here else 0.0,
        )
        return plan if here else plan.for_matrix(matrix)

    def _advice(self, matrix: MatrixSize) -> str:
        size = "" if self._bundle.manifest.analysis else f" --matrix {matrix}"
        # A number that is not asked for may be none of those that are tried.
        threads = f" --threads {self._request.threads}" if self._request.threads else ""
        return f"'photopeak tune {self._bundle.name}{size}{threads}' would do it"


def nearest(measured: Iterable[Cell], wanted: Cell, within: float = _NEAR) -> Cell | None:
    """Return the cell that tells most about another: of the same matrix, else of a similar one; then of like frames.

    Parameters
    ----------
    measured : iterable of Cell
        What there is.
    wanted : Cell
        What is looked for.
    within : float
        So many times more or fewer pixels still count as similar.

    Examples
    --------
    >>> found = [Cell(MatrixSize(128, 128), 1), Cell(MatrixSize(128, 128), 16), Cell(MatrixSize(64, 64), 1)]
    >>> str(nearest(found, Cell(MatrixSize(128, 128), 200))), nearest(found, Cell(MatrixSize(2048, 2048), 1))
    ('128x128, 16 frames', None)
    """

    def distance(cell: Cell) -> tuple[float, float, float, float, Cell]:
        pixels = abs(math.log(cell.matrix.pixels / wanted.matrix.pixels))
        frames = abs(math.log(cell.frames / wanted.frames))
        return (cell.matrix != wanted.matrix, pixels, frames, cell.threads != wanted.threads, cell)

    near = [cell for cell in measured if distance(cell)[1] <= math.log(within)]
    return min(near, key=distance, default=None)


def target_of(plan: Plan | Measured) -> Target:
    """Return where and how the graph of a plan, or of a candidate, runs."""
    return Target(plan.device, plan.precision, plan.threads, plan.streams, plan.layout, throughout=plan.throughout)


def working_matrix(bundle: Bundle, matrix: MatrixSize) -> MatrixSize:
    """Return the rows and columns that go into the graph for images of a matrix.

    A model of findings works on a grid of its own. Where that follows the field of view, which a matrix does not tell, the
    whole field of a gamma camera is meant.
    """
    taken = bundle.manifest.input
    if taken.grid is None:
        return matrix
    if taken.grid.side:
        return MatrixSize(taken.grid.side, taken.grid.side)
    from .analysis.prepare import pitch_placement

    # The manifest has what its kind needs.
    return pitch_placement(_CAMERA, _CAMERA_PIXEL_MM, taken.grid.pitch_mm or 0.0, multiple=taken.multiple).grid


def _home(bundle: Bundle) -> MatrixSize:
    """Return the matrix of the golden frames."""
    golden = bundle.golden_heads if bundle.manifest.analysis else bundle.golden
    return MatrixSize(*golden.input.shape[2:])


class _Slot(Generic[Thing]):
    """Something that is made once, by whoever comes first; the others wait, and an error is theirs as well."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: tuple[Thing] | None = None
        self._error: PhotopeakError | None = None

    def get(self, make: Callable[[], Thing]) -> Thing:
        """Return the thing, made by the first call."""
        with self._lock:
            if self._error:
                raise self._error.with_traceback(None)
            if self._made is None:
                try:
                    self._made = (make(),)
                except PhotopeakError as error:
                    self._error = error
                    raise
            return self._made[0]
