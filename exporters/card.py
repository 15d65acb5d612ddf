"""The model card: what a model is, what it was trained on, what it measured, where it ends."""

from collections.abc import Iterable

import numpy as np

from ..engine.bundle import Bundle
from .evaluation.baselines import INTERPOLATIONS
from .evaluation.metrics import bootstrap
from .evaluation.real import REPEATS
from .evaluation.study import OURS, RealScore, Recovery, Report, Score
from .markdown import markdown
from .recipes.catalogue import find

FRACTIONS = {1 / 16: "1/16", 1 / 8: "1/8", 1 / 4: "1/4", 1 / 2: "1/2", 1.0: "1", 4.0: "4"}
_WHAT = {
    "denoise": (
        "Input: a planar image of counts. Output: its expected counts per pixel, on the same matrix and at the same count level."
    ),
    "super-resolution": (
        "Input: a planar image of counts. Output: the expected counts on a matrix of twice the rows and columns, as if the "
        "camera had binned half as coarsely; the sum of the image is kept, so an output pixel holds about a quarter of the counts."
    ),
}
_CARD = """# {name}

{title}. Version {version}, {licence}. {what}

## Network

{graph} The Anscombe transform is inside the graph: the network works on z = 2 sqrt(x + 3/8), whose noise has unit variance
at every count level, and reads the count level off z itself. Each of its levels also receives the same transform of the
counts summed over the level's larger pixels. The output is a square, hence never negative.

## Training

* Data: {data}.
* Simulated: parallel-hole gamma camera with a Gaussian response whose width grows with the distance from the collimator
  (FWHM: intrinsic 3.0 to 4.2 mm; collimator 1.2 to 2.8 mm at its face and 0.030 to 0.065 mm more per mm; 5 to 60 mm of air), exponential
  attenuation (0.0154 per mm, less in chests and whole bodies), scatter (5 to 35 % of the primary counts, a Gaussian 60 to 130 mm wide),
  Poisson noise. Voxel phantoms attenuate where they are active, not by their own attenuation maps. Objects: whole-body bone scans, thyroid and parathyroid, liver and spleen, kidneys, lungs, random shapes, flood, bar,
  line, rod and disc patterns; pixels of 0.8 to 4.5 mm. Target: the noise-free expectation. Real acquisitions (where present) enter by
  binomial thinning with the independent complement as target.
* Loss: squared error weighted by the inverse of the local and of the image's mean counts, both computed from the noisy
  input alone; its minimiser is the conditional mean of the counts.
* {steps} steps of {batch} patches of {patch}x{patch} output pixels, AdamW, cosine schedule, averaged weights, bfloat16 products on a
  CPU; {hours:.1f} h of wall time, {date}.{note}
* Mean counts per pixel of the training images: {low:g} to {high:g}.

## Held-out cases

{cases} simulated cases of {kinds}, cut to at most 128x128 output pixels. Training saw none of these objects: no seed is one of
training, and the voxel phantoms among them were never trained on. Some of them were looked at while the network was being designed.
PSNR and SSIM (Gaussian window of 1.5 pixels) refer to the 99.9th percentile of the noise-free image as their peak. Mean over the cases
with the bootstrap interval of 95 %. "Tuned" methods know the truth: their strength is the best of a few for every single image. Count
level 1 is a clinical acquisition (30 to 200 counts in the brightest pixels of 2.26 mm). This model is measured as delivered, with
the sum of the image restored by the engine; the other methods as they are.

### PSNR [dB]

{psnr}

{gain}

The same by kind of object, mean gain over the best classical method of each count level [dB]:

{kinds_gain}

### SSIM

{ssim}

### Counts

Sum of the output over the sum of the input, minus 1, **before** the engine restores the sum; after it the deviation is zero up to
rounding.

{bias}

### Contrast of hot lesions

{lesions} lesions of 4 to 9 mm radius on bones of held-out patients, 20 to 60 times as dense as soft tissue, projected with and without
the lesion. Recovery is the excess over the lesion-free truth in the lesion's half-maximum region, over the true excess: 1 is no loss.

{recovery}

## A real bone scan

Whole-body scan NM1 of the NEMA WG-04 samples (1024x256, 3.6 million counts, scored on the 800 rows that hold the body). It was never trained on, but
the counts and the uptake of the simulated skeletons were chosen with it in view. A fraction of its counts makes the input,
the other counts are the independent reference; the Poisson variance of the reference is subtracted from the squared difference, which
leaves the error against the unknown truth. Mean of {repeats} thinnings; the sum is restored for every method, tuned ones are tuned against
the reference. One patient, hence no interval. PSNR [dB], against the 99.9th percentile of the scan:

{real}

## Speed

ONNX Runtime, float32, 2 threads, one frame, fastest of 15 runs (other work on the machine makes it slower): {speed}.

## Limits

* For planar images of counts: whole numbers, not scaled, smoothed, resampled or corrected beforehand. Filtered images have another noise.
* Trained on simulations of Tc-99m-like cameras; septal penetration, star artefacts, patient motion and defective pixels are not simulated.
* A point or line thinner than the camera's resolution comes out at the resolution of the camera: nothing is deconvolved.
* Small lesions lose contrast, the more the fewer the counts are (table above): what noise hides is not brought back. Look at the original too.
* The gain on the real scan is smaller than on simulated cases, which resemble the training more than patients do.
* Not a medical device; made for research and for engineering.

## Made with

    photopeak train {name} --data DIR -o {name}{start}  # trains, exports, measures
    photopeak train {name} --data DIR -o {name} --evaluate-only --note "..."  # measures again and rewrites this card

The first makes a model of this kind, not the same weights: steps and time differ from machine to machine.
"""


