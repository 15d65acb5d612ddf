"""Tables of ``photopeak study bone-classify``."""

from collections.abc import Sequence

import numpy as np

from ..markdown import markdown
from ..phantoms.rib_lesions import LABELS
from .bone_classify_study import MODEL, BoneReport, Case, Summary, summary
from .score_statistics import Estimate, auc, bootstrap, confusion

__all__ = [
    "as_markdown",
    "confusion_table",
    "evidence_table",
    "main_table",
    "real_table",
    "strata_table",
    "thinned_table",
    "threshold_table",
]

_FIGURES = (*(f"AUC {label}" for label in LABELS), "AUC any lesion", "balanced accuracy", "calibration error")
_FEW = 15  # views with or without lesions, below which a stratum's area says nothing
_REPLICATES = 1000


def as_markdown(report: BoneReport) -> str:
    """Return all tables, with what they hold."""
    return "\n\n".join(
        (
            "**Held-out patients, and two plain rivals on the same views**",
            main_table(report),
            "**What was called what** (rows: truth; the likeliest label)",
            confusion_table(report),
            "**At the threshold of the bundle**",
            threshold_table(report),
            "**Where the evidence for the true label lies**",
            evidence_table(report),
            "**By acquisition and lesions**",
            strata_table(report),
            "**The same views with a share of their counts**",
            thinned_table(report),
            "**Real scans without lesions of the ribs**",
            real_table(report),
        )
    )


def main_table(report: BoneReport) -> str:
    """Return areas, accuracy and calibration of the model and its rivals."""
    rows = [(MODEL, *_figures(summary(report.model)))]
    rows += [(name, *_figures(summary(cases))) for name, cases in report.baselines.items()]
    return markdown(("method", *_FIGURES), rows)


def confusion_table(report: BoneReport) -> str:
    """Return how many views of each label were called what."""
    table = confusion([case.truth for case in report.model], [case.called for case in report.model], len(LABELS))
    return markdown(("truth", *LABELS), [(label, *map(str, row)) for label, row in zip(LABELS, table, strict=True)])


def threshold_table(report: BoneReport) -> str:
    """Return what the engine says at the threshold of the bundle: whether there is a lesion, and which label."""
    ill = [case for case in report.model if case.truth]
    well = [case for case in report.model if not case.truth]
    row = (
        f"{report.threshold:.2f}",
        _mean(ill, [case.named(report.threshold) > 0 for case in ill]),
        _mean(well, [case.named(report.threshold) == 0 for case in well]),
        _mean(report.model, [case.named(report.threshold) == case.truth for case in report.model]),
    )
    return markdown(("threshold", "sensitivity", "specificity", "label right"), [row])


def evidence_table(report: BoneReport) -> str:
    """Return the share of the evidence in the lesions."""
    rows = []
    for name, cases in (
        *((label, [case for case in report.model if case.truth == k]) for k, label in enumerate(LABELS) if k),
        ("both", [case for case in report.model if case.truth]),
        ("both, called right", [case for case in report.model if case.truth and case.called == case.truth]),
    ):
        rows.append((name, str(len(cases)), *_evidence(cases)))
    return markdown(("label", "views", "in the lesions", "within half the resolution of them"), rows)


def strata_table(report: BoneReport) -> str:
    """Return how the figures depend on how a patient was imaged and on the number of lesions."""
    rows = []
    for group in report.model[0].groups:
        names = sorted({case.groups[group] for case in report.model})
        for name in names:
            found = (case for case in report.model if case.groups[group] == name)
            rows.append(_stratum(f"{group}: {name}", tuple(found)))
    return markdown(("stratum", "views", "AUC any lesion", "accuracy", "in and near the lesions"), rows)


def thinned_table(report: BoneReport) -> str:
    """Return what fewer counts do to the same views."""
    rows = []
    for name, cases in report.thinned.items():
        found = summary(cases)
        rows.append((name, str(len(cases)), str(found.lesion), str(found.accuracy), str(found.near)))
    return markdown(("counts", "views", "AUC any lesion", "balanced accuracy", "in and near the lesions"), rows)


def real_table(report: BoneReport) -> str:
    """Return the probabilities of the real scans."""
    rows = [(case.name, *(f"{chance:.3f}" for chance in case.chances), case.verdict) for case in report.real]
    return markdown(("scan", *LABELS, "domain"), rows)


def _stratum(name: str, cases: tuple[Case, ...]) -> tuple[str, ...]:
    """Return the row of a stratum."""
    right = np.mean([case.called == case.truth for case in cases])
    near = [case.near for case in cases if np.isfinite(case.near)]
    lesion = [case.truth > 0 for case in cases]
    both = min(sum(lesion), len(lesion) - sum(lesion)) >= _FEW
    area = str(auc([1 - case.chances[0] for case in cases], lesion)) if both else ""
    return name, str(len(cases)), area, f"{right:.3f}", f"{np.mean(near):.3f}" if near else ""


def _figures(found: Summary) -> tuple[str, ...]:
    return (*map(str, found.areas), str(found.lesion), str(found.accuracy), f"{found.calibration:.3f}")


def _evidence(cases: Sequence[Case]) -> tuple[str, str]:
    """Return the mean shares of the evidence, with intervals by patient."""
    return _mean(cases, [case.inside for case in cases]), _mean(cases, [case.near for case in cases])


def _mean(cases: Sequence[Case], values: Sequence[float]) -> str:
    table = np.array(values)
    patients = [str(case.patient) for case in cases]
    found: Estimate = bootstrap(lambda rows: float(table[rows].mean()), patients, replicates=_REPLICATES)
    return str(found)
