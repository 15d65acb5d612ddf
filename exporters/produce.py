"""From a recipe to a measured bundle: studies, training, export, evaluation, card."""

import datetime
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..engine.bundle import Bundle, open_bundle, write_bundle
from ..engine.errors import UsageError
from . import families
from .bundling import History, make_manifest, save
from .int8_card import carried_over
from .recipes.catalogue import Recipe, find
from .recipes.dataset import Source

if TYPE_CHECKING:
    from .recipes.training import Trained

UNFINISHED_CARD = "# {name}\n\nLicence Apache-2.0. Not measured yet: run `photopeak train {name} --evaluate-only`.\n"


@dataclass(frozen=True)
class Job:
    """One production of a model.

    Parameters
    ----------
    recipe : Recipe
        What to make.
    output : Path
        Folder of the bundle.
    data : Path or None
        Folder with the shared collections.
    work : Path
        Folder for studies, checkpoints and caches.
    seed : int
        Seed of weights and batches.
    threads : int
        Threads of torch.
    start_from : Path or None
        Checkpoint of the recipe's parent.
    note : str
        What else the card shall say about the training.
    """

    recipe: Recipe
    output: Path
    data: Path | None
    work: Path
    seed: int = 0
    threads: int = 2
    start_from: Path | None = None
    note: str = ""


def produce(job: Job, steps: int | None = None, minutes: float | None = None) -> None:
    """Train the recipe and write its bundle with a card that says nothing yet.

    Parameters
    ----------
    job : Job
        What to make and where.
    steps : int, optional
        Optimiser steps; by default those of the recipe.
    minutes : float, optional
        Wall time of this run.

    Raises
    ------
    UsageError
        If the data folder does not exist.
    ModelError
        If the exported graph does not compute what the network computes.
    """
    import torch

    from . import parity
    from .architectures import deployed
    from .onnx import to_onnx
    from .recipes.training import Limits, Start, fit, load_trained

    torch.set_num_threads(job.threads)
    limits = Limits(steps or job.recipe.steps, minutes)
    parent = load_trained(_parent(job.recipe), job.start_from) if job.start_from else None
    pool = _pool(job)
    sources = (*families.find(job.recipe.family).sources(job.data), *(_inherited(job.recipe, parent) if parent else ()))
    begin = Start(job.work / f"{job.recipe.name}.pt", job.seed, parent.net if parent else None, sources)
    with progress_bar() as bar:
        task = bar.add_task(f"training {job.recipe.name}", total=limits.steps)

        def report(step: int, loss: float) -> None:
            bar.update(task, completed=step, description=f"training {job.recipe.name}, loss {loss:.4f}")

        trained = fit(job.recipe, pool, limits, begin, report)
        if further := job.recipe.adversarial_steps:
            from .recipes.adversarial import Schedule, refine

            begun = time.monotonic()
            schedule = Schedule(steps=further, feature_steps=min(further, Schedule.feature_steps))
            refine(trained.net, pool, job.recipe, schedule, job.seed)
            trained = replace(
                trained, steps=trained.steps + further, seconds=trained.seconds + time.monotonic() - begun
            )
    net = deployed(trained.net)
    model = to_onnx(net, job.recipe.multiple)
    parity.check(net, model, job.recipe.multiple)
    history = History(
        datetime.datetime.now(datetime.UTC).date().isoformat(), trained.seconds, trained.steps, trained.sources
    )
    manifest = make_manifest(job.recipe, pool, history)
    card = UNFINISHED_CARD.format(name=job.recipe.name)
    save(job.output, manifest, job.recipe, model=model, card=card)


def evaluate(job: Job) -> None:
    """Measure the bundle on held-out cases and write its card.

    Parameters
    ----------
    job : Job
        Whose output folder holds the bundle.

    Raises
    ------
    UsageError
        If the bundle is that of another recipe or the data folder does not exist.
    """
    check_data(job.data)
    bundle = _open_own(job)
    job.work.mkdir(parents=True, exist_ok=True)
    with progress_bar() as bar:
        task = bar.add_task("measuring", total=None)
        tell = lambda name: bar.update(task, description=f"measuring {name}")
        card = families.find(job.recipe.family).card(bundle, job.recipe, job, job.note, tell)
    write_bundle(
        job.output,
        bundle.manifest,
        model=bundle.model,
        golden=bundle.golden,
        card=carried_over(card, bundle.card),
        int8=bundle.int8,
        calibration=bundle.calibration,
    )


def refit_domain(job: Job) -> None:
    """Measure the training domain anew and write it into the bundle; graph, golden tensors and card stay as they are.

    Parameters
    ----------
    job : Job
        Whose output folder holds the bundle, and whose work folder the studies that it was trained on.

    Raises
    ------
    UsageError
        If the bundle is that of another recipe or the data folder does not exist.
    """
    bundle = _open_own(job)
    what = families.find(job.recipe.family).describe(job.recipe, _pool(job))
    manifest = bundle.manifest.model_copy(update={"domain": what.domain})
    write_bundle(
        job.output,
        manifest,
        model=bundle.model,
        golden=bundle.golden,
        card=bundle.card,
        int8=bundle.int8,
        calibration=bundle.calibration,
    )


def _open_own(job: Job) -> Bundle:
    """Open the bundle of a job; that of another recipe is refused."""
    bundle = open_bundle(job.output)
    if bundle.manifest.training.recipe != job.recipe.name:
        raise UsageError(
            f"{job.output} holds {bundle.manifest.training.recipe}, not {job.recipe.name}, name the other."
        )
    return bundle


def _inherited(recipe: Recipe, parent: "Trained") -> tuple[str, ...]:
    """Name the weights that a training starts from, and what those were trained on."""
    hours = parent.seconds / 3600
    return (*parent.sources, f"weights of {recipe.parent} after {parent.steps} steps in {hours:.1f} h (Apache-2.0)")


def check_data(data: Path | None) -> None:
    """Refuse a folder that is not there: nothing may be left out unsaid."""
    if data and not data.is_dir():
        raise UsageError(f"{data} is no folder, give the folder with the shared collections or leave --data out.")


def _parent(recipe: Recipe) -> Recipe:
    """Return the recipe whose levels a recipe may take over."""
    if recipe.parent is None:
        raise UsageError(f"{recipe.name} starts from nothing, leave --start-from out.")
    return find(recipe.parent)


def _pool(job: Job) -> Source:
    """Simulate the training studies, or read those of an earlier run."""
    check_data(job.data)
    job.work.mkdir(parents=True, exist_ok=True)
    with progress_bar() as bar:
        task = bar.add_task("simulating", total=None)
        tell = lambda name: bar.update(task, advance=1, description=f"simulating {name}")
        return families.find(job.recipe.family).pool(job.recipe, job.data, job.work, tell)


def progress_bar() -> Progress:
    """Progress on standard error, so that standard output stays clean."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
