"""What ``photopeak bench`` does for the suites of models: ``plans``, ``stack`` and ``start``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...engine.errors import DeviceError, UsageError
from ...engine.matrix import SCANNER_MATRICES, MatrixSize
from ...engine.zoo import load_bundle, names
from ..document import Document, new_document, read_document, write_document
from ..settings import KINDS
from .cases import Case, cases_of
from .contestants import Contestant, contestants
from .energy import EnergyMeter
from .scenarios import StreamRules
from .start import run_start
from .suites import Job, Scenario, Skipped, run_plans
from .turns import Pace

__all__ = ["SCENARIOS", "Wanted", "measure_models"]

SCENARIOS: dict[str, Scenario] = {"latency": "plans", "single-stream": "single-stream", "offline": "offline"}
STACK_MATRIX, STACK_FRAMES, POOL_FRAMES = MatrixSize(128, 128), 200, 32
START_MATRIX = MatrixSize(256, 256)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for.

    Parameters
    ----------
    suites : tuple of str
        ``plans``, ``stack`` or ``start``.
    models : tuple of str
        Names or folders; all that ship if empty.
    matrices : tuple of MatrixSize
        The suite's own if empty.
    threads : int
        Threads of everybody.
    peers : tuple of str
        Kinds of :mod:`.contestants`.
    losses_db : tuple of float
        Losses that Photopeak's plans may have [dB].
    scenario : str
        Of ``SCENARIOS``; of the suites ``plans`` and ``stack``.
    frames : int
        Frames of a stack or of a scenario's pool; 0: the suite's own number.
    budget_s : float
        Time for each suite [s]; 0: no limit.
    quick : bool
        Whether rough figures do.
    """

    suites: tuple[str, ...]
    models: tuple[str, ...] = ()
    matrices: tuple[MatrixSize, ...] = ()
    threads: int = 1
    peers: tuple[str, ...] = KINDS
    losses_db: tuple[float, ...] = (0.05, 0.1)
    scenario: str = "latency"
    frames: int = 0
    budget_s: float = 0.0
    quick: bool = False

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise UsageError(f"There is no scenario {self.scenario!r}; choose from {', '.join(SCENARIOS)}.")
        if not self.losses_db or not all(loss >= 0 for loss in self.losses_db):
            raise UsageError(f"Losses of {self.losses_db} dB make no sense; use 0 or more, such as 0.05,0.1.")
        if self.frames < 0 or self.budget_s < 0:
            raise UsageError("Frames and the budget cannot be negative; leave them out for the suite's own.")


def measure_models(wanted: Wanted, path: Path | None, *, resume: bool, say: Callable[[str], None]) -> Document:
    """Measure the suites of models and return the document, saved after each model where there is a path.

    Parameters
    ----------
    wanted : Wanted
        What to measure.
    path : Path or None
        Where the document is kept.
    resume : bool
        Whether to go on with the document that is there: cases that it holds, measured with the same versions, bundles and
        number of threads, are not measured again.
    say : callable
        Called with each line of progress.

    Raises
    ------
    DeviceError
        If nothing could be measured.
    """
    document = read_document(path) if resume and path and path.exists() else new_document()

    def save() -> None:
        if path:
            write_document(document, path)

    people = tuple(contestants(list(wanted.losses_db), list(wanted.peers)))
    if reason := EnergyMeter().reason:
        say(f"Energy is not measured: {reason}.")
    skipped: list[Skipped] = []
    for suite in wanted.suites:
        job = _job(suite, wanted, people)
        skipped += (run_start if suite == "start" else run_plans)(job, document, say, save)
    for one in dict.fromkeys(skipped):
        say(f"{one.contestant} left out of {one.case}: {one.reason}")
    if not document["benchmarks"]:
        raise DeviceError("Nothing was measured: no contestant could run; the lines above say why.")
    return document


def _job(suite: str, wanted: Wanted, people: tuple[Contestant, ...]) -> Job:
    """Return the job of one suite."""
    scenario = SCENARIOS[wanted.scenario]
    pace = Pace(2.0, fewest=3) if wanted.quick else Pace(9.0, fewest=6)
    launches, rules = (1, StreamRules(least_s=0.3, most_s=5.0)) if wanted.quick else (3, StreamRules())
    if suite == "start":
        # torch.compile starts once an hour, not once a command; of Photopeak one plan is enough.
        people = tuple(
            one for one in people if one.kind != "torch-compile" and one.max_loss_db in (0, wanted.losses_db[0])
        )
        launches = 2 if wanted.quick else 5
    if scenario == "single-stream":
        launches = 1
    cases = tuple(_cases(suite, wanted, scenario))
    return Job(cases, people, wanted.threads, pace, wanted.budget_s, launches, scenario, rules)


def _cases(suite: str, wanted: Wanted, scenario: Scenario) -> list[Case]:
    """Return the cases of one suite."""
    if suite == "stack":
        models = wanted.models or tuple(name for name in names("images") if _takes_pet(name))
        return cases_of(models, wanted.matrices or [STACK_MATRIX], wanted.frames or STACK_FRAMES)
    models = wanted.models or names()
    if suite == "start":
        return cases_of(models, wanted.matrices or [START_MATRIX])
    frames = (wanted.frames or POOL_FRAMES) if scenario != "plans" else (wanted.frames or 1)
    return cases_of(models, wanted.matrices or SCANNER_MATRICES, frames)


def _takes_pet(name: str) -> bool:
    return "PT" in load_bundle(name).manifest.modalities
