"""The suite ``plans`` and its scenarios: every model on every matrix, Photopeak and its peers, saved model by model."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...engine.errors import PhotopeakError
from ...engine.fidelity import measure_fidelity
from ...engine.zoo import load_bundle, locate
from ..bounds import percentile_bound
from ..document import Document, entry
from ..versions import versions
from .cases import Case, tensor_of
from .contestants import Contestant
from .energy import EnergyMeter
from .load import others_share, processor_time
from .pool import ContestantError, Process, process
from .scenarios import StreamRules, samples_per_second, single_stream
from .turns import Pace, Turns, take_turns

__all__ = ["Job", "Skipped", "conditions_of", "measured_already", "opened", "run_plans"]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# Of the peak: larger differences than these are no matter of precision.
DEVIATIONS = {"fp32": 1e-3, "": 0.25, "bf16": 0.25}
Outputs = Mapping[str, NDArray[np.float32]]
Scenario = Literal["plans", "single-stream", "offline"]


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure.

    Parameters
    ----------
    cases : tuple of Case
        In this order; models in a row share their processes.
    contestants : tuple of Contestant
        Who takes part.
    threads : int
        Threads of everybody.
    pace : Pace
        How long a case takes at most.
    budget_s : float
        Time for everything [s]; cases that do not fit in are left for the next run. 0: no limit.
    launches : int
        How many times the processes of a model start anew: memory and threads fall into place differently each time.
    scenario : {"plans", "single-stream", "offline"}
        What of: times of calls in turns, or one of :mod:`.scenarios`, whose pool are the frames of a case.
    rules : StreamRules
        Of SingleStream.
    """

    cases: tuple[Case, ...]
    contestants: tuple[Contestant, ...]
    threads: int
    pace: Pace
    budget_s: float = 0.0
    launches: int = 1
    scenario: Scenario = "plans"
    rules: StreamRules = field(default_factory=StreamRules)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the processes: they hold the threads of whoever reads them, and nothing is reported to anybody."""
        return os.environ | dict.fromkeys(THREAD_VARIABLES, str(self.threads)) | {"ORT_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A contestant that did not take part in a case.

    Parameters
    ----------
    contestant, case, reason : str
        Who, where and why.
    """

    contestant: str
    case: str
    reason: str


def run_plans(job: Job, document: Document, say: Callable[[str], None], save: Callable[[], None]) -> list[Skipped]:
    """Measure all cases that the document does not hold yet.

    Parameters
    ----------
    job : Job
        What to measure.
    document : dict
        Gets the entries of each case.
    say, save : callable
        Called with what happens, and after each case.

    Returns
    -------
    list of Skipped
        Who did not take part.
    """
    start, skipped = monotonic(), list[Skipped]()
    people = [one.name for one in job.contestants if not one.check()]
    missing = [case for case in job.cases if not measured_already(document, job.scenario, case, job, people)]
    for model in dict.fromkeys(case.model for case in missing):
        cases = [case for case in missing if case.model == model]
        used, done = monotonic() - start, missing.index(cases[0])
        if job.budget_s and used >= job.budget_s:
            say("The time is up; run the same command with --resume to go on.")
            break
        measure_s = _share(job, used, done, len(missing) - done)
        pace = replace(job.pace, measure_s=measure_s / job.launches)
        found = {case: _Found() for case in cases}
        losses: dict[str, float] = {}
        for launch in range(job.launches):
            with opened(job, model, skipped) as processes, TemporaryDirectory(prefix="photopeak-bench-") as folder:
                losses |= {} if launch else _losses(model, processes, Path(folder))
                for case in cases:
                    _measure(case, processes, replace(job, pace=pace), Path(folder), found[case], skipped)
        for case in cases:
            entries = _entries(job.scenario, case, found[case], conditions_of(job, model) | {"losses": losses})
            document["benchmarks"] += entries
            say(_line(case, entries))
        save()
    return list(dict.fromkeys(skipped))


