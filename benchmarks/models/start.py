"""The suite ``start``: a fresh process from nothing to the first result, and the memory that it takes.

The stages are those of a command that somebody types: the interpreter with NumPy, the import of the library, loading the model,
and the first run, which compiles for the matrix. Files are in the system's cache, as one launch that is not timed goes before.
Photopeak keeps what was compiled for later processes, so that it starts in two ways: with what an earlier process has kept, and
with a cache that holds the measured plans of this user alone. Neither way touches the user's own cache. PyTorch's first run
includes turning the graph into its operators. What of Photopeak surrounds a peer is in no figure of its.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np

from ...engine import tuned
from ...engine.zoo import locate
from ..document import Document, entry
from .cases import Case, tensor_of
from .contestants import Contestant
from .pool import ContestantError, process
from .suites import Job, Skipped, conditions_of, measured_already

__all__ = ["STAGES", "run_start"]

STAGES = ("interpreter", "import", "load", "first run")
TENSOR = "tensor.npy"


def run_start(job: Job, document: Document, say: Callable[[str], None], save: Callable[[], None]) -> list[Skipped]:
    """Launch everybody for each case, in turns; see :func:`~.suites.run_plans` for the parameters."""
    skipped: list[Skipped] = []
    contestants = _with_caches(job.contestants)
    people = [one.name for one in contestants if not one.check()]
    for case in job.cases:
        if measured_already(document, "start", case, job, people):
            continue
        with TemporaryDirectory(prefix="photopeak-bench-") as folder:
            np.save(Path(folder) / TENSOR, tensor_of(case))
            found: dict[str, list[dict[str, Any]]] = {}
            for index in range(1 + job.launches):
                for contestant in contestants:
                    if index and contestant.name not in found:
                        continue  # it could not the first time
                    launched = _launched(contestant, case, Path(folder), job, skipped)
                    if launched is not None:
                        found.setdefault(contestant.name, []).append(launched)
        entries = [_entry(one, case, found[one.name][1:], job) for one in contestants if found.get(one.name, [])[1:]]
        document["benchmarks"] += entries
        save()
        medians = ", ".join(f"{one['extra_info']['contestant_name']} {one['stats']['median']:.2f}" for one in entries)
        say(f"{case.model} {case.label} start [s]: {medians}")
    return skipped


def _with_caches(contestants: Sequence[Contestant]) -> list[Contestant]:
    """Return everybody, Photopeak with what it kept and without."""
    found = []
    for one in contestants:
        ways = {f"{one.name}, cache filled": False, f"{one.name}, cache empty": True} if one.ours else {one.name: False}
        found += [replace(one, name=name, cold=cold) for name, cold in ways.items()]
    return found


def _cache(contestant: Contestant, folder: Path) -> Path:
    """Return a cache with the measured plans of this user: a new one, or that of the launches before."""
    cache = Path(mkdtemp(dir=folder)) if contestant.cold else folder / "kept"
    plans = tuned.cache_folder()
    if plans.is_dir() and not (cache / plans.name).exists():
        copytree(plans, cache / plans.name, symlinks=True)
    return cache


def _launched(
    contestant: Contestant, case: Case, folder: Path, job: Job, skipped: list[Skipped]
) -> dict[str, Any] | None:
    """Return the seconds of each stage and the memory of one launch."""
    if reason := contestant.check():
        skipped.append(Skipped(contestant.name, case.model, reason))
        return None
    environment = job.environment | {"PHOTOPEAK_CACHE_DIR": str(_cache(contestant, folder))}
    with process(contestant, case.model, locate(case.model) / "model.onnx", job.threads, environment) as one:
        try:
            stamps = one.ask(do="started") | one.ask(do="ready", tensor=str(folder / TENSOR))
        except ContestantError as error:
            skipped.append(Skipped(contestant.name, f"{case.model} {case.label}", str(error)))
            return None
        spans = [
            (one.spawned_ns, stamps["main_ns"]),
            (stamps["begun_ns"], stamps["imported_ns"]),
            (stamps["adapted_ns"], stamps["loaded_ns"]),
            (stamps["loaded_ns"], stamps["first_ns"]),
        ]
        seconds = [(last - first) / 1e9 for first, last in spans]
        around = stamps["adapted_bytes"] - stamps["imported_bytes"]
        memory = {"imported_bytes": stamps["imported_bytes"], "peak_bytes": max(0, stamps["peak_bytes"] - around)}
        return dict(zip(STAGES, seconds, strict=True)) | memory


def _entry(contestant: Contestant, case: Case, launches: list[dict[str, Any]], job: Job) -> dict[str, Any]:
    params = {"model": case.model, "matrix": case.label, "contestant": contestant.name}
    medians = {name: float(np.median([one[name] for one in launches])) for name in launches[0]}
    extra = {
        "case": f"{case.model}: {contestant.name}",
        "model": case.model,
        "matrix": case.label,
        "contestant": contestant.name,
        "contestant_name": contestant.name,
        "peer": not contestant.ours,
        "kind": contestant.kind,
        "stages_s": {name: medians[name] for name in STAGES},
        "imported_bytes": medians["imported_bytes"],
        "peak_bytes": medians["peak_bytes"],
        **conditions_of(job, case.model),
    }
    return entry("start", params, [sum(one[name] for name in STAGES) for one in launches], extra)
