"""The card of a model that was adapted to a site's own images."""

import numpy as np

from ..engine.bundle import Bundle, Manifest
from .recipes.adaptation import Adapted
from .recipes.noise import Noise
from .recipes.site_images import Site

_CARD = """# {name}

{title}. Version {version}, {licence}. Made from {parent} {parent_version} (SHA-256 {digest}...), whose card holds for everything that is
not said here.

## Adaptation

* Images: {images} of modality {modality} in {files} files and {series} series, matrices {matrices}{left_out}. A quarter of them was held out.
  No clean image took part, and no image of the site is in this bundle: its golden images are simulated.
* Method: {method}
* Loss: mean squared error against the noisy target, weighted by the inverse of the local and of the patch's mean of the input.
* {steps} steps, Adam, averaged weights, {seconds:.0f} s of wall time, {date}.{note}
* Weights were kept where the error on the held-out images was least and the mean off by at most 1 %.

| on held-out images | before | after |
|---|---|---|
| squared error against the noisy target, over the mean | {before:.5f} | {after:.5f} |

The error fell by {fell:.5f} with a standard error of {deviation:.5f}. Most of what remains is the noise of the targets (and what differs
between slices), which nothing can predict: the share of the model's own error that is gone is larger, and unknown. Before the engine restores it, the mean of the output
deviates from that of the input by {bias:+.2f} %.

## Training domain

That of {parent}, with the kinds of images added that the site's own images and their noisier versions form.

## Limits

* {limit}
* What the site's images do not hold, such as lesions, may come out fainter than before.
* Nothing was measured against a truth: there is none. `photopeak study adaptation` measures this recipe where there is one.
* Look at the original too. Not a medical device; made for research and for engineering.

## Made with

    photopeak train {recipe} --data DIR -o BUNDLE
"""
_METHODS = {
    "NM": (
        "thinning. Each count goes to the input with a probability of 0.5 to 0.9, else to the target: Poisson counts split so are "
        "independent of each other."
    ),
    "PT": (
        "recorruption. Noise as the slices have it was measured in second differences along the axis ({noise}); drawn anew, half of it is "
        "added to the input and twice of it taken from the target, which makes the noises of the two uncorrelated. Held-out slices were "
        "judged as they are, by the mean of two slices so far away on both sides that these have another noise."
    ),
}
_LIMITS = {
    "NM": "Valid for whole counts with Poisson noise; filtered, rescaled or resampled images were left out and should not be given to it.",
    "PT": (
        "As good as the measured noise: what is taken for noise and is none gets smoothed, and noise that is missed stays. It is "
        "taken for Gaussian, with one correlation in the whole series."
    ),
}


def render_adapted(manifest: Manifest, before: Bundle, site: Site, adapted: Adapted, note: str = "") -> str:
    """Return the card in Markdown; it names no patient, file or folder.

    Parameters
    ----------
    manifest : Manifest
        Of the adapted bundle.
    before : Bundle
        What it started from.
    site : Site
        The images.
    adapted : Adapted
        Steps, time and errors.
    note : str
        What else is to be said.

    Returns
    -------
    str
        The card.
    """
    training = manifest.training
    noises = [one.noise for one in site.series if one.noise is not None]
    reasons = "; ".join(f"{number} {reason}" for reason, number in site.left_out.items())
    return _CARD.format(
        name=manifest.name,
        title=manifest.title,
        version=manifest.version,
        licence=manifest.licence,
        parent=before.manifest.name,
        parent_version=before.manifest.version,
        digest=before.digest[:12],
        images=site.images,
        modality=site.modality,
        files=site.files,
        series=len(site.series),
        matrices=", ".join(training.matrices),
        left_out=f"; left out: {reasons}" if reasons else "",
        method=_METHODS[site.modality].format(noise=_described(noises)),
        steps=training.steps,
        seconds=training.seconds,
        date=training.date,
        note=f" {note}" if note else "",
        before=adapted.before,
        after=adapted.after,
        fell=adapted.before - adapted.after,
        deviation=adapted.deviation,
        bias=100 * adapted.bias,
        limit=_LIMITS[site.modality],
        recipe=training.recipe,
    )


def _described(noises: list[Noise]) -> str:
    """Say what noise was measured, as medians over the series."""
    if not noises:
        return ""
    beside = np.median([(noise.correlation[0, 1] + noise.correlation[1, 0]) / 2 for noise in noises])
    axial, exponent = (np.median(values) for values in zip(*((n.axial, n.exponent) for n in noises), strict=True))
    return (
        f"correlation of {beside:.2f} between neighbouring pixels and {axial:.2f} between neighbouring slices, variance growing with the "
        f"power {exponent:.2f} of the concentration"
    )
