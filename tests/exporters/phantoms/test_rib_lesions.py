"""Lesions lie on their ribs, and are what their labels say."""

import numpy as np
import pytest

from photopeak.exporters.phantoms.bone_thorax import Patient, draw_patient
from photopeak.exporters.phantoms.rib_lesions import LABELS, Label, Lesion, draw_lesions, draw_variants

SEEDS = range(12)


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return [draw_patient(np.random.default_rng(seed)) for seed in range(4)]


def _drawn(patients: list[Patient], label: Label) -> list[tuple[Patient, tuple[Lesion, ...]]]:
    return [
        (patients[seed % 4], draw_lesions(patients[seed % 4], label, np.random.default_rng([seed, 1])))
        for seed in SEEDS
    ]


@pytest.mark.parametrize("label", LABELS[1:])
def test_lesions_lie_on_their_ribs(patients: list[Patient], label: Label) -> None:
    for patient, lesions in _drawn(patients, label):
        assert lesions
        for lesion in lesions:
            (rib,) = (rib for rib in patient.ribs if (rib.number, rib.side) == (lesion.rib, lesion.side))
            distance = np.linalg.norm(lesion.parts.centre[:, None] - rib.points[None], axis=2).min(axis=1)
            assert distance.max() < 9
            assert (lesion.parts.activity > 0).all()


def test_fractures_are_short_and_in_rows(patients: list[Patient]) -> None:
    several = 0
    for _, lesions in _drawn(patients, "trauma"):
        assert all(5 <= lesion.length_mm <= 13 for lesion in lesions)
        for side in (-1, 1):
            ribs = sorted({lesion.rib for lesion in lesions if lesion.side == side})
            several += len(ribs) > 1 and bool((np.diff(ribs) == 1).all())
    assert several >= len(SEEDS) // 2


def test_metastases_are_mostly_long_and_anywhere(patients: list[Patient]) -> None:
    found = [lesion for _, lesions in _drawn(patients, "metastasis") for lesion in lesions]
    lengths = np.array([lesion.length_mm for lesion in found])
    assert (lengths > 20).mean() > 0.7
    assert {lesion.side for lesion in found} == {-1, 1}


def test_normal_ribs_have_no_lesions(patients: list[Patient]) -> None:
    assert all(not lesions for _, lesions in _drawn(patients, "normal"))


def test_lesions_face_the_detector(patients: list[Patient]) -> None:
    for patient, lesions in _drawn(patients, "metastasis"):
        for lesion in lesions:
            (rib,) = (rib for rib in patient.ribs if (rib.number, rib.side) == (lesion.rib, lesion.side))
            assert lesion.parts.centre[:, 2].mean() < rib.points[:, 2].mean() + lesion.length_mm / 2


def test_uptake_scales(patients: list[Patient]) -> None:
    lesion = draw_lesions(patients[0], "trauma", np.random.default_rng(0))[0]
    assert lesion.times(2.0).parts.activity == pytest.approx(2 * lesion.parts.activity)
    assert lesion.times(2.0).parts.centre is lesion.parts.centre


def test_variants_are_weaker_than_bone_is_wide(patients: list[Patient]) -> None:
    for seed, patient in enumerate(patients):
        parts = draw_variants(patient, np.random.default_rng(seed))
        assert np.isfinite(parts.activity).all()
        assert len(parts) > 24


def test_the_patient_from_behind_and_back_is_the_same(patients: list[Patient]) -> None:
    twice = patients[1].posterior().posterior()
    assert twice.bones.centre == pytest.approx(patients[1].bones.centre)
    assert all(a.points == pytest.approx(b.points) for a, b in zip(twice.ribs, patients[1].ribs, strict=True))
    assert patients[1].posterior().ribs[0].points[:, 2] == pytest.approx(-patients[1].ribs[0].points[:, 2])
    assert sorted({(rib.number, rib.side) for rib in twice.ribs}) == [(n, s) for n in range(1, 13) for s in (-1, 1)]
