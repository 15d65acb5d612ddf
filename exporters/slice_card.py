"""The card of a PET model: what it was trained on, what it measured, where it ends."""

from collections.abc import Sequence

import numpy as np

from ..engine.bundle import Bundle
from .card import FRACTIONS, bias_table, figure_table, gain_by_kind_table, gain_table, kind
from .evaluation.contrast import best_at, mean_curves
from .evaluation.metrics import bootstrap
from .evaluation.nema_scan import RECONSTRUCTIONS
from .evaluation.slice_study import RAW, SliceReport, SphereScore
from .evaluation.slices import CLINICAL
from .evaluation.study import OURS
from .markdown import markdown
from .recipes.catalogue import find

_WHAT = {
    "denoise": (
        "Input: a reconstructed PET slice in Bq/ml. Output: what the same reconstruction would give without counting noise, on "
        "the same matrix."
    ),
    "super-resolution": (
        "Input: a reconstructed PET slice in Bq/ml. Output: what the same reconstruction would give of data without counting noise, on "
        "a matrix of twice the rows and columns and without filter afterwards, as there is no noise to suppress. Hence the model undoes "
        "the filter as far as the noise allows: edges get steeper and maxima higher than in the input. The resolution of the detectors stays."
    ),
}
_TRUTH = {
    "denoise": "the same reconstruction of the noise-free projections",
    "super-resolution": "the reconstruction of the noise-free projections on the larger matrix, without filter",
}
_ROOT = (
    "It works on the square root of the slice, where noise that grows with the signal is more even; what its strength is, the "
    "network reads off the slice itself. The output is a square, hence never negative."
)
_NETWORK = {
    "count-net": f"A U-shaped network of 3x3 convolutions on three levels. {_ROOT}",
    "fast": "3x3 convolutions at half and at a quarter of the input's sides, which change a sum of linear filters of 11x11 pixels that "
    "interpolate the slice; how much of each filter is taken, the network reads off the spectrum of 72x72 pixels around and adjusts pixel "
    f"by pixel; trained as sums of branches, exported as plain convolutions. {_ROOT}",
    "srcnn": "SRCNN (Dong et al. 2016) on the bicubic image, convolutions of 9x9, 1x1 and 5x5, here **for comparison** with the others.",
    "srresnet": "The generator of SRGAN (Ledig et al. 2017) without batch normalisation, narrower and shallower than in the paper, here "
    "**for comparison** with the others: it was trained for small errors first, then to please a discriminator and a feature "
    "network, so that detail in its output may be invented.",
}
_LOSS = {
    "logarithm": (
        "mean logarithm over the patches of the squared error, which is weighted by the inverse of the local and of the patch's mean, "
        "both of the noisy input alone"
    ),
    "decibels": "mean logarithm over the patches of the squared error over the patch's mean square, which is what PSNR counts",
}
HOFFMAN_LEVELS = (1 / 16, 1 / 4, 1.0, 4.0)
_NEGATIVE = (
    " Negative values, which filtered back-projection makes (some of the brains and chests), are zeros for BM3D + Anscombe, and cost it much "
    "there; the share of cases won tells more than the mean."
)
_CARD = """# {name}

{title}. Version {version}, {licence}. {what} The engine divides each slice by its 99.5th percentile first, and
keeps the mean of the slice exactly.

## Network

{network} {size:.2f} MB in float32.

## Training

* Data: {data}. No patient and no real phantom was trained on.
* Simulated: transverse slices of brains, chests, abdomens, NEMA and Derenzo phantoms and random shapes; 511 keV attenuation; detectors of
  3.5 to 7 mm; scatter and randoms of 0 to 60 % each, known to the reconstruction; Poisson counts of {low:.0e} to {high:.0e} true
  coincidences in a slice; OSEM (1 to 6 iterations of 10 subsets, with or without resolution modelling) or filtered
  back-projection, Gaussian filters of 0 to 7 mm; matrices {matrices}. Target: {truth}.
* Loss: {loss}.
* {steps} steps of {batch} patches of {patch}x{patch} output pixels, AdamW, cosine schedule, averaged weights, bfloat16 products on a CPU;
  {hours:.1f} h of wall time, {date}.{note}

## Held-out slices

{cases} simulated slices ({kinds}) of other seeds than training; "hoffman-like" slices are made from the segmented MRI of a real
head (BrainWeb, subject 04; Aubert-Broche et al. 2006), grey to white matter 4 to 1, of which training saw nothing. Count level 1 stands
for {clinical:.0e} true coincidences in a slice. PSNR and SSIM are taken against {truth}, with its 99.9th percentile as peak{maximum}.
Mean over the slices with the bootstrap interval of 95 %. "Tuned" methods know the truth: their strength is the best of a few
for every single slice.{negative} This model is measured as delivered, with the mean restored.

### PSNR [dB]

{psnr}

{gain}

The same by kind of object, mean gain over the best other method of each count level [dB]:

{by_kind}

### SSIM

{ssim}
{hoffman}
### Mean of the slice

Mean of the output over that of the input, minus 1, **before** the engine restores it; after it the deviation is zero up to rounding.

{bias}

### Lesions

Mean and maximum inside the hot lesions of the torso slices, relative to those of {truth} [%]. The maximum of a noisy lesion is
too high by its noise, that of a smooth one too low.

{lesions}
{spheres}{scan}
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
circles as large as each of these spheres over their mean. For each other method the recovery that it has, at some strength, at **this model's
variability**; "never" where no strength gets there.

{table}
"""
_SCAN = """
### A real scan of the NEMA phantom

One scan, reconstructed twice (pynemaiqpet, 192x192, pixels of 2.08 mm); spheres and background were found in the image, in the plane
through the spheres and 10 and 20 mm to either side. Recovery is the contrast of the spheres of 10, 13 and 17 mm over that of recon_1 as
it is; variability as above, over all five planes. Every method worked on recon_1. The other methods are shown at the strength at which
they have **this model's recovery**. One scan, hence no interval; training saw no real image.

{table}
"""
_HOFFMAN = """
### Hoffman-like slices of 128x128 to 256x256

Three planes of the BrainWeb head in fields of several sizes; detectors of 4.5 mm, OSEM of 4 iterations and 10 subsets, Gaussian filter
of 4 mm. PSNR [dB] / SSIM, mean over the planes; where pixels are large beside the filter, interpolation has little of it to undo.

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
        network=_NETWORK[recipe.architecture],
        loss=_LOSS[recipe.loss],
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
        maximum=_maximum(report.maximum_db),
        negative=_NEGATIVE if manifest.task == "denoise" else "",
        hoffman=_hoffman(report) if manifest.task == "super-resolution" else "",
        spheres=_spheres(report.spheres),
        scan=_scan(report.scan),
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
    return markdown(("counts, mean / maximum", *(FRACTIONS[level] for level in levels)), rows)


def _maximum(decibels: float) -> str:
    """Say what another peak would give; nothing where no slice was there to tell."""
    return (
        f" (with the maximum as peak, figures of the Hoffman-like slices are {decibels:.2f} dB higher)"
        if decibels > 0
        else ""
    )


def _hoffman(report: SliceReport) -> str:
    """Tabulate the Hoffman-like slices field by field; empty where nothing was measured."""
    scores = [score for score in report.scores if "hoffman" in score.case]
    if not scores:
        return ""
    levels, rows = sorted({score.level for score in scores} & set(HOFFMAN_LEVELS)), []
    for field in dict.fromkeys(kind(score.case) for score in scores):
        for method in dict.fromkeys(score.method for score in scores):
            cells = []
            for level in levels:
                here = [s for s in scores if (kind(s.case), s.method, s.level) == (field, method, level)]
                cells.append(f"{np.mean([s.psnr for s in here]):.2f} / {np.mean([s.ssim for s in here]):.4f}")
            rows.append((field.removeprefix("hoffman-like "), f"**{method}**" if method == OURS else method, *cells))
    return _HOFFMAN.format(table=markdown(("field", "method", *(FRACTIONS[level] for level in levels)), rows))


def _scan(scores: Sequence[SphereScore]) -> str:
    """Compare variabilities at equal recovery on the real phantom; empty where it was not there."""
    return _SCAN.format(table=scan_table(scores)) if scores else ""


def scan_table(scores: Sequence[SphereScore]) -> str:
    """Tabulate the real phantom: each method's variability at this model's recovery."""
    curves = mean_curves(scores)
    raw, ours = curves[RECONSTRUCTIONS[0]][0], curves[OURS][0]
    rows = []
    for method, curve in curves.items():
        recovery, variability = curve[0]
        if method not in (OURS, *RECONSTRUCTIONS):
            variability, recovery = best_at([(v, r) for r, v in [raw, *curve]], ours[0], best=min)
        shown = (f"{recovery:.3f}", f"{100 * variability:.2f}") if np.isfinite(variability) else ("never", "")
        rows.append((f"**{method}**" if method == OURS else method, *shown))
    return markdown(("image", "recovery", "variability [%]"), rows)


def _spheres(scores: Sequence[SphereScore]) -> str:
    """Compare recoveries at equal variability; empty where nothing was measured."""
    if not scores:
        return ""
    levels, rows = sorted({score.level for score in scores}), []
    curves = {level: mean_curves([score for score in scores if score.level == level]) for level in levels}
    raw = {level: curves[level].pop(RAW) for level in levels}
    for method in curves[levels[0]]:
        cells = []
        for level in levels:
            ours = curves[level][OURS][0]
            recovery, variability = ours if method == OURS else best_at(raw[level] + curves[level][method], ours[1])
            cells.append(f"{recovery:.3f} at {100 * variability:.2f} %" if np.isfinite(recovery) else "never")
        rows.append((f"**{method}**" if method == OURS else method, *cells))
    rows.append((RAW, *(f"{raw[level][0][0]:.3f} at {100 * raw[level][0][1]:.2f} %" for level in levels)))
    repeats = sum((score.method, score.level, score.strength) == (OURS, levels[0], 0) for score in scores)
    table = markdown(("counts", *(FRACTIONS[level] for level in levels)), rows)
    return _SPHERES.format(repeats=repeats, table=table)
