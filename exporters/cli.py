"""``photopeak train``."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..engine.errors import UsageError

if TYPE_CHECKING:
    from .recipes.analysis.catalogue import AnalysisJob

_TO_TRAIN, _TO_MEASURE = ("torch", "onnxscript"), ("scipy", "skimage", "bm3d")
DataOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder with voxel phantoms, real acquisitions or chest radiographs; without it all is simulated, where it can be."
    ),
]
WorkOption = Annotated[Path, typer.Option(help="Where studies, checkpoints and cached baselines are kept.")]


def train(
    recipe: Annotated[
        str, typer.Argument(help="What to make, such as scint-denoise or cxr-view; another word lists all.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the bundle to write.")],
    data: DataOption = None,
    work: WorkOption = Path("photopeak-train"),
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps; by default those of the recipe.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Stop this run after so many minutes.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights and batches.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 2,
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint of scint-sr-x2 whose levels scint-denoise starts from; with --self-supervised the folder of a "
            "bundle, by default that of the model that ships."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="A sentence for the card, such as the hardware of the training.")] = "",
    evaluate_only: Annotated[
        bool, typer.Option("--evaluate-only", help="Measure the bundle and rewrite its card.")
    ] = False,
    self_supervised: Annotated[
        bool,
        typer.Option(
            "--self-supervised",
            help="Adapt the denoiser to the noisy DICOM images in DATA, which need no clean counterpart.",
        ),
    ] = False,
    domain_only: Annotated[
        bool, typer.Option("--domain-only", help="Fit the bundle's training domain anew and change nothing else.")
    ] = False,
) -> None:
    """Train a model, resuming where an earlier run stopped, then export, measure and describe it.

    Example: photopeak train scint-denoise --data ../shared/data --minutes 90 -o my-models/scint-denoise
    Example: photopeak train parathyroid-detect -o my-models/parathyroid-detect
    Example: photopeak train pet-denoise --self-supervised --data our-scans -o my-models/pet-denoise
    """
    from .recipes.analysis import catalogue as analyses
    from .recipes.catalogue import find

    if analysis := analyses.find(recipe):
        if self_supervised or domain_only or start_from:
            raise UsageError(
                f"{recipe} starts from nothing: leave --start-from, --self-supervised and --domain-only out."
            )
        asked_for = analyses.AnalysisJob(
            analysis, output, data, work, steps=steps, minutes=minutes, seed=seed, threads=threads, note=note
        )
        _train_analysis(asked_for, evaluate_only=evaluate_only)
        return
    chosen = find(recipe)
    if self_supervised:
        if evaluate_only or domain_only:
            raise UsageError("--self-supervised trains, leave --evaluate-only and --domain-only out.")
        require(("torch", "scipy"))
        from .adapt import adapt_bundle
        from .produce import Job
        from .recipes.adaptation import Settings

        asked = Job(chosen, output, data, work, seed=seed, threads=threads, start_from=start_from, note=note)
        found = adapt_bundle(asked, Settings(steps or Settings.steps, minutes, seed=seed))
        typer.echo(f"wrote {output}, adapted to {found.site.images} images; photopeak validate {output} checks it.")
        return
    # A training of hours must not end at a package that only the measurement needs.
    require(_TO_MEASURE if evaluate_only or domain_only else _TO_TRAIN + _TO_MEASURE)
    from .produce import Job, evaluate, produce, refit_domain

    job = Job(chosen, output, data, work, seed=seed, threads=threads, start_from=start_from, note=note)
    if domain_only:
        refit_domain(job)
    else:
        if not evaluate_only:
            produce(job, steps, minutes)
        evaluate(job)
    typer.echo(f"wrote {output}; photopeak validate {output} checks it.")


def _train_analysis(job: "AnalysisJob", *, evaluate_only: bool) -> None:
    """Train and measure a model that gives findings."""
    require(("torch", "onnxscript", "scipy", "skimage"))
    from .produce_analysis import evaluate_analysis, produce_analysis

    if not evaluate_only:
        produce_analysis(job)
    evaluate_analysis(job)
    typer.echo(f"wrote {job.output}; photopeak validate {job.output} checks it.")


def require(modules: tuple[str, ...]) -> None:
    """Refuse to begin where a package is missing."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise UsageError(f"training needs {', '.join(missing)}, not installed here: pip install 'photopeak[evaluate]'.")