def render(bundle: Bundle, report: Report, note: str = "") -> str:
    """Return the card of a model in Markdown; every number in it was measured.

    Parameters
    ----------
    bundle : Bundle
        The model with its manifest.
    report : Report
        Its evaluation.
    note : str
        What else is to be said about the training, such as the hardware.

    Returns
    -------
    str
        Markdown.
    """
    manifest = bundle.manifest
    training, recipe = manifest.training, find(manifest.training.recipe)
    low, high = training.counts_per_pixel or (0.0, 0.0)
    cases = sorted({score.case for score in report.scores})
    return _CARD.format(
        name=manifest.name,
        title=manifest.title,
        version=manifest.version,
        licence=manifest.licence,
        what=_WHAT[manifest.task],
        graph=f"A U-shaped network of 3x3 convolutions on three levels, {len(bundle.model) / 1e6:.1f} MB in float32.",
        data="; ".join(training.data),
        steps=training.steps,
        batch=recipe.batch,
        patch=recipe.patch,
        note=f" {note}" if note else "",
        start=f" --start-from photopeak-train/{recipe.parent}.pt" if recipe.parent else "",
        hours=training.seconds / 3600,
        date=training.date,
        low=low,
        high=high,
        cases=len(cases),
        kinds=", ".join(sorted(set(map(kind, cases)))),
        psnr=figure_table(report.scores, "psnr", 2),
        gain=gain_table(report.scores, manifest.task),
        kinds_gain=gain_by_kind_table(report.scores),
        ssim=figure_table(report.scores, "ssim", 3),
        bias=bias_table(report.scores),
        lesions=len({recovery.case for recovery in report.recoveries}),
        recovery=figure_table(report.recoveries, "recovery", 3),
        repeats=REPEATS,
        real=_real(report.real),
        speed=", ".join(f"{size} {ms:.1f} ms" for size, ms in report.speed_ms.items()),
    )


def gains(scores: tuple[Score, ...], rivals: tuple[str, ...]) -> dict[float, tuple[str, np.ndarray]]:
    """Return, per count level, the best rival by mean PSNR and our gain over it in every case [dB]."""
    found = {}
    for level in sorted({score.level for score in scores}):
        by = {name: _values(scores, level, name, "psnr") for name in (OURS, *rivals)}
        best = max(rivals, key=lambda name: float(by[name].mean()))
        found[level] = best, by[OURS] - by[best]
    return found


