"""Wording of the report: what was done, to what, by what, and what to make of the numbers."""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from platform import python_version
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ..dicom import attributes
from ..dicom.quiet import quiet_libraries
from ..errors import InputError
from ..frames import Frames, Units
from ..result import DomainVerdict, Result
from .statistics import Residual

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..plan import Plan

__all__ = [
    "Chip",
    "Ran",
    "anonymous",
    "capitalised",
    "chips",
    "described",
    "domain_chip",
    "done",
    "facts_of_input",
    "frame_label",
    "measured",
    "number",
    "of_header",
    "per_area",
    "percent",
    "plain_warnings",
    "provenance",
    "reading",
    "summary",
    "unit_of",
    "versions",
]

_UNITS = {
    Units.COUNTS: "counts",
    Units.BECQUEREL_PER_ML: "Bq/ml",
    Units.SUV_BODY_WEIGHT: "SUV",
    Units.HOUNSFIELD: "HU",
    Units.NONE: "pixel value",
}
_MODALITIES = {"NM": "nuclear-medicine", "PT": "PET", "XA": "angiographic", "CR": "radiographic", "DX": "radiographic"}
_DOMAIN = {
    "inside": ("good", "Inside", "Inside the training domain"),
    "border": ("fair", "Border", "At the border of the training domain"),
    "outside": ("poor", "Outside", "Outside the training domain"),
}
_SEVERITY = ("good", "fair", "poor")
# Total counts are to be kept within this.
LARGEST_BIAS = 0.005
_THIN = "\u202f"


@dataclass(frozen=True, slots=True)
class Chip:
    """One verdict: ``good``, ``fair`` or ``poor``, in a few words."""

    level: str
    text: str


def number(value: float, digits: int = 0) -> str:
    """Return a number with thin spaces between thousands and a true minus sign.

    Examples
    --------
    >>> number(-1234567.8)
    '\u22121\u202f234\u202f568'
    """
    return f"{value:,.{digits}f}".replace(",", _THIN).replace("-", "\u2212")


def measured(value: float) -> str:
    """Return a value with about four significant digits."""
    size = abs(value)
    return number(value, 0 if size >= 1000 or value == int(value) else 1 if size >= 100 else 2 if size >= 1 else 4)


def capitalised(sentence: str) -> str:
    """Return a sentence that begins with a capital letter, unless it begins with the name of a file.

    Examples
    --------
    >>> capitalised("values were taken as counts."), capitalised("late.npy does not say its units.")
    ('Values were taken as counts.', 'late.npy does not say its units.')
    """
    first = sentence.partition(" ")[0].rstrip(".,:;")
    return sentence if "." in first or "/" in first else sentence[:1].upper() + sentence[1:]


def percent(ratio: float) -> str:
    """Return a signed percentage; what would round to nothing is said to be nothing.

    Examples
    --------
    >>> [percent(ratio).split() for ratio in (0.0123, -4e-9)]
    [['+1.230', '%'], ['0.000', '%']]
    """
    text = f"{100 * ratio:+.3f}"
    return f"{text[1:] if float(text) == 0 else text} %".replace("-", "\u2212").replace(" ", "\u00a0")


def unit_of(units: Units) -> str:
    """Return the unit as it is written beside a number."""
    return _UNITS[units]


def done(result: Result) -> str:
    """Return what a model did, as a participle."""
    if result.bundle.manifest.task == "denoise":
        return "denoised"
    return f"super-resolved to {_matrix(result.frames)}"


def described(source: Frames) -> str:
    """Return a few words for an input."""
    kinds = of_header(source.instances[0].header, "ImageType").split("\\") if source.instances else []
    words = ["whole-body"] if "WHOLE BODY" in kinds else []
    words += [_MODALITIES.get(source.modality, source.modality)] if source.modality != "OT" else []
    words += ["image"] if len(source) == 1 else ["series of", number(len(source)), "frames"]
    return " ".join(words)


def per_area(source: Frames, ratio: float) -> str:
    """Return the unit of a pixel; counts are those of the area of an input pixel, whatever the output's matrix."""
    unit = unit_of(source.units)
    if source.units is not Units.COUNTS and ratio == 1:
        return unit
    return f"{unit} per input pixel" if ratio > 1 else f"{unit} per pixel"


