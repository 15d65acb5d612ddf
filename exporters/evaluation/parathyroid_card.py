"""How well ``parathyroid-detect`` finds glands on held-out cases, and the card that says so."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...engine.analysis.session import AnalysisSession
from ...engine.bundle import Bundle
from ...engine.errors import UsageError
from ...engine.frames import Frames
from ...engine.session import load
from ..markdown import markdown
from ..phantoms.parathyroid_cohort import PHASES, Acquisition, Phase, case_of
from .detection_statistics import STATED_SCORE, calibration_error_of_marks, operating_point, sensitivity_at, wilson
from .parathyroid_study import HIT_MM, SEEN, USUAL, WAYS, Detector, Read, acquired, read, spelled

__all__ = ["Report", "measure", "render"]

_CASES = 400
_RATES = (0.1, 0.2, 0.3, 0.5, 1.0)
_SIZES_MM = (4.0, 7.0, 10.0, 14.0, 30.1)
_DETECTABILITIES = (0.0, 2.0, 4.0, 6.0, 10.0, 20.0, np.inf)
_PLACES, _RATE = 100, 0.3
_WORDS = ("inside", "border", "outside")
_AIM = 0.95
_UNREACHABLE = f"By this bound {_AIM:g} of all glands of this cohort at 0.3 false positives per image are out of reach."
_REACHABLE = (
    f"By this bound {_AIM:g} of all glands of this cohort at 0.3 false positives per image are not out of reach."
)


@dataclass(frozen=True, eq=False)
class Report:
    """What was measured.

    Parameters
    ----------
    reads : dict of tuple of str to list of Read
        For each way of looking, one for each case.
    detectability : ndarray, shape (k,)
        Of all glands in the field: the signal-to-noise ratio, in both phases together, of an observer who knows everything but
        whether the gland is there.
    verdicts : tuple of str
        Domain verdict for each case with both phases.
    """

    reads: dict[tuple[Phase, ...], list[Read]]
    detectability: NDArray[np.float64]
    verdicts: tuple[str, ...]


def measure(bundle: Bundle, tell: Callable[[str], None] = lambda what: None, *, cases: int = _CASES) -> Report:
    """Run a bundle on cases that its training never saw; the first of those that the study of this detector reads.

    Parameters
    ----------
    bundle : Bundle
        A detector with the channels early and late.
    tell : callable
        Told what goes on.
    cases : int
        How many.

    Returns
    -------
    Report
        Of acquisitions of 256 x 256 pixels and ten minutes.

    Raises
    ------
    UsageError
        If the bundle gives no findings.
    """
    session = load(bundle, device="cpu", threads=1)
    if not isinstance(session, AnalysisSession):
        raise UsageError(f"{bundle.name} gives no findings, name another model.")
    observer = Detector(session)
    reads: dict[tuple[Phase, ...], list[Read]] = {phases: [] for phases in WAYS}
    detectability, verdicts = [], []
    for index in range(cases):
        if index % 20 == 0:
            tell(f"{index} of {cases} cases")
        images = acquired(case_of("held-out", index), index, USUAL)
        for phases in WAYS:
            reads[phases].append(read(images, phases, observer, str(index)))
        verdicts.append(_verdict(session, images))
        both = np.hypot(images.detectability["early"], images.detectability["late"])
        detectability.append(both[images.in_field])
    return Report(reads, np.concatenate(detectability), tuple(verdicts))


def render(bundle: Bundle, report: Report, note: str = "") -> str:
    """Return the card of a detector in Markdown; every number in it was measured.

    Parameters
    ----------
    bundle : Bundle
        The model.
    report : Report
        Its evaluation.
    note : str
        What else is to be said about the training.
    """
    manifest = bundle.manifest
    analysis, training = manifest.analysis, manifest.training
    if analysis is None:
        raise ValueError(f"{manifest.name} gives no findings")
    low, high = training.counts_per_pixel or (0.0, 0.0)
    both = report.reads[PHASES]
    images = [one.image for one in both]
    found = _found(both, analysis.threshold)
    return _CARD.format(
        name=manifest.name,
        title=manifest.title,
        version=manifest.version,
        licence=manifest.licence,
        size=len(bundle.model) / 1e6,
        data="; ".join(training.data),
        matrices=", ".join(training.matrices),
        low=low,
        high=high,
        steps=training.steps,
        minutes=training.seconds / 60,
        date=training.date,
        note=f" {note}" if note else "",
        threshold=analysis.threshold,
        temperature=analysis.temperature,
        hit=HIT_MM,
        cases=len(images),
        glands=len(found),
        normals=sum(not image.lesions for image in images),
        seen=", ".join(f"{spelled(way)} {sum(int(one.seen.sum()) for one in r)}" for way, r in report.reads.items()),
        phases=", ".join(
            f"{spelled(way)} {_found(r, analysis.threshold).mean():.3f}" for way, r in report.reads.items()
        ),
        ratio=SEEN,
        points=_points(report, analysis.threshold),
        curves=_curves(report, seen=False),
        seen_curves=_curves(report, seen=True),
        sizes=_table("diameter [mm]", np.concatenate([one.lesion_mm for one in both]), _SIZES_MM, found),
        detectability=_table("signal-to-noise ratio [1]", report.detectability, _DETECTABILITIES, found),
        bound=_bound(report.detectability),
        places=_PLACES,
        chance=_RATE / _PLACES,
        reached=float(found.mean()),
        verdict_on_aim=_UNREACHABLE if _bound(report.detectability) < _AIM else _REACHABLE,
        error=calibration_error_of_marks(images),
        stated=STATED_SCORE,
        verdicts=", ".join(f"{report.verdicts.count(word)} {word}" for word in _WORDS),
    )


def _found(reads: list[Read], threshold: float) -> NDArray[np.bool_]:
    """Return which of all glands are found."""
    return np.concatenate([one.image.best >= threshold for one in reads])


def _verdict(session: AnalysisSession, images: Acquisition) -> str:
    """Return the domain verdict on both phases."""
    spacing = (images.pixel_mm, images.pixel_mm)
    early, late = (Frames.from_array(image, pixel_spacing_mm=spacing) for image in (images.early, images.late))
    return session.run(early, late).domain.verdict


def _points(report: Report, threshold: float) -> str:
    rows = []
    for phases, reads in report.reads.items():
        point = operating_point([one.image for one in reads], threshold)
        seen = operating_point([one.of_seen() for one in reads], threshold)
        figures = (point.lesions, seen.lesions, point.patients, point.clear, point.false_positives)
        rows.append((spelled(phases), *map(str, figures)))
    header = (
        "phases",
        "all glands",
        "glands that can be seen",
        "patients",
        "clear normals",
        "false positives per image",
    )
    return markdown(header, rows)


def _curves(report: Report, *, seen: bool) -> str:
    rows = []
    for phases, reads in report.reads.items():
        images = [one.of_seen() if seen else one.image for one in reads]
        rows.append((spelled(phases), *map(str, sensitivity_at(images, _RATES))))
    return markdown(("phases", *(f"{rate:g}" for rate in _RATES)), rows)


def _table(name: str, values: NDArray[np.floating], edges: tuple[float, ...], found: NDArray[np.bool_]) -> str:
    """Tabulate the sensitivity of what lies between edges."""
    rows = []
    for low, high in pairwise(edges):
        inside = (values >= low) & (values < high)
        if number := int(inside.sum()):
            words = f"{low:g} and more" if np.isinf(high) else f"{low:g} to {high:.0f}"
            rows.append((words, str(number), str(wilson(int(found[inside].sum()), number))))
    return markdown((name, "glands", "found"), rows)


def _bound(detectability: NDArray[np.float64]) -> float:
    """Return the mean sensitivity of the observer who knows everything, at the same chance of a false positive at each place."""
    from scipy.stats import norm

    return float(norm.cdf(detectability - norm.isf(_RATE / _PLACES)).mean())


_CARD = """# {name}

