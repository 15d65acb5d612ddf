"""The card of a CT model: what it was trained on, what it measured, where it ends."""

from ..engine.bundle import Bundle
from .evaluation import ct_report
from .evaluation.ct_study import CASES_PER_OBJECT, NOISE_HU, NOISIER_HU, SCANS, CtReport
from .phantoms.ct import KERNELS
from .phantoms.ct_objects import OBJECTS
from .recipes.catalogue import find
from .recipes.ct import F50_PER_PIXEL, STEEPNESS, WIDER

_CARD = """# {name}

{title}. Version {version}, {licence}. Input: a CT slice in Hounsfield units. Output: the same object through a kernel whose transfer
function reaches {wider:g} times farther, on a matrix of twice the rows and columns, with the noise that the slice has, interpolated. It
is no denoiser: what it cannot tell from noise comes out as it went in. The model neither scales its input nor keeps any sum: Hounsfield
units may add up to 0, so that the change of the mean is told below instead of being made 0.

## Network

A residual network of 3x3 convolutions, {size:.2f} MB in float32. It adds to a fixed interpolation, a sinc under a Kaiser window whose gain
is 1 nearly up to the Nyquist frequency, and sees how each pixel differs from the mean of its neighbourhood. Values below -1024 HU, which scanners write outside of their field, are taken as -1024.

## Training

* Data: {data}. No patient and no real phantom was trained on.
* Simulated: transverse slices of heads, chests and abdomens, phantoms with inserts, and random shapes, with lines, bars and wires, on
  matrices of {matrices};
  fields of 120 to 500 mm. The transfer function ``2^-(f/f50)^p`` (f50 of {low:g} to {high:g} per pixel, p of {soft:g} to {steep:g}) is
  imposed in the Fourier domain, and so is noise with the ramp's power, {least:g} to {most:g} HU, for half of the scans less of it in air;
  values are rounded to whole Hounsfield units and mostly cut off at -1000 or -1024.
* Loss: mean squared error relative to the variance around each pixel of the input. {steps} steps of {batch} patches of {patch}x{patch} output pixels, AdamW, cosine schedule, averaged weights,
  bfloat16 products on a CPU; {hours:.1f} h of wall time, {date}.{note}

## Held-out slices

{cases} simulated slices ({kinds}) of other seeds than training, each at three levels of noise and a kernel drawn as in training. PSNR
and SSIM are taken against the noise-free aim, counted from air, with its 99.9th percentile as peak. Mean over the slices with the
bootstrap interval of 95 %. PSNR [dB]:

{psnr}

Ahead of interpolation, slice by slice [dB]:

{gain}

SSIM:

{ssim}

Change of a slice's mean [HU]:

{shift}

## Transfer function

Simulated phantoms, kernels with half of the modulation at {kernels}, pixels of 0.6 mm. Every noisy scan is processed by
itself; the mean of {scans} scans (more for 50 HU) is measured, before and after. The noise is {noise:g} HU, and {more} HU once more for
the standard kernel. A slanted edge shows its transfer function to the Nyquist
frequency of the output, a wire to that of its matrix. The least gain is that of the modulation up to the Nyquist frequency of the
input.

{sharpness}

Bars, modulation in input / bicubic / this model:

{bars}

## Contrast and noise

Discs in water, standard kernel; share of the contrast that the mean within 0.7 diameters keeps, input / this model:

{discs}

Noise of water; power relative to that of the input, band by band:

{water}
{real}
## Speed

ONNX Runtime, float32, 2 threads, one frame, fastest of 15 runs (other work on the machine makes it slower): {speed}.

## Limits

* For kernels without edge enhancement. A kernel that overshoots by itself is sharpened like any other, and goes on overshooting.
* The noise of the training is the same all over the body. Streaks, rings, beam hardening, scatter and motion are not simulated.
* A structure as faint as the noise is hardly made sharper, and may lose a little of its highest frequencies: the tables say how much.
* Values are large beside their differences: bfloat16 keeps 1000 HU to 4 HU and is not admitted by the engine's loss of fidelity, so
  that CPUs compute this model in float32.
* Between the Nyquist frequencies of input and output nothing was measured by the scanner: what is there is what edges usually are.
* Not a medical device; made for research and for engineering.

## Made with

    photopeak train {name} --data DIR -o {name}  # trains, exports, measures
    photopeak study ct {name} --data DIR -o ct   # the same tables, and the curves

The first makes a model of this kind, not the same weights: steps and time differ from machine to machine.
"""
_REAL = """
## A real phantom

QUART phantom in a cone-beam scanner (linaqa, 0.55 mm, 512x512); training saw nothing of it. Inserts and outline are measured slice by
slice by the edge of the disc; the interval is that of the model's curve at the frequency of the least gain.

{inserts}

{noise}
"""


def render_ct(bundle: Bundle, report: CtReport, note: str = "") -> str:
    """Return the card of a CT model in Markdown; every number in it was measured.

    Parameters
    ----------
    bundle : Bundle
        The model with its manifest.
    report : CtReport
        Its evaluation.
    note : str
        What else is to be said about the training, such as the hardware.
    """
    manifest, training = bundle.manifest, bundle.manifest.training
    recipe = find(training.recipe)
    inserts, noise = ct_report.insert_table(report.inserts), ct_report.noise_table(report.real_noise)
    return _CARD.format(
        name=manifest.name,
        title=manifest.title,
        version=manifest.version,
        licence=manifest.licence,
        wider=WIDER,
        size=len(bundle.model) / 1e6,
        data="; ".join(training.data),
        matrices=", ".join(training.matrices),
        low=F50_PER_PIXEL[0],
        high=F50_PER_PIXEL[1],
        soft=STEEPNESS[0],
        steep=STEEPNESS[1],
        least=recipe.counts[0],
        most=recipe.counts[1],
        steps=training.steps,
        batch=recipe.batch,
        patch=recipe.patch,
        hours=training.seconds / 3600,
        date=training.date,
        note=f" {note}" if note else "",
        cases=len({score.case for score in report.scores}),
        kinds=f"{CASES_PER_OBJECT} each of {', '.join(OBJECTS)}",
        psnr=ct_report.score_table(report.scores, "psnr", 2),
        gain=ct_report.gain_table(report.scores),
        ssim=ct_report.score_table(report.scores, "ssim", 4),
        shift=ct_report.shift_table(report.scores),
        kernels=", ".join(f"{kernel.f50_per_mm:g}" for kernel in KERNELS) + " per mm",
        noise=NOISE_HU,
        more=" and ".join(f"{noise:g}" for noise in NOISIER_HU),
        scans=SCANS,
        sharpness=ct_report.sharpness_table(report.sharpness),
        bars=ct_report.bar_table(report),
        discs=ct_report.disc_table(report),
        water=ct_report.noise_table(report.noise),
        real=_REAL.format(inserts=inserts, noise=noise) if inserts else "",
        speed=", ".join(f"{size} {ms:.1f} ms" for size, ms in report.speed_ms.items()),
    )
