"""From a recipe to a measured bundle: studies, training, export, evaluation, card."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..engine.bundle import open_bundle, write_bundle
from ..engine.errors import UsageError
from .bundling import History, make_manifest, save
from .recipes.catalogue import Recipe, find
from .recipes.dataset import Pool, build_pool, load_or_build_pool

SIMULATED = "simulated gamma-camera images, photopeak.exporters.phantoms (Apache-2.0)"
SHARED = (
    "voxel phantoms of SPECT objects, github.com/BenAuer2021 (MIT)",
    "thorax phantom of STIR (Apache-2.0)",
    "BrainWeb labels, subject 04 (BrainWeb terms; Cocosco et al. 1997)",
    "gamma camera quality control, nmqc (Apache-2.0)",
    "nuclear medicine quality control, linaqa (BSD-style)",
)
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
        If PyTorch is not installed or the data folder does not exist.
    """
    try:
        import torch

        from .onnx import to_onnx
        from .recipes.training import Limits, Start, fit, load_trained
    except ImportError as error:
        raise UsageError(f"training needs {error.name}, which is missing: pip install 'photopeak[train]'.") from error
    torch.set_num_threads(job.threads)
    limits = Limits(steps or job.recipe.steps, minutes)
    parent = load_trained(_parent(job.recipe), job.start_from) if job.start_from else None
    pool = _pool(job)
    begin = Start(job.work / f"{job.recipe.name}.pt", job.seed, parent.net if parent else None)
    with _bar() as bar:
        task = bar.add_task(f"training {job.recipe.name}", total=limits.steps)

        def report(step: int, loss: float) -> None:
            bar.update(task, completed=step, description=f"training {job.recipe.name}, loss {loss:.4f}")

        trained = fit(job.recipe, pool, limits, begin, report)
    start = (f"weights of {job.recipe.parent} after {parent.steps} steps to start from (Apache-2.0)",) if parent else ()
    sources = (SIMULATED, *(SHARED if job.data else ()), *start)
    history = History(datetime.datetime.now(datetime.UTC).date().isoformat(), trained.seconds, trained.steps, sources)
    manifest = make_manifest(job.recipe, pool, history)
    card = UNFINISHED_CARD.format(name=job.recipe.name)
    save(job.output, manifest, job.recipe, model=to_onnx(trained.net, job.recipe.multiple), card=card)


def evaluate(job: Job) -> None:
    """Measure the bundle on held-out cases and write its card.

    Parameters
    ----------
    job : Job
        Whose output folder holds the bundle.
    """
    from .card import render
    from .evaluation.study import measure

    bundle = open_bundle(job.output)
    job.work.mkdir(parents=True, exist_ok=True)
    with _bar() as bar:
        task = bar.add_task("measuring", total=None)
        report = measure(
            job.recipe, bundle.model, job.data, job.work, lambda name: bar.update(task, description=f"measuring {name}")
        )
    card = render(bundle, report, job.note)
    write_bundle(job.output, bundle.manifest, model=bundle.model, golden=bundle.golden, card=card)


def _parent(recipe: Recipe) -> Recipe:
    """Return the recipe whose levels a recipe may take over."""
    if recipe.parent is None:
        raise UsageError(f"{recipe.name} starts from nothing, leave --start-from out.")
    return find(recipe.parent)


def _pool(job: Job) -> Pool:
    """Simulate the training studies, or read those of an earlier run."""
    if job.data and not job.data.is_dir():
        raise UsageError(f"{job.data} is no folder, give the folder with the shared collections or leave --data out.")
    job.work.mkdir(parents=True, exist_ok=True)
    with _bar() as bar:
        task = bar.add_task("simulating", total=None)
        return load_or_build_pool(
            job.work / "pool.npz",
            lambda: build_pool(
                job.data, advance=lambda name: bar.update(task, advance=1, description=f"simulating {name}")
            ),
        )


def _bar() -> Progress:
    """Progress on standard error, so that standard output stays clean."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