def _share(job: Job, used_s: float, done: int, left: int) -> float:
    """Return the time for measuring a case [s], less what starting and preparing have taken for each so far."""
    if not job.budget_s:
        return job.pace.measure_s
    overhead = max(0.0, used_s / done - job.pace.measure_s) if done else 0.0
    return min(job.pace.measure_s, max(0.0, (job.budget_s - used_s) / left - overhead))


@dataclass(slots=True)
class _Found:
    """What the launches of a case have given, by contestant and call."""

    turns: dict[tuple[str, str], list[Turns]] = field(default_factory=dict)
    extra: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)


@contextmanager
def opened(job: Job, model: str, skipped: list[Skipped]) -> Iterator[list[Process]]:
    """Start a process for each contestant that can take part; all of them end with the block."""
    file = locate(model) / "model.onnx"
    with ExitStack() as stack:
        found = []
        for contestant in job.contestants:
            if reason := contestant.check():
                skipped.append(Skipped(contestant.name, model, reason))
            else:
                found.append(stack.enter_context(process(contestant, model, file, job.threads, job.environment)))
        yield found


def _prepared(
    do: str, case: Case, processes: Sequence[Process], folder: Path, skipped: list[Skipped]
) -> dict[Process, dict[str, Any]]:
    """Hand the case's pixels to everybody; return what those answered who can run it."""
    tensor = folder / "tensor.npy"
    np.save(tensor, tensor_of(case))
    answers = {}
    for one in processes:
        try:
            answers[one] = one.ask(do=do, tensor=str(tensor))
        except ContestantError as error:
            skipped.append(Skipped(one.contestant.name, f"{case.model} {case.label}", str(error)))
    return answers


def _measure(
    case: Case, processes: Sequence[Process], job: Job, folder: Path, found: _Found, skipped: list[Skipped]
) -> None:
    """Add the turns of one launch."""
    streaming = job.scenario == "single-stream"
    answers = _prepared("pool" if streaming else "ready", case, processes, folder, skipped)
    deviations = {} if streaming else _deviations(case, answers, folder)
    askable = {(one.contestant.name, call): one for one, answer in answers.items() for call in answer["calls"]}
    if not askable:
        return
    numbers = [one.number for one in processes]
    before = processor_time(numbers)
    times = single_stream(askable, job.rules) if streaming else take_turns(askable, job.pace, EnergyMeter())
    found.others.append(others_share(before, processor_time(numbers)))
    for key, turns in times.items():
        contestant, answer = askable[key].contestant, answers[askable[key]]
        found.turns.setdefault(key, []).append(turns)
        found.extra[key] = {
            "peer": not contestant.ours,
            "kind": contestant.kind,
            "precision": contestant.precision,
            "max_loss_db": contestant.max_loss_db,
            "deviation": deviations.get(askable[key]),
            "peak_bytes": answer["peak_bytes"],
            **answer["facts"],
        }


