"""From a bundle and a folder of a site's own images to a bundle that is adapted to them."""

import datetime
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..engine import domain
from ..engine.bundle import Bundle, Domain, Golden, Input, Manifest, Training, open_bundle, write_bundle
from ..engine.errors import UsageError
from ..engine.zoo import load_bundle
from . import parity
from .adaptation_card import render_adapted
from .architectures import build
from .inference import Runner
from .produce import Job, progress_bar
from .recipes.adaptation import Adapted, Settings, Views, adapt
from .recipes.catalogue import RECIPES, Recipe
from .recipes.site_images import Site, read_site, views
from .weights import load_weights, with_weights

SUFFIX = "-adapted"
FLAG = " --self-supervised"
_SPLITS = 4  # of each image, for the domain


@dataclass(frozen=True)
class Outcome:
    """An adaptation and what came of it.

    Parameters
    ----------
    bundle : Bundle
        As it was written.
    site : Site
        What it was adapted to.
    adapted : Adapted
        Steps, time and errors.
    """

    bundle: Bundle
    site: Site
    adapted: Adapted


def adapt_bundle(job: Job, settings: Settings) -> Outcome:
    """Adapt the model of a recipe to the images in a folder and write it as a bundle.

    Parameters
    ----------
    job : Job
        Recipe, folder of images, output, and with ``start_from`` the folder of the bundle to start from instead of the one that ships.
    settings : Settings
        Steps, time and step width.

    Returns
    -------
    Outcome
        With the bundle. Its golden images are those of the bundle before, which are simulated: no image of the site is in it.

    Raises
    ------
    UsageError
        If the recipe is no denoiser of noisy images alone, there is no folder, or the bundle is that of another recipe.
    InputError
        If too few of the images suit.
    ModelError
        If the images do not make the model better, or the graph does not compute what the network computes.
    """
    recipe = job.recipe
    if recipe.task != "denoise":
        known = " or ".join(r.name for r in RECIPES if r.task == "denoise")
        raise UsageError(f"{recipe.name} cannot learn from noisy images alone, choose {known}.")
    if job.data is None or not job.data.is_dir():
        raise UsageError(f"{job.data or 'nothing'} is no folder, give the folder of the site's own images with --data.")
    torch.set_num_threads(job.threads)
    before = _start(job)
    net = build(recipe)
    load_weights(net, before)
    with progress_bar() as bar:
        task = bar.add_task("reading", total=settings.steps)
        site = read_site(job.data, recipe, lambda name: bar.update(task, description=f"reading {name}"))
        learned, judged = map(views, site.split())

        def tell(step: int, error: float) -> None:
            bar.update(
                task, completed=step, description=f"adapting {recipe.name}, held-out error {error:.4f} of that before"
            )

        adapted = adapt(net, recipe, learned, judged, settings, tell)
    model = with_weights(before.model, adapted.net.eval())
    parity.check(adapted.net, model, recipe.multiple)
    manifest = _manifest(before, recipe, site, adapted, _joined(before, learned, judged))
    card = render_adapted(manifest, before, site, adapted, job.note)
    golden = Golden(before.golden.input, Runner(model)(before.golden.input), before.golden.truth)
    return Outcome(write_bundle(job.output, manifest, model=model, golden=golden, card=card), site, adapted)


def fit_site_domain(taken: Input, learned: Views, judged: Views) -> Domain:
    """Return the domain of a site's images, as they are and as the adaptation saw them; the held-out ones set the limits."""

    def features(images: Views, seed: int) -> NDArray[np.float64]:
        rng = np.random.default_rng([41, seed])
        seen = [image for _ in range(_SPLITS) for image in images.inputs(rng)]
        rows = [domain.features(i[None], scaling=taken.scaling, units=taken.units) for i in (*images.images, *seen)]
        return np.concatenate(rows)

    return domain.fit_domain(features(learned, 0), features(judged, 1))


def _joined(before: Bundle, learned: Views, judged: Views) -> Domain:
    """Return the domain of the bundle before with the kinds of images that the site has: the weights know both."""
    known = before.manifest.domain
    own = fit_site_domain(before.manifest.input, learned, judged)
    return known.model_copy(update={"modes": (*(known.modes or (known.mean,)), *(own.modes or (own.mean,)))})


def _start(job: Job) -> Bundle:
    """Open the bundle to start from: the one that ships, unless another one is named."""
    bundle = open_bundle(job.start_from) if job.start_from else load_bundle(job.recipe.name)
    if bundle.manifest.training.recipe.removesuffix(FLAG) != job.recipe.name:
        raise UsageError(
            f"{bundle.folder} holds {bundle.manifest.training.recipe}, not {job.recipe.name}, name the other."
        )
    return bundle


def _manifest(before: Bundle, recipe: Recipe, site: Site, adapted: Adapted, fitted: Domain) -> Manifest:
    """Return the manifest of the bundle before with what has changed."""
    kept = before.manifest
    means = [float(image.mean()) for one in site.series for image in one.images]
    training = Training(
        recipe=recipe.name + FLAG,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        seconds=round(adapted.seconds, 3),
        steps=adapted.steps,
        matrices=tuple(sorted({"x".join(map(str, one.images.shape[1:])) for one in site.series})),
        counts_per_pixel=(min(means), max(means)) if recipe.family == "scintigraphy" else None,
        data=(
            f"{site.images} images of modality {site.modality} in {site.files} files of the site's own",
            f"weights of {kept.name} {kept.version}, SHA-256 {before.digest[:12]} ({kept.licence})",
            *kept.training.data,
        ),
    )
    return kept.model_copy(
        update={
            "name": kept.name.removesuffix(SUFFIX) + SUFFIX,
            "title": f"{recipe.title}, adapted to a site's own images",
            "training": training,
            "domain": fitted,
        }
    )
