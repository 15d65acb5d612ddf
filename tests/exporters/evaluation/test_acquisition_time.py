"""Scores of longer and longer acquisitions."""

import json
from dataclasses import asdict

import numpy as np
import pytest

import photopeak
from photopeak.exporters.evaluation import acquisition_time as module
from photopeak.exporters.evaluation import acquisition_time_report as report_module
from photopeak.exporters.evaluation.acquisition_time import METRICS, PROCESSING, TIMES_S, series, study
from photopeak.exporters.evaluation.acquisition_time_report import as_figure, as_markdown


@pytest.fixture
def small(monkeypatch):
    for name, value in {"MATRICES": (128,), "FILTERS_MM": (4.0,), "NUMBER": 1, "FITTED": 4}.items():
        monkeypatch.setattr(module, name, value)
        if hasattr(report_module, name):
            monkeypatch.setattr(report_module, name, value)


def test_longer_acquisitions_are_nearer_to_the_truth():
    images, truth = series("torso", 0, 128, 4.0)
    errors = [float(np.mean((image - truth) ** 2)) for image in images]
    assert len(errors) == len(TIMES_S)
    assert errors == sorted(errors, reverse=True)
    # Four times the counts: half the noise.
    np.testing.assert_allclose(np.divide(errors[:-2], errors[2:]), 4, rtol=0.35)


def test_matrices_show_the_same_anatomy():
    (_, coarse), (_, fine) = (series("brain", 1, matrix, 4.0) for matrix in (128, 256))
    binned = fine.reshape(128, 2, 128, 2).mean(axis=(1, 3))
    assert np.corrcoef(coarse.ravel(), binned.ravel())[0, 1] > 0.99


@pytest.mark.usefixtures("small")
def test_the_study_scores_everything_before_and_after():
    session = photopeak.load("scint-denoise", device="cpu", precision="fp32", threads=1)
    report = study(session)
    assert report.slices == 2
    assert {(t.metric, t.processing) for t in report.trends} == {(m, p) for m in METRICS for p in PROCESSING}
    (fidelity,) = (t for t in report.trends if (t.metric, t.processing) == ("PSNR [dB]", PROCESSING[0]))
    assert fidelity.tau.mean == pytest.approx(1)
    assert fidelity.ordered == 1
    for trend in report.trends:
        assert -1 <= trend.tau.low <= trend.tau.mean <= trend.tau.high <= 1
        assert len(trend.scores) == len(TIMES_S)
    assert as_markdown(report).count("\n|") == 1 + len(METRICS)
    assert f"| {fidelity.scores[0].mean:.1f}, {fidelity.scores[1].mean:.1f}" in as_markdown(report)
    assert len(as_figure(report).data) == len(report.trends)
    assert json.loads(json.dumps(asdict(report)))["slices"] == 2


def test_scores_that_never_change_have_no_trend():
    flat = module._trend("PIQE", "processed", 128, 4.0, np.full((3, len(TIMES_S)), 100.0))
    assert (flat.tau.mean, flat.ordered) == (0, 0)
    falling = module._trend("PIQE", "processed", 128, 4.0, np.tile(-np.arange(len(TIMES_S), dtype=float), (3, 1)))
    assert (falling.tau.mean, falling.ordered) == (pytest.approx(1), 1)