def facts_of_input(source: Frames) -> list[tuple[str, str]]:
    """Return what a reader must know of an input; never who the patient is."""
    header = source.instances[0].header if source.instances else Dataset()
    spacing = source.pixel_spacing_mm
    durations = [info.duration_s for info in source.info if np.isfinite(info.duration_s)]
    counts = _counts(source.pixels) if source.units is Units.COUNTS else ""
    facts = [
        ("File", "" if source.instances else source.source),
        ("Series", of_header(header, "SeriesDescription")),
        ("Modality", source.modality),
        ("Matrix", f"{_matrix(source)} px"),
        ("Frames", number(len(source))),
        ("Pixel", f"{spacing[0]:.4g} \u00d7 {spacing[1]:.4g} mm" if spacing else ""),
        ("Views", ", ".join(dict.fromkeys(info.view for info in source.info if info.view))),
        ("Time per frame", f"{measured(float(np.median(durations)))} s" if durations else ""),
        ("Counts", counts),
        ("Unit", "" if counts else unit_of(source.units)),
        ("Scanner", " ".join(of_header(header, k) for k in ("Manufacturer", "ManufacturerModelName")).strip()),
    ]
    return [(name, value) for name, value in facts if value]


def of_header(header: Dataset, keyword: str) -> str:
    """Return an element as text; nothing where it is absent or cannot be decoded, since a page can do without."""
    with quiet_libraries(), suppress(InputError):
        return attributes.text(header, keyword)
    return ""


def frame_label(source: Frames, index: int) -> str:
    """Return how a frame is named in the list of frames."""
    info = source.info[index]
    words = [f"{index + 1} of {len(source)}" if len(source) > 1 else "", info.view]
    words += [f"z = {number(info.position_mm[2], 1)} mm"] if info.position_mm else []
    return ", ".join(word for word in words if word) or "1"


def domain_chip(verdicts: Sequence[DomainVerdict]) -> Chip:
    """Return the worst verdict on the training domain."""
    level, _, text = max((_DOMAIN[one.verdict] for one in verdicts), key=lambda words: _SEVERITY.index(words[0]))
    return Chip(level, text)


def chips(results: Sequence[Result]) -> list[Chip]:
    """Return the verdicts over all results, the worst of each kind."""
    count = len(plain_warnings(results))
    words = f"{count} warning{'s' * (count > 1)}" if count else "No warnings"
    return [
        domain_chip([result.domain for result in results]),
        *_kept(results),
        Chip("fair" if count else "good", words),
    ]


def plain_warnings(results: Sequence[Result]) -> list[str]:
    """Return each warning once, with the model's name where not all results share it."""
    said: dict[str, list[str]] = {}
    for result in results:
        for sentence in dict.fromkeys((*result.warnings, *result.domain.reasons)):
            said.setdefault(anonymous(sentence, result.source), []).append(result.bundle.manifest.name)
    return [
        sentence if len(models) == len(results) else f"{', '.join(dict.fromkeys(models))}: {sentence}"
        for sentence, models in said.items()
    ]


def reading(found: Residual) -> str:
    """Return what the residual says, in plain words."""
    # Three standard errors, of the standard deviation and of the correlation alike.
    chance = 3 / math.sqrt(2 * found.values.size)
    if found.std < 0.3:
        return "Next to nothing changed in the counts of each input pixel."
    limit, usual = max(0.2, chance), abs(found.std - 1) <= max(0.1, chance)
    # Smoothing that leaves noise alternates too, so that a negative correlation says something only without it.
    if found.neighbour > limit or (usual and found.neighbour < -limit):
        return (
            f"Neighbouring residuals correlate ({number(found.neighbour, 2)}), which those of Poisson noise do not: either "
            "the input had been filtered or resampled, or structure was changed. Look for a pattern in the residual map."
        )
    if found.std > 1 and not usual:
        return "More changed than Poisson noise explains: look in the residual map for places where structure changed."
    if not usual:
        return "Less was removed than all Poisson noise: some is left, or the input had been filtered."
    return (
        "Overall the change has the size of Poisson noise, and neighbours hardly correlate. A single small lesion hardly "
        "moves these numbers: look for it in the residual map."
    )


