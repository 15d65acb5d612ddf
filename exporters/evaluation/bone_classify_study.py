"""``bone-classify`` on held-out simulated patients and on real scans, end to end: from the frame to probabilities and evidence."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file

from ...engine.analysis.session import AnalysisSession
from ...engine.bundle import Bundle
from ...engine.errors import InputError, ModelError
from ...engine.frames import Frames
from ...engine.session import load
from ..phantoms.bone_views import BoneView
from ..phantoms.camera import thin
from ..phantoms.rib_lesions import LABELS
from ..recipes.analysis.bone_images import Pool, crop, simulated
from .bone_baselines import BASELINES, Baseline, spot_features
from .real import SCAN
from .score_statistics import (
    Estimate,
    auc,
    balanced_accuracy,
    bootstrap,
    confusion,
    expected_calibration_error,
)

__all__ = ["BoneReport", "Case", "RealCase", "Summary", "measure_bones", "summary"]

Values = NDArray[np.float64]
Tell = Callable[[str], None]

PATIENTS, THINNED = 150, 40
FRACTIONS = (1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16)
MODEL = "bone-classify"
_REPLICATES = 1000


@dataclass(frozen=True)
class Case:
    """What a model said about one view.

    Parameters
    ----------
    patient : int
        Number of the held-out patient.
    truth : int
        Position in ``LABELS``.
    chances : tuple of float
        Calibrated probability of each label.
    inside, near : float
        Share of the evidence for the true label within the lesions, and within half the system's resolution of them; NaN
        without lesions.
    groups : dict of str to str
        View, field, matrix, counts, resolution.
    valid : bool
        False where the model said that it is not valid for the image.
    """

    patient: int
    truth: int
    chances: tuple[float, ...]
    inside: float
    near: float
    groups: dict[str, str]
    valid: bool = True

    @property
    def called(self) -> int:
        """The likeliest label."""
        return int(np.argmax(self.chances))

    def named(self, threshold: float) -> int:
        """Return the label that the engine gives at a threshold of the probability of any lesion."""
        return 1 + int(np.argmax(self.chances[1:])) if sum(self.chances[1:]) >= threshold else 0


@dataclass(frozen=True)
class RealCase:
    """What a model said about a real scan.

    Parameters
    ----------
    name : str
        Which scan.
    chances : tuple of float
        Of each label.
    verdict : str
        Of the domain.
    """

    name: str
    chances: tuple[float, ...]
    verdict: str


@dataclass(frozen=True)
class BoneReport:
    """Everything that was measured.

    Parameters
    ----------
    model : tuple of Case
        The bundle, on all held-out patients.
    baselines : dict of str to tuple of Case
        The plain rivals on the same views.
    thinned : dict of str to tuple of Case
        The bundle on the first patients at shares of their counts.
    real : tuple of RealCase
        Real scans without lesions of the ribs.
    refused : int
        Held-out views in which the engine found no thorax.
    threshold : float
        Probability of any lesion from which on the engine names one.
    """

    model: tuple[Case, ...]
    baselines: dict[str, tuple[Case, ...]]
    thinned: dict[str, tuple[Case, ...]]
    real: tuple[RealCase, ...]
    refused: int
    threshold: float


@dataclass(frozen=True)
class Summary:
    """Figures over some cases.

    Parameters
    ----------
    number : int
        Views.
    areas : tuple of Estimate
        Area under the ROC curve of each label against the others.
    lesion : Estimate
        The same of any lesion against none.
    accuracy : Estimate
        Balanced accuracy of the likeliest label.
    inside, near : Estimate
        Mean share of the evidence in the lesions, and near them.
    calibration : float
        Expected calibration error of the likeliest label.
    """

    number: int
    areas: tuple[Estimate, ...]
    lesion: Estimate
    accuracy: Estimate
    inside: Estimate
    near: Estimate
    calibration: float


def measure_bones(
    bundle: Bundle, data: Path | None, tuning: Pool, tell: Tell = lambda name: None, patients: int = PATIENTS
) -> BoneReport:
    """Measure a bundle, and its rivals on the same views.

    Parameters
    ----------
    bundle : Bundle
        The model.
    data : Path or None
        Folder with the real whole-body scan; the one that pydicom ships is always read.
    tuning : Pool
        Rib regions that the rivals are fitted to.
    tell : callable
        Told what goes on.
    patients : int
        Held-out patients; each is seen with normal ribs, with fractures and with metastases.
    """
    session = _session(bundle)
    fitted = _fit_rivals(tuning)
    cases: list[Case] = []
    rivals: dict[str, list[Case]] = {baseline.name: [] for baseline, _ in fitted}
    thinned: dict[str, list[Case]] = {_share(fraction): [] for fraction in FRACTIONS}
    refused = 0
    for patient in range(patients):
        tell(f"patient {patient + 1} of {patients}")
        for number, view in enumerate(simulated("held-out", patient)):
            case = _judged(session, view, patient)
            if case is None:
                refused += 1
                continue
            cases.append(case)
            features = spot_features(crop(view)[0])[None]
            for baseline, model in fitted:
                chances = tuple(baseline.chances(model, features)[0].tolist())
                rivals[baseline.name].append(replace(case, chances=chances, inside=np.nan, near=np.nan))
            if patient < THINNED and not view.acquisition.smoothing_mm:
                for fraction, name in zip(FRACTIONS, thinned, strict=True):
                    rng = np.random.default_rng([17, patient, number])
                    fewer = replace(view, counts=thin(view.counts, fraction, rng)[0])
                    found = _judged(session, fewer, patient)
                    thinned[name] += [found] if found else []
    return BoneReport(
        tuple(cases),
        {name: tuple(found) for name, found in rivals.items()},
        {name: tuple(found) for name, found in thinned.items()},
        tuple(_real(session, data)),
        refused,
        session.bundle.manifest.analysis.threshold if session.bundle.manifest.analysis else 0.5,
    )


def summary(cases: Iterable[Case]) -> Summary:
    """Return the figures over cases; intervals of areas by DeLong, of the others by bootstrap over patients."""
    chosen = tuple(cases)
    truth = np.array([case.truth for case in chosen])
    chances = np.array([case.chances for case in chosen])
    called = chances.argmax(axis=1)
    patients = [str(case.patient) for case in chosen]

    def right(rows: NDArray[np.intp]) -> float:
        return balanced_accuracy(confusion(truth[rows], called[rows], len(LABELS)))

    def mean(values: Values) -> Estimate:
        has = np.flatnonzero(np.isfinite(values))
        if not has.size:
            return Estimate(np.nan, np.nan, np.nan)
        own = values[has]
        return bootstrap(lambda rows: float(own[rows].mean()), [patients[k] for k in has], replicates=_REPLICATES)

    return Summary(
        len(chosen),
        tuple(auc(chances[:, k], truth == k) for k in range(len(LABELS))),
        auc(1 - chances[:, 0], truth != 0),
        bootstrap(right, patients, replicates=_REPLICATES),
        mean(np.array([case.inside for case in chosen])),
        mean(np.array([case.near for case in chosen])),
        expected_calibration_error(chances.max(axis=1), called == truth),
    )


def _judged(session: AnalysisSession, view: BoneView, patient: int) -> Case | None:
    """Return what the model says of a view, nothing where the engine finds no thorax."""
    try:
        result = session.run(Frames.from_array(view.counts, pixel_spacing_mm=(view.pixel_mm,) * 2))
    except InputError:
        return None
    truth = LABELS.index(view.label)
    if result.probabilities is None:
        raise ValueError(f"{session.bundle.name} gives no probabilities")
    inside, near = (_share_of(result.cam[0, truth], mask) if truth else np.nan for mask in view.masks)
    return Case(
        patient, truth, tuple(result.probabilities[0].tolist()), inside, near, _groups(view), all(result.valid_frames)
    )


def _share_of(evidence: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Return the share of the evidence in a mask; none at all counts as evidence elsewhere."""
    whole = float(evidence.sum())
    return float(evidence[mask].sum()) / whole if whole > 0 else 0.0