def gain_table(scores: tuple[Score, ...], task: str) -> str:
    """Say how far the model is ahead of the best classical method, level by level."""
    rivals = tuple(name for name in _methods(scores) if name != OURS)
    found = _gain_over("classical method", rivals, scores)
    if task == "super-resolution":  # interpolation leaves the noise: what is gained over it is mostly denoising
        plain = tuple(name for name in rivals if name in INTERPOLATIONS)
        found += "\n\n" + _gain_over("interpolation without filter", plain, scores)
    return found


def _gain_over(what: str, rivals: tuple[str, ...], scores: tuple[Score, ...]) -> str:
    """Tabulate the gain over the best of some methods."""
    lines = []
    for level, (best, gain) in gains(scores, rivals).items():
        interval = bootstrap(gain)
        lines.append(
            (
                FRACTIONS[level],
                best,
                f"{interval.mean:+.2f} ({interval.low:+.2f} to {interval.high:+.2f})",
                f"{(gain > 0).mean():.0%}",
            )
        )
    title = f"Gain over the best {what} of each count level, paired by case [dB]:\n\n"
    return title + markdown(("counts", f"best {what}", "gain", "cases won"), lines)


def gain_by_kind_table(scores: tuple[Score, ...]) -> str:
    """Tabulate the gain for each kind of object: a mean over all may hide where a model loses."""
    found = gains(scores, tuple(name for name in _methods(scores) if name != OURS))
    kinds = np.array([kind(case) for case in dict.fromkeys(score.case for score in scores)])
    rows = [
        (f"{kind} ({(kinds == kind).sum()})", *(f"{gain[kinds == kind].mean():+.2f}" for _, gain in found.values()))
        for kind in dict.fromkeys(kinds.tolist())
    ]
    return markdown(("kind (cases)", *(FRACTIONS[level] for level in found)), rows)


def kind(case: str) -> str:
    """Name the kind of object of a case."""
    return case.rsplit("-", 1)[0]


def bias_table(scores: tuple[Score, ...]) -> str:
    """Tabulate the deviation of the sum."""
    rows = []
    for level in sorted({score.level for score in scores}):
        values = 100 * _values(scores, level, OURS, "bias")
        interval = bootstrap(values)
        rows.append(
            (
                FRACTIONS[level],
                f"{interval.mean:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})",
                f"{np.abs(values).mean():.3f}",
                f"{np.abs(values).max():.3f}",
            )
        )
    return markdown(("counts", "mean [%]", "mean magnitude [%]", "largest [%]"), rows)


def _real(scores: tuple[RealScore, ...]) -> str:
    """Tabulate the real scan, or say that it was not there."""
    if not scores:
        return "The scan was not present when this card was made."
    return figure_table(scores, "psnr", 2, interval=False)


def figure_table(
    scores: tuple[Score, ...] | tuple[Recovery, ...] | tuple[RealScore, ...],
    field: str,
    digits: int,
    interval: bool = True,
) -> str:
    """Tabulate a figure: methods down, count levels across."""
    levels = sorted({score.level for score in scores})
    rows = []
    for name in _methods(scores):
        cells = []
        for level in levels:
            found = bootstrap(_values(scores, level, name, field))
            spread = f" ({found.low:.{digits}f} to {found.high:.{digits}f})" if interval else ""
            cells.append(f"{found.mean:.{digits}f}{spread}")
        rows.append((f"**{name}**" if name == OURS else name, *cells))
    return markdown(("counts", *(FRACTIONS[level] for level in levels)), rows)


def _values(scores: Iterable[Score | Recovery | RealScore], level: float, method: str, field: str) -> np.ndarray:
    """Figures of one method at one level, in the order of the cases."""
    return np.array([getattr(score, field) for score in scores if score.level == level and score.method == method])


def _methods(scores: Iterable[Score | Recovery | RealScore]) -> tuple[str, ...]:
    """Methods in the order in which they were measured."""
    return tuple(dict.fromkeys(score.method for score in scores))
