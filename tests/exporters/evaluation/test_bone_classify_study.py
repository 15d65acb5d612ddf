"""The study of the classifier of ribs: its figures, its rivals, its card."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from photopeak.engine.zoo import load_bundle
from photopeak.exporters.evaluation.bone_baselines import BASELINES, spot_features
from photopeak.exporters.evaluation.bone_classify_card import render_bones
from photopeak.exporters.evaluation.bone_classify_report import as_markdown, evidence_table, threshold_table
from photopeak.exporters.evaluation.bone_classify_study import BoneReport, Case, RealCase, measure_bones, summary
from photopeak.exporters.recipes.analysis.bone_images import Pool

GROUPS = {"view": "anterior"}


def _case(patient: int, truth: int, chances: tuple[float, float, float]) -> Case:
    inside = 0.5 if truth else np.nan
    return Case(patient, truth, chances, inside, 1.5 * inside, GROUPS)


@pytest.fixture
def cases() -> tuple[Case, ...]:
    sure = np.eye(3) * 0.7 + 0.1
    return tuple(_case(patient, truth, tuple(sure[truth])) for patient in range(20) for truth in range(3))


@pytest.fixture
def report(cases: tuple[Case, ...]) -> BoneReport:
    real = (RealCase("scan", (0.9, 0.06, 0.04), "inside"),)
    return BoneReport(cases, {"rival": cases}, {"all": cases}, real, 3, 0.5)


def test_perfect_probabilities_have_perfect_figures(cases: tuple[Case, ...]) -> None:
    found = summary(cases)
    assert [area.value for area in found.areas] == [1, 1, 1]
    assert (found.lesion.value, found.accuracy.value) == (1, 1)
    assert found.inside.value == pytest.approx(0.5)
    assert found.near.value == pytest.approx(0.75)
    assert found.calibration == pytest.approx(0.2)


def test_two_labels_that_are_mixed_up_cost_their_accuracy(cases: tuple[Case, ...]) -> None:
    mixed = [replace(case, chances=cases[1].chances) if case.truth == 2 else case for case in cases]
    found = summary(mixed)
    assert found.accuracy.value == pytest.approx(2 / 3)
    assert found.lesion.value == 1
    assert found.areas[1].value == pytest.approx(0.75)


def test_tables_hold_every_figure(report: BoneReport) -> None:
    tables = as_markdown(report)
    assert "| scan | 0.900 | 0.060 | 0.040 | inside |" in tables
    assert "| trauma | 0 | 20 | 0 |" in tables
    assert "| both | 40 | 0.500 (0.500 to 0.500) | 0.750 (0.750 to 0.750) |" in evidence_table(report)


def test_the_card_says_what_is_simulated(report: BoneReport) -> None:
    card = render_bones(load_bundle("bone-classify"), report, 1000, "One more sentence.")
    assert "simulated patients alone" in card
    assert "One more sentence." in card
    assert "In 3 further views" in card
    assert "| 0.50 | 1.000 (1.000 to 1.000) | 1.000 (1.000 to 1.000) | 1.000 (1.000 to 1.000) |" in card


def test_at_a_threshold_views_are_named_as_the_engine_names_them(report: BoneReport) -> None:
    unsure = tuple(replace(case, chances=(0.45, 0.3, 0.25)) for case in report.model)
    assert [case.named(0.5) for case in unsure[:1]] == [1]
    assert [case.named(0.6) for case in unsure[:1]] == [0]
    row = "| 0.60 | 0.000 (0.000 to 0.000) | 1.000 (1.000 to 1.000) | 0.333 (0.333 to 0.333) |"
    assert row in threshold_table(replace(report, model=unsure, threshold=0.6))


def test_hot_spots_are_measured() -> None:
    counts = np.random.default_rng(0).poisson(60.0, (128, 128)).astype(np.float32)
    counts[40:42, 20:23] += 300
    counts[70:72, 90:110] += 300
    found = spot_features(counts)
    assert found[3] == 2
    assert 50 < found[6] < 90  # 20 pixels of 3.5 mm
    assert found[5] > 5
    assert not spot_features(np.full((128, 128), 60.0, np.float32)).any()


def test_hot_spots_of_the_midline_do_not_count() -> None:
    counts = np.full((128, 128), 60.0, np.float32)
    counts[50:54, 62:66] = 500
    assert spot_features(counts)[3] == 0


def test_rivals_learn_what_their_features_tell() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(3), 40)
    features = rng.normal(0, 0.3, (120, 10)) + labels[:, None]
    for baseline in BASELINES:
        chances = baseline.chances(baseline.fit(features, labels), features)
        assert chances.sum(axis=1) == pytest.approx(np.ones(120))
        assert (chances.argmax(axis=1) == labels).mean() > 0.8


def test_a_bundle_is_measured_end_to_end(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(3), 4)
    counts = np.random.default_rng(0).poisson(40.0, (12, 128, 128)).astype(np.float32)
    tuning = Pool(counts, labels, np.zeros((12, 64, 64), np.float32), np.arange(12), np.ones(12, np.float32))
    told: list[str] = []
    found = measure_bones(load_bundle("bone-classify"), tmp_path, tuning, told.append, patients=1)
    assert told == ["patient 1 of 1"]
    assert len(found.model) + found.refused == 3
    assert all(sum(case.chances) == pytest.approx(1) for case in found.model)
    assert [len(cases) for cases in found.baselines.values()] == [len(found.model)] * 2
    assert len(found.real) == 1