{title}. Version {version}, licence {licence}. Not a medical device and not for diagnosis.

**All data are simulated.** No real parathyroid image was used for training or for any number on this card; how the detector does
on patients is not known.

## What it takes and gives

Planar 99mTc-MIBI images of neck and chest in whole counts, 10 to 20 minutes (early) and 1.5 to 3 hours (late) after injection. One
of the two may be missing; the result says so. The engine brings both to pixels of 2.4 mm, counts conserved. The graph gives the
heat of a gland's centre and its box in cells of 9.6 mm, an evidence map (gradients of the head, written into the graph) and the
features that tell whether the model knows images like this one. Outside of that domain findings are delivered as not valid.

The network sees Anscombe's transform of the counts, the counts relative to the image's own level, and late minus early counts scaled
by their regression, all computed in the graph; 3x3 convolutions with dilations at a half and a quarter of the matrix; {size:.1f} MB.

## Training

* {data}; matrices {matrices}. Anatomy, uptake, washout, lesion sizes and their sources are listed in the simulator's documentation.
* Each example draws the noise anew, a count level of 1/4 to 2 times the study's ({low:g} to {high:g} mean counts per pixel), one phase left out in half of
  the cases, mirror images, turns up to 8 degrees, shifts, pixel sizes of 0.94 to 1.06, and a blur.
