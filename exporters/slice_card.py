"""The card of a PET model: what it was trained on, what it measured, where it ends."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..engine.bundle import Bundle
from .card import bias_table, figure_table, gain_by_kind_table, gain_table, kind, markdown
from .evaluation.metrics import bootstrap
from .evaluation.slice_study import SliceReport, SphereScore
from .evaluation.slices import CLINICAL
from .evaluation.study import OURS
from .recipes.catalogue import find

_WHAT = {
    "denoise": (
        "Input: a reconstructed PET slice in Bq/ml. Output: what the same reconstruction would give without counting noise, on "
        "the same matrix."
    ),
    "super-resolution": (
        "Input: a reconstructed PET slice in Bq/ml. Output: the expected concentration on a matrix of twice the rows and columns, at "
        "a resolution of 3 mm (or 1.5 output pixels, where that is more)."
    ),
}
_TRUTH = {
    "denoise": "the same reconstruction of the noise-free projections",
    "super-resolution": "the object itself at the resolution aimed at, so that a filter of the reconstruction counts as an error too",
}
_CARD = """# {name}

{title}. Version {version}, {licence}. {what} The engine divides each slice by its 99.5th percentile first, and
keeps the mean of the slice exactly.

## Network

A U-shaped network of 3x3 convolutions on three levels, {size:.1f} MB in float32. It works on the square root of the slice, where noise
that grows with the signal is more even; what its strength is, the network reads off the slice itself. The output is a
square, hence never negative.

## Training

* Data: {data}. No patient and no real phantom was trained on.
* Simulated: transverse slices of brains, chests, abdomens, NEMA and Derenzo phantoms and random shapes; 511 keV attenuation; detectors of
  3.5 to 7 mm; scatter and randoms of 0 to 60 % each, known to the reconstruction; Poisson counts of {low:.0e} to {high:.0e} true
  coincidences in a slice; OSEM (1 to 6 iterations of 10 subsets, with or without resolution modelling) or filtered
  back-projection, Gaussian filters of 0 to 7 mm; matrices {matrices}. Target: {truth}.
* Loss: squared error weighted by the inverse of the local and of the slice's mean, both of the noisy input alone.
* {steps} steps of {batch} patches of {patch}x{patch} output pixels, AdamW, cosine schedule, averaged weights, bfloat16 products on a CPU;
  {hours:.1f} h of wall time, {date}.{note}

## Held-out slices

{cases} simulated slices ({kinds}) of other seeds than training; "hoffman-like" slices are made from the segmented MRI of a real
head (BrainWeb, subject 04; Aubert-Broche et al. 2006), grey to white matter 4 to 1, of which training saw nothing. Count level 1 stands
for {clinical:.0e} true coincidences in a slice. PSNR and SSIM are taken against {truth}, with its 99.9th percentile as peak.
Mean over the slices with the bootstrap interval of 95 %. "Tuned" methods know the truth: their strength is the best of a few
for every single slice. This model is measured as delivered, with the mean restored.

### PSNR [dB]

{psnr}

{gain}

The same by kind of object, mean gain over the best other method of each count level [dB]:

{by_kind}

### SSIM

{ssim}

### Mean of the slice

Mean of the output over that of the input, minus 1, **before** the engine restores it; after it the deviation is zero up to rounding.

{bias}

### Lesions

Mean and maximum inside the hot lesions of the torso slices, relative to those of {truth} [%]. The maximum of a noisy lesion is
too high by its noise, that of a smooth one too low.

{lesions}
{spheres}
## Speed

ONNX Runtime, float32, 2 threads, one slice, fastest of 15 runs (other work on the machine makes it slower): {speed}.

## Limits

* Trained on simulations in two dimensions with ideal corrections: no motion, no wrong attenuation map, no 3-D correlation of noise.
* What noise hides is not brought back: small lesions at few counts come out fainter (tables above). Look at the original too.
* Not a medical device; made for research and for engineering.

## Made with

    photopeak train {name} -o {name}  # simulates, trains, exports, measures
    photopeak train {name} --data DIR -o {name} --evaluate-only --note "..."  # measures again and rewrites this card

The first makes a model of this kind, not the same weights: steps and time differ from machine to machine.
"""
_SPHERES = """
### Contrast against background variability

The sphere plane of the NEMA phantom (hot spheres of 4 to 1), {repeats} scans at each count level. Recovery is the contrast of the
spheres of 10, 13 and 17 mm over that of the noise-free reconstruction; variability is the standard deviation of twelve background
circles of 17 mm over their mean. For each other method the recovery that it has, at some strength, at **this model's
variability**; "never" where no strength gets there.