class Ran(Protocol):
    """What a model ran on the way that a plan says."""

    @property
    def bundle(self) -> "Bundle":
        """The model."""

    @property
    def plan(self) -> "Plan":
        """How it ran."""


def provenance(result: Ran) -> list[tuple[str, str]]:
    """Return how a result was made; nothing in it names the machine."""
    manifest, plan = result.bundle.manifest, result.plan
    run = [f"{plan.numbers} on {plan.device}", f"{plan.threads} thread{'s' * (plan.threads != 1)}"]
    run += [f"{plan.streams} streams"] * (plan.streams > 1) + [f"batch {plan.batch}"]
    run += [f"tiles of {plan.tile}"] * (plan.tile > 0) + [plan.layout] * (plan.layout != "nchw")
    loss = f"{plan.loss_db:.3f} dB against fp32"
    if plan.probability_change:
        loss = f"probabilities change by at most {plan.probability_change:.4f} against fp32"
    return [
        ("Model", f"{manifest.name} {manifest.version}: {manifest.title}"),
        ("Digest", result.bundle.digest),
        ("Licence of the weights", manifest.licence),
        ("Trained", f"{manifest.training.date}, recipe {manifest.training.recipe}"),
        ("Provider", f"{plan.provider} {plan.provider_version}"),
        ("Run", ", ".join(run)),
        ("Why this plan", plan.reason),
        ("Precision loss", loss),
    ]


def summary(result: Result) -> dict[str, str]:
    """Return the line of a result in the overview."""
    found = result.domain
    level, text, _ = _DOMAIN[found.verdict]
    kept = result.conservation
    known = kept.kind != "none"
    return {
        "model": result.bundle.manifest.name,
        "matrix": _matrix(result.frames),
        "level": level,
        "verdict": text,
        "distance": f"{found.distances.max():.2g}, border from {found.limits[0]:.2g}",
        "bias": _total_bias(kept.after, kept.before) if known else "\u2013",
        "model_bias": _total_bias(kept.model, kept.before) if known else "\u2013",
        "ms": number(sum(result.timings_ms.values()), 1),
    }


def versions() -> str:
    """Return the software versions that shaped the numbers of the report."""
    return ", ".join([f"Photopeak {version('photopeak')}", f"Python {python_version()}", f"NumPy {np.__version__}"])


def _counts(pixels: NDArray[np.float32]) -> str:
    """Return the total, and what it becomes when negative pixels are taken as 0, which models do."""
    total, negative = float(pixels.sum(dtype=np.float64)), float(pixels[pixels < 0].sum(dtype=np.float64))
    return number(total) + (f"; {number(total - negative)} with negative pixels taken as 0" if negative else "")


def _total_bias(value: NDArray[np.float64], before: NDArray[np.float64]) -> str:
    """Return the relative change of the total, which is nothing where there was nothing."""
    total = float(before.sum())
    return percent(float(value.sum()) / total - 1 if total else 0.0)


def _kept(results: Sequence[Result]) -> list[Chip]:
    """Return whether counts, or means, are those of the input."""
    biases = [float(np.abs(r.conservation.bias).max()) for r in results if r.conservation.kind != "none"]
    if not biases:
        return []
    means = all(r.conservation.kind == "mean" for r in results if r.conservation.kind != "none")
    what, worst = "Mean" if means else "Counts", max(biases)
    if worst > LARGEST_BIAS:
        return [Chip("poor", f"{what} off by up to {100 * worst:.2f} %")]
    return [Chip("good", f"{what} kept within {max(100 * worst, 0.001):.3f} %")]


def _matrix(frames: Frames) -> str:
    return f"{frames.matrix.rows} \u00d7 {frames.matrix.columns}"


def anonymous(sentence: str, source: Frames) -> str:
    """Return a sentence without the name of a DICOM file, which may be a patient's."""
    if not source.instances:
        return sentence
    names = {name for i in source.instances for name in (str(i.path), i.path.name)} | {source.source}
    for name in sorted(names - {""}, key=len, reverse=True):
        # A file called "1" must not take the digits out of the numbers of a sentence.
        pattern = re.escape(name) if len(name) > 4 else rf"(?<!\w){re.escape(name)}(?=:)"
        sentence = re.sub(pattern, "the input", sentence)
    return sentence