def _entries(scenario: Scenario, case: Case, found: _Found, conditions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of one case."""
    entries, losses = [], conditions.pop("losses")
    # The pool of SingleStream is no stack: its queries are single frames.
    matrix = str(case.matrix) if scenario == "single-stream" else case.label
    most = max(map(len, found.turns.values()), default=0)
    for (name, call), launches in found.turns.items():
        if len(launches) < most:
            continue  # who failed in one launch has no turns to compare there; what was skipped says why
        params = {"model": case.model, "matrix": matrix, "contestant": name, "call": call}
        joules = [turns.joules_per_call for turns in launches]
        extra = {
            "case": f"{case.model}: {name}, {call}",
            "model": case.model,
            "matrix": matrix,
            "frames": case.frames,
            "findings": case.findings,
            "contestant": f"{name}, {call}",
            "contestant_name": name,
            "call": call,
            "others_share": float(np.mean(found.others)),
            "turns": [len(turn) for turns in launches for turn in turns.times_s],
            "launches": [len(turns.times_s) for turns in launches],
            "joules": float(np.mean([one for one in joules if one is not None])) if None not in joules else None,
            **found.extra[name, call],
            **conditions,
        }
        plan = extra.get("plan")
        extra["loss_db"] = plan["loss_db"] if plan else losses.get(name)
        data = [time for turns in launches for time in turns.data_s]
        if scenario == "single-stream" and (bound := percentile_bound(data)):
            extra["p90"] = asdict(bound)
        if scenario == "offline":
            extra["samples_per_second"] = samples_per_second(Turns([data]), case.frames)
        entries.append(entry(scenario, params, data, extra))
    return entries


def _deviations(case: Case, answers: Mapping[Process, Mapping[str, Any]], folder: Path) -> dict[Process, float]:
    """Return how far everybody's output is from that of the first peer in float32, relative to the peak.

    Raises
    ------
    PhotopeakError
        If that is more than a precision explains: who computes something else is not faster.
    """
    outputs = {one: one.output(answer["calls"][0], folder) for one, answer in answers.items()}
    exact = next((one for one in outputs if one.contestant.precision == "fp32"), None)
    if exact is None:
        return dict.fromkeys(outputs, 0.0)
    found = {one: _deviation(output, outputs[exact]) for one, output in outputs.items()}
    for one, deviation in found.items():
        if not deviation <= DEVIATIONS[one.contestant.precision]:
            raise PhotopeakError(
                f"{case.model} {case.label}: the output of {one.contestant.name} differs from that of "
                f"{exact.contestant.name} by {deviation:.2g} of the peak; it computes something else."
            )
    return found


def _deviation(output: Outputs, exact: Outputs) -> float:
    return max(
        float(np.abs(output[name] - value).max() / max(np.abs(value).max(), 1e-30)) for name, value in exact.items()
    )


def _losses(model: str, processes: Sequence[Process], folder: Path) -> dict[str, float]:
    """Return the loss of each peer of lower precision on the golden and calibration frames [dB]; our plans say theirs."""
    bundle = load_bundle(model)
    if bundle.manifest.analysis:
        return {}
    found = {}
    for one in processes:
        if one.contestant.precision == "fp32":
            found[one.contestant.name] = 0.0
        elif one.contestant.kind in ("openvino", "torch"):
            with suppress(ContestantError):  # the case says why
                remote = _Remote(one, folder, bundle.manifest.image_output.name)
                found[one.contestant.name] = measure_fidelity(bundle, remote, similarity=False).loss_db
    return found


@dataclass(frozen=True)
class _Remote:
    """A contestant's process as what the measurement of fidelity runs."""

    process: Process
    folder: Path
    output: str

    def lane(self) -> "_Remote":
        return self

    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        np.save(self.folder / "golden.npy", tensor)
        self.process.ask(do="ready", tensor=str(self.folder / "golden.npy"))
        return self.process.output("model", self.folder)[self.output]

    def heads(self, tensor: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return {self.output: self.run(tensor)}


def conditions_of(job: Job, model: str) -> dict[str, Any]:
    """Return what a figure depends on besides its name."""
    return {"threads": job.threads, "versions": versions(), "digest": load_bundle(model).digest}


def measured_already(document: Document, group: str, case: Case, job: Job, people: Sequence[str]) -> bool:
    """Return whether the document holds a case of these people; what it holds of other conditions or people is taken out."""
    wanted = conditions_of(job, case.model)
    matrix = str(case.matrix) if group == "single-stream" else case.label

    def of_case(one: Mapping[str, Any]) -> bool:
        extra = one["extra_info"]
        return one["group"] == group and (extra["model"], extra["matrix"]) == (case.model, matrix)

    same = [one for one in document["benchmarks"] if of_case(one)]
    found = {one["extra_info"]["contestant_name"] for one in same if _under(one["extra_info"], wanted)}
    if found and found >= set(people):
        return True
    document["benchmarks"] = [one for one in document["benchmarks"] if not of_case(one)]
    return False


def _under(extra: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(extra.get(name) == value for name, value in wanted.items())


def _line(case: Case, entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the medians of a case."""
    medians = ", ".join(f"{one['extra_info']['contestant']} {1e3 * one['stats']['median']:.3g}" for one in entries)
    matrix = entries[0]["extra_info"]["matrix"] if entries else case.label
    return f"{case.model} {matrix} [ms]: {medians or 'nobody could run it'}"