{table}
"""


def render_slices(bundle: Bundle, report: SliceReport, note: str = "") -> str:
    """Return the card of a PET model in Markdown; every number in it was measured.

    Parameters
    ----------
    bundle : Bundle
        The model with its manifest.
    report : SliceReport
        Its evaluation.
    note : str
        What else is to be said about the training, such as the hardware.

    Returns
    -------
    str
        Markdown.
    """
    manifest, training = bundle.manifest, bundle.manifest.training
    recipe = find(training.recipe)
    cases = sorted({score.case for score in report.scores})
    low, high = training.coincidences or (0.0, 0.0)
    return _CARD.format(
        name=manifest.name,
        title=manifest.title,
        version=manifest.version,
        licence=manifest.licence,
        what=_WHAT[manifest.task],
        truth=_TRUTH[manifest.task],
        size=len(bundle.model) / 1e6,
        data="; ".join(training.data),
        low=low,
        high=high,
        matrices=", ".join(training.matrices),
        steps=training.steps,
        batch=recipe.batch,
        patch=recipe.patch,
        hours=training.seconds / 3600,
        date=training.date,
        note=f" {note}" if note else "",
        cases=len(cases),
        kinds=", ".join(sorted(set(map(kind, cases)))),
        clinical=CLINICAL,
        psnr=figure_table(report.scores, "psnr", 2),
        gain=gain_table(report.scores, manifest.task),
        by_kind=gain_by_kind_table(report.scores),
        ssim=figure_table(report.scores, "ssim", 3),
        bias=bias_table(report.scores),
        lesions=_lesions(report),
        spheres=_spheres(report.spheres),
        speed=", ".join(f"{size} {ms:.1f} ms" for size, ms in report.speed_ms.items()),
    )


def _lesions(report: SliceReport) -> str:
    """Tabulate the bias of lesions: mean / maximum."""
    levels = sorted({score.level for score in report.lesions})
    rows = []
    for method in dict.fromkeys(score.method for score in report.lesions):
        cells = []
        for level in levels:
            found = [s for s in report.lesions if s.method == method and s.level == level]
            mean, peak = (bootstrap(100 * np.array([getattr(s, f) for s in found])) for f in ("mean_bias", "max_bias"))
            cells.append(f"{mean.mean:+.1f} / {peak.mean:+.1f}")
        rows.append((f"**{method}**" if method == OURS else method, *cells))
    return markdown(("counts, mean / maximum", *(f"1/{round(1 / level)}" for level in levels)), rows)


def _spheres(scores: Sequence[SphereScore]) -> str:
    """Compare recoveries at equal variability; empty where nothing was measured."""
    if not scores:
        return ""
    levels, rows = sorted({score.level for score in scores}), []
    curves = {level: _curves([score for score in scores if score.level == level]) for level in levels}
    for method in curves[levels[0]]:
        cells = []
        for level in levels:
            ours = curves[level][OURS][0]
            recovery, variability = ours if method == OURS else _at(curves[level][method], ours[1])
            cells.append(f"{recovery:.3f} at {100 * variability:.2f} %" if np.isfinite(recovery) else "never")
        rows.append((f"**{method}**" if method == OURS else method, *cells))
    repeats = sum(score.method == OURS and score.level == levels[0] for score in scores)
    table = markdown(("counts", *(f"1/{round(1 / level)}" for level in levels)), rows)
    return _SPHERES.format(repeats=repeats, table=table)


def _curves(scores: Sequence[SphereScore]) -> dict[str, list[tuple[float, float]]]:
    """Return recovery and variability of each method, one point per strength, mean over the scans."""
    found: dict[str, list[tuple[float, float]]] = {}
    for method, strength in dict.fromkeys((score.method, score.strength) for score in scores):
        group = [score for score in scores if (score.method, score.strength) == (method, strength)]
        point = float(np.mean([s.recovery for s in group])), float(np.mean([s.variability for s in group]))
        found.setdefault(method, []).append(point)
    return found


def _at(curve: list[tuple[float, float]], variability: float) -> tuple[float, float]:
    """Return the best recovery of a curve, straight between its points, at a variability; NaN if it does not reach it."""
    crossings = [
        a[0] + (b[0] - a[0]) * (variability - a[1]) / (b[1] - a[1])
        for a, b in pairwise(curve)
        if min(a[1], b[1]) <= variability <= max(a[1], b[1]) and a[1] != b[1]
    ]
    return max(crossings, default=float("nan")), variability
