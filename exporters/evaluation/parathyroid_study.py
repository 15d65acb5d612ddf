"""How well parathyroid glands are found in held-out simulated cases, by phase, counts, matrix, collimator and size.

A mark is a hit if it lies within the radius of a gland, or within 6 mm of its centre where that is more. Less than 6 mm cannot be
asked for: the camera's resolution at the depth of the glands is 8 to 10 mm FWHM, and the patient moved. More is not needed to tell
the glands of one side apart, which lie some 25 mm from each other. Further marks on a gland count neither way.

Marks and sensitivities are given for all glands, and for those that can be seen: the signal-to-noise ratio of an ideal observer of
the phases used, who knows everything but whether the gland is there, is at least 5 (Rose's criterion). Where only these are asked
for, marks on the others count neither way.

References
----------
* Rose, A. (1948). The sensitivity performance of the human eye on an absolute scale. J. Opt. Soc. Am. 38, 196.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...engine.analysis.session import AnalysisSession
from ...engine.errors import UsageError
from ...engine.frames import Frames, Units
from ..phantoms.parathyroid_cohort import PHASES, Acquisition, Case, Phase, case_of
from .detection_statistics import (
    Curve,
    Estimate,
    MarkedImage,
    OperatingPoint,
    assign,
    froc,
    operating_point,
    sensitivity_at,
    threshold_for,
    wilson,
)
from .parathyroid_observers import Marks, Region, candidates

HIT_MM = 6.0
SEEN = 5.0
RATES = (0.3, 0.47, 0.58, 1.0)
AIM = 0.3  # false positives per image that the classical observers' thresholds are chosen for
SIZES_MM = ((4.0, 8.0), (8.0, 12.0), (12.0, 20.0), (20.0, 30.0))
WAYS: tuple[tuple[Phase, ...], ...] = (("early",), ("late",), PHASES)
MODEL = "model"
_LEAST_SCORE = 2e-3
LEFT_OUT = (0.01, 0.04, 0.08)
Key = tuple[str, tuple[Phase, ...]]
Tell = Callable[[str], None]


class Observer(Protocol):
    """Marks lesions in the phases that it is given."""

    def __call__(self, images: Acquisition, phases: tuple[Phase, ...]) -> Marks:
        """Return marks on the last of the phases."""


@dataclass(frozen=True)
class Detector:
    """A bundle as an observer.

    Parameters
    ----------
    session : AnalysisSession
        Of a bundle that detects.
    """

    session: AnalysisSession

    def __call__(self, images: Acquisition, phases: tuple[Phase, ...]) -> Marks:
        """Return everything with a score that might matter."""
        frames = {
            phase: Frames(
                (images.early if phase == "early" else images.late)[None],
                Units.COUNTS,
                "NM",
                (images.pixel_mm, images.pixel_mm),
            )
            for phase in phases
        }
        found = self.session.run(**frames, threshold=_LEAST_SCORE).detections[0]
        at = np.array([one.centre for one in found], np.float64).reshape(-1, 2) - 0.5
        return Marks(at, np.array([one.score for one in found], np.float64))


@dataclass(frozen=True)
class Reader:
    """An observer and the score from which on a mark of it counts."""

    observer: Observer
    threshold: float


@dataclass(frozen=True)
class Setting:
    """How the cases are acquired.

    Parameters
    ----------
    name : str
        For the table.
    side : int
        Rows and columns.
    counts : float
        Relative to ten minutes.
    collimator : str or None
        None for each case's own.
    """

    name: str = "as acquired"
    side: int = 256
    counts: float = 1.0
    collimator: str | None = None


USUAL = Setting()
SETTINGS = (
    Setting("counts 1/4", counts=0.25),
    Setting("counts 1/2", counts=0.5),
    Setting("counts 2", counts=2.0),
    Setting("matrix 128", side=128),
    Setting("matrix 512", side=512),
    *(Setting(f"collimator {name}", collimator=name) for name in ("LEUHR", "LEHR", "LEGP")),
)


@dataclass(frozen=True, eq=False)
class Read:
    """One image, read.

    Parameters
    ----------
    image : MarkedImage
        Marks and hits.
    lesion_mm, seen : ndarray, shape (k,)
        Size of each gland [mm] and whether it can be seen.
    kind : tuple of str
        Where each lies.
    """

    image: MarkedImage
    lesion_mm: NDArray[np.float32]
    seen: NDArray[np.bool_]
    kind: tuple[str, ...]

    def of_seen(self) -> MarkedImage:
        """Return the image as if only glands that can be seen had been looked for."""
        hits = self.image.hits
        number = np.append(np.where(self.seen, np.cumsum(self.seen) - 1, -1), -1)
        keep = (hits < 0) | np.append(self.seen, True)[hits]
        return MarkedImage(self.image.patient, self.image.scores[keep], number[hits[keep]], int(self.seen.sum()))


@dataclass(frozen=True)
class Score:
    """One observer in one way of looking.

    Parameters
    ----------
    observer, phases, setting : str
        Who, on which images, acquired how.
    all_glands, seen_glands : OperatingPoint
        At the observer's own threshold.
    rates : tuple of Estimate
        Sensitivity for all glands at ``RATES`` false positives per image.
    seen_rates : tuple of Estimate
        The same for glands that can be seen.
    sizes : dict of str to Estimate
        Sensitivity by size, all glands [mm].
    kinds : dict of str to Estimate
        Sensitivity by position, all glands.
    """

    observer: str
    phases: str
    setting: str
    all_glands: OperatingPoint
    seen_glands: OperatingPoint
    rates: tuple[Estimate, ...]
    seen_rates: tuple[Estimate, ...]
    sizes: dict[str, Estimate]
    kinds: dict[str, Estimate]


@dataclass(frozen=True)
class ParathyroidReport:
    """All of the study.

    Parameters
    ----------
    cases, normals, glands, seen : int
        Held-out cases, those without abnormal gland, glands in the field, and those of them that can be seen.
    tuned : int
        Cases that the classical observers were tuned on.
    scores : tuple of Score
        Observers and phases, as acquired.
    robustness : tuple of Score
        The model with both phases, in other settings.
    curves : dict of str to Curve
        FROC of all glands by observer and phases.
    """

    cases: int
    normals: int
    glands: int
    seen: int
    tuned: int
    scores: tuple[Score, ...]
    robustness: tuple[Score, ...]
    curves: dict[str, Curve] = field(repr=False)


def study(
    session: AnalysisSession, *, cases: int = 400, tuning: int = 120, tell: Tell = lambda text: None
) -> ParathyroidReport:
    """Measure a detector and two classical observers.

    Parameters
    ----------
    session : AnalysisSession
        Of the bundle, at one thread for figures that do not depend on the machine.
    cases : int
        Held-out cases; half of them are acquired in each other setting as well.
    tuning : int
        Cases to tune the classical observers on.
    tell : callable
        Told what is being done.

    Returns
    -------
    ParathyroidReport
        The same for the same arguments.

    Raises
    ------
    UsageError
        If the bundle does not detect in an early and a late image.
    """
    own = session.bundle.manifest.analysis
    if own is None or session.bundle.manifest.input.channels != PHASES:
        raise UsageError(f"{session.bundle.name} finds nothing in an early and a late image, name another model.")
    tell(f"tuning on {tuning} cases")
    readers = {(MODEL, phases): Reader(Detector(session), own.threshold) for phases in WAYS} | tuned(tuning)
    reads: dict[Key, list[Read]] = {key: [] for key in readers}
    others: dict[str, list[Read]] = {setting.name: [] for setting in SETTINGS}
    for index in range(cases):
        if index % 50 == 0:
            tell(f"{index} of {cases} cases")
        case = case_of("held-out", index)
        images = acquired(case, index, USUAL)
        for key, reader in readers.items():
            reads[key].append(read(images, key[1], reader.observer, str(index)))
        for setting in SETTINGS if 2 * index < cases else ():
            found = read(acquired(case, index, setting), PHASES, readers[MODEL, PHASES].observer, str(index))
            others[setting.name].append(found)
    tell("statistics")
    return _report(readers, reads, others, tuning)


def _report(
    readers: dict[Key, Reader], reads: dict[Key, list[Read]], others: dict[str, list[Read]], tuning: int
) -> ParathyroidReport:
    """Return the figures of all that was read."""
    both = reads[MODEL, PHASES]
    again = {USUAL.name: both[: len(next(iter(others.values())))], **others}
    threshold = readers[MODEL, PHASES].threshold
    return ParathyroidReport(
        len(both),
        sum(one.image.lesions == 0 for one in both),
        sum(one.image.lesions for one in both),
        sum(int(one.seen.sum()) for one in both),
        tuning,
        tuple(_score(key, USUAL.name, found, readers[key].threshold) for key, found in reads.items()),
        tuple(_score((MODEL, PHASES), name, found, threshold) for name, found in again.items()),
        {f"{name}, {spelled(phases)}": froc([one.image for one in found]) for (name, phases), found in reads.items()},
    )


def acquired(case: Case, index: int, setting: Setting) -> Acquisition:
    """Return the images of a case in a setting.

    Parameters
    ----------
    case : Case
        Patient and camera.
    index : int
        Number of the case in its split.
    setting : Setting
        Matrix, counts and collimator.

    Returns
    -------
    Acquisition
        Its noise depends on `index` and the setting alone.
    """
    seed = [20462, index, setting.side, round(1000 * setting.counts)]
    return case.acquire(
        np.random.default_rng(seed), side=setting.side, counts_scale=setting.counts, collimator=setting.collimator
    )


def read(images: Acquisition, phases: tuple[Phase, ...], observer: Observer, patient: str) -> Read:
    """Return what an observer finds in an acquisition.

    Parameters
    ----------
    images : Acquisition
        Images with their truth; glands outside of the field are left out.
    phases : tuple of str
        Which images the observer is given; positions are those of the last.
    observer : callable
        See ``Observer``.
    patient : str
        Name for the bootstrap.

    Returns
    -------
    Read
        Marks, hits and what is known of each gland.
    """
    found = observer(images, phases)
    there = images.in_field
    boxes = images.boxes[phases[-1]][there]
    size = images.lesion_mm[there]
    hits = assign(found.at * images.pixel_mm, boxes[:, :2] * images.pixel_mm, np.maximum(size / 2, HIT_MM))
    snr = np.linalg.norm([images.detectability[phase][there] for phase in phases], axis=0)
    kinds = tuple(str(kind) for kind, inside in zip(images.kind, there, strict=True) if inside)
    return Read(MarkedImage(patient, found.scores, hits, len(size)), size, snr >= SEEN, kinds)


def spelled(phases: tuple[Phase, ...]) -> str:
    """Return the name of a way of looking."""
    return "both" if len(phases) == 2 else phases[0]


def tuned(number: int) -> dict[Key, Reader]:
    """Return the best classical observer of each name and way of looking on tuning cases, with its threshold there."""
    images = [acquired(case_of("tune", index), index, USUAL) for index in range(number)]
    regions = [region_of(images, left_out) for left_out in LEFT_OUT]
    found: dict[Key, Reader] = {}
    for phases in WAYS:
        for name, offered in candidates(regions, phases).items():
            marks = [[read(pair, phases, one, str(k)).image for k, pair in enumerate(images)] for one in offered]
            reached = [froc(marked).read([AIM])[0] for marked in marks]
            best = int(np.argmax(reached))
            found[name, phases] = Reader(offered[best], threshold_for(marks[best], AIM))
    return found


def region_of(images: Sequence[Acquisition], left_out: float) -> Region:
    """Return the rectangle that holds all but a share of the glands at each side.

    Parameters
    ----------
    images : sequence of Acquisition
        With some glands.
    left_out : float
        Share of the glands beyond each edge.
    """
    found = [(pair.lesions[:, :2] - (len(pair.late) - 1) / 2) * pair.pixel_mm for pair in images]
    rows, columns = np.concatenate(found).T
    top, bottom = np.quantile(rows, (left_out, 1 - left_out))
    return Region(float(top), float(bottom), float(np.quantile(np.abs(columns), 1 - 2 * left_out)))


def _score(key: Key, setting: str, found: list[Read], threshold: float) -> Score:
    """Return the figures of one observer."""
    everything, seen = [one.image for one in found], [one.of_seen() for one in found]
    sizes = np.concatenate([one.lesion_mm for one in found])
    kinds = np.array([kind for one in found for kind in one.kind])
    hit = np.concatenate([one.image.best >= threshold for one in found])
    by_size = {f"{low:g} to {high:g}": (sizes >= low) & (sizes < high) for low, high in SIZES_MM}
    by_kind = {str(kind): kinds == kind for kind in np.unique(kinds)}
    return Score(
        key[0],
        spelled(key[1]),
        setting,
        operating_point(everything, threshold),
        operating_point(seen, threshold),
        sensitivity_at(everything, RATES),
        sensitivity_at(seen, RATES),
        {name: wilson(int(hit[part].sum()), int(part.sum())) for name, part in by_size.items()},
        {name: wilson(int(hit[part].sum()), int(part.sum())) for name, part in by_kind.items()},
    )