def _session(bundle: Bundle) -> AnalysisSession:
    session = load(bundle)
    if not isinstance(session, AnalysisSession):
        raise ModelError(f"{bundle.name} gives images and no classes; name a classifier of ribs.")
    return session


def _groups(view: BoneView) -> dict[str, str]:
    """Return which strata a view belongs to."""
    made = view.acquisition
    width = made.matrix_camera.fwhm_mm(100.0)
    level = made.counts_per_cm2
    return {
        "view": made.view,
        "field": made.kind,
        "matrix": f"{made.columns} columns",
        "counts per cm²": "60 to 200" if level < 200 else "200 to 700" if level < 700 else "700 to 2400",
        "resolution at 10 cm": "under 8 mm" if width < 8 else "8 mm and more",
        "filter": "smoothed" if made.smoothing_mm else "none",
        "lesions": "none" if not view.lesions else "1" if len(view.lesions) == 1 else "2 and more",
    }


def _fit_rivals(tuning: Pool) -> list[tuple[Baseline, Any]]:
    """Fit the plain rivals."""
    features = np.stack([spot_features(counts) for counts in tuning.counts])
    return [(baseline, baseline.fit(features, tuning.labels)) for baseline in BASELINES]


def _real(session: AnalysisSession, data: Path | None) -> Iterable[RealCase]:
    """Yield what the model says of real scans, whose ribs are normal."""
    paths = [("whole body, public sample of pydicom (lossy)", Path(str(get_testdata_file("JPEG2000.dcm"))))]
    if data is not None and (data / SCAN).exists():
        paths.insert(0, ("whole body, NEMA sample", data / SCAN))
    for name, path in paths:
        ds = pydicom.dcmread(path)
        counts = np.maximum(ds.pixel_array, 0).astype(np.float32)
        spacing = float(ds.PixelSpacing[0]), float(ds.PixelSpacing[1])
        result = session.run(Frames.from_array(counts, pixel_spacing_mm=spacing))
        if result.probabilities is None:
            raise ValueError(f"{session.bundle.name} gives no probabilities")
        yield RealCase(name, tuple(result.probabilities[0].tolist()), result.domain.verdict)


def _share(fraction: float) -> str:
    return "all" if fraction == 1 else f"1/{round(1 / fraction)}"