* Focal loss of the centres (Law and Deng 2018, Zhou et al. 2019), absolute error of the boxes; {steps} steps, AdamW, cosine schedule, averaged
  weights, {minutes:.0f} minutes on one core that others used too, {date}.{note}
* Slope and bias of the score were fitted on 400 cases that training did not see (Platt 1999): temperature {temperature:.3f}, the bias is
  part of the graph. The threshold of {threshold:.3f} is the lowest with at most 0.3 false positives per image on them.

## Held-out cases

{cases} cases of the same simulator with seeds that neither training nor tuning used: {glands} abnormal glands in the field, {normals} cases without any. 256x256
pixels, ten minutes. A mark within {hit:g} mm of a gland's centre, or within its radius, counts as found. Glands that can be seen are those with a
ratio of signal to noise, see below, of at least {ratio:g} in the phases that are used (Rose 1948): {seen}. Intervals of 95 %: Wilson, which
takes the glands of a patient as independent, and bootstrap by patient for false positives and curves.

At the bundle's threshold:

{points}

Share of all glands found at so many false positives per image, thresholds chosen on these cases:

{curves}

The same of glands that can be seen; marks on others count neither way:

{seen_curves}

Calibration error of scores from {stated:g} on, early and late together: {error:.3f}. Domain verdicts of the same cases: {verdicts}.

### What limits it

Found at the bundle's threshold, early and late together:

{sizes}

{detectability}

The ratio, of both phases together, is that of an observer who knows everything but whether the gland is there: where it would be, its shape, and the image without it.
Even this observer, with a chance of {chance:g} for a false positive at each place (0.3 among {places} places), would find {bound:.3f} of these glands;
the detector, which knows none of that, finds {reached:.3f}. {verdict_on_aim}

What the second phase adds, in shares of all glands found: {phases}. Patients move between the phases, positions are those of the late one where
it is there, and early images hold more counts but the whole thyroid.

## Limits

* Simulated patients only: parallel-hole collimators, no pinhole, no SPECT, no subtraction agents, no postoperative necks but missing lobes.
* Small and faint glands are missed, see the tables. Glands that wash out as fast as the thyroid, and those within it, are not measured apart here.
* Thyroid nodules that keep the tracer, saliva, brown fat and veins can be marked: look at the image.
* Counts must be whole counts: filtered or rescaled images are outside of the domain.

## Made with

    photopeak train {name} -o {name}  # simulates, trains, calibrates, exports, measures
    photopeak train {name} -o {name} --evaluate-only --note "..."  # measures again and rewrites this card

The first makes a model of this kind, not the same weights: steps and time differ from machine to machine.
"""
