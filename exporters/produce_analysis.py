"""From a recipe to a measured bundle of a model that gives findings."""

import datetime

from ..engine.bundle import open_bundle, write_bundle
from ..engine.errors import UsageError
from .int8_card import carried_over
from .produce import UNFINISHED_CARD, check_data, progress_bar
from .recipes.analysis.catalogue import AnalysisJob

__all__ = ["evaluate_analysis", "produce_analysis"]


def produce_analysis(job: AnalysisJob) -> None:
    """Train the recipe and write its bundle with a card that says nothing yet.

    Parameters
    ----------
    job : AnalysisJob
        What to make and where.

    Raises
    ------
    UsageError
        If the data folder does not exist.
    ModelError
        If the exported graph does not compute what the network computes.
    """
    import torch

    from .analysis_bundling import bundle_analysis

    check_data(job.data)
    torch.set_num_threads(job.threads)
    job.work.mkdir(parents=True, exist_ok=True)
    name = job.recipe.name
    with progress_bar() as bar:
        task = bar.add_task(f"training {name}", total=None)
        trained = job.recipe.trainer.train(job, lambda what: bar.update(task, description=f"training {name}, {what}"))
        bar.update(task, description=f"exporting {name}")
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        bundle_analysis(job.output, job.recipe, trained, date=today, card=UNFINISHED_CARD.format(name=name))


def evaluate_analysis(job: AnalysisJob) -> None:
    """Measure the bundle on held-out cases and write its card.

    Parameters
    ----------
    job : AnalysisJob
        Whose output folder holds the bundle.

    Raises
    ------
    UsageError
        If the bundle is that of another recipe or the data folder does not exist.
    """
    check_data(job.data)
    bundle = open_bundle(job.output)
    if bundle.manifest.training.recipe != job.recipe.name:
        found = bundle.manifest.training.recipe
        raise UsageError(f"{job.output} holds {found}, not {job.recipe.name}, name the other.")
    job.work.mkdir(parents=True, exist_ok=True)
    with progress_bar() as bar:
        task = bar.add_task("measuring", total=None)
        card = job.recipe.trainer.card(bundle, job, lambda what: bar.update(task, description=f"measuring {what}"))
    write_bundle(
        job.output,
        bundle.manifest,
        model=bundle.model,
        golden=bundle.golden_heads,
        card=carried_over(card, bundle.card),
        int8=bundle.int8,
    )
