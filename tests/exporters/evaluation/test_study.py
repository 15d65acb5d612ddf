import json

import numpy as np
import pytest

pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")

from photopeak.engine import zoo
from photopeak.exporters import card
from photopeak.exporters.evaluation import study
from photopeak.exporters.evaluation.cases import Lesion
from photopeak.exporters.phantoms.library import Study
from photopeak.exporters.recipes.catalogue import RECIPES, find


@pytest.fixture
def few_cases(monkeypatch):
    """Measure two small cases and one lesion with the cheap methods only."""
    y, x = np.mgrid[:32, :32]
    body = (5 + 20 * np.exp(-((x - 15.0) ** 2 + (y - 14.0) ** 2) / 60)).astype(np.float32)
    spot = (40 * np.exp(-((x - 15.0) ** 2 + (y - 14.0) ** 2) / 8)).astype(np.float32)
    monkeypatch.setattr(study, "held_out_studies", lambda data: [Study("a-0", body, 2.0), Study("b-0", body.T, 2.0)])
    monkeypatch.setattr(study, "lesions", lambda: [Lesion("lesion-0", body + spot, body, spot > 20)])
    monkeypatch.setattr(study, "SPEED_SIDES", (32,))
    cheap = {task: methods[:2] for task, methods in study.REPORTED.items()}
    monkeypatch.setattr(study, "REPORTED", cheap)


@pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES if recipe.family == "scintigraphy"])
@pytest.mark.usefixtures("few_cases")
def test_a_measurement_holds_every_case_level_and_method(name, tmp_path):
    recipe, bundle = find(name), zoo.load_bundle(name)
    report = study.measure(recipe, bundle.model, None, tmp_path)
    assert len(report.scores) == 2 * 3 * len(study.LEVELS[recipe.task])
    assert len(report.recoveries) == 3 * len(study.LESION_LEVELS)
    assert report.real == ()
    assert set(report.speed_ms) == {"32x32"}
    ours = [score for score in report.scores if score.method == study.OURS]
    assert all(np.isfinite([score.psnr, score.ssim, score.bias]).all() for score in ours)
    assert json.loads(study.as_json(report))["scores"]


@pytest.mark.usefixtures("few_cases")
def test_classical_figures_are_kept_and_the_models_are_not(tmp_path):
    recipe, model = find("scint-denoise"), zoo.load_bundle("scint-denoise").model
    study.measure(recipe, model, None, tmp_path)
    path = tmp_path / "baselines-denoise.jsonl"
    changed = [
        json.dumps([key, [99.0] * len(values)]) for key, values in map(json.loads, path.read_text().splitlines())
    ]
    path.write_text("\n".join(changed) + "\n")
    scores = study.measure(recipe, model, None, tmp_path).scores
    assert all((score.psnr == 99) == (score.method != study.OURS) for score in scores)


@pytest.mark.usefixtures("few_cases")
def test_a_case_that_is_drawn_otherwise_is_measured_anew(tmp_path, monkeypatch):
    recipe, model = find("scint-denoise"), zoo.load_bundle("scint-denoise").model
    first = study.measure(recipe, model, None, tmp_path)
    drawn, spots = study.held_out_studies(None), study.lesions()
    brighter = [Study(case.name, case.image + np.float32(9), case.pixel_mm) for case in drawn]
    raised = [
        Lesion(spot.name, spot.image + np.float32(9), spot.without + np.float32(9), spot.region) for spot in spots
    ]
    monkeypatch.setattr(study, "held_out_studies", lambda data: brighter)
    monkeypatch.setattr(study, "lesions", lambda: raised)
    again = study.measure(recipe, model, None, tmp_path)
    assert all(a.psnr != b.psnr for a, b in zip(first.scores, again.scores, strict=True))
    assert all(a.recovery != b.recovery for a, b in zip(first.recoveries, again.recoveries, strict=True))


@pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES if recipe.family == "scintigraphy"])
@pytest.mark.usefixtures("few_cases")
def test_the_card_says_what_was_measured(name, tmp_path):
    recipe, bundle = find(name), zoo.load_bundle(name)
    report = study.measure(recipe, bundle.model, None, tmp_path)
    text = card.render(bundle, report)
    ours = np.mean([s.psnr for s in report.scores if s.method == study.OURS and s.level == 1])
    assert f"{ours:.2f} (" in text
    assert "The scan was not present" in text
    assert "{" not in text
    assert f"{bundle.manifest.training.steps} steps" in text
    assert "| a (1) | " in text
    assert "| b (1) | " in text


def test_the_card_shows_a_kind_of_object_where_the_model_loses():
    scores = [
        study.Score(case, 1.0, method, psnr, 0.9, 0.0)
        for case, gain in (("body-0", 3.0), ("body-1", 1.0), ("bars-0", -2.5))
        for method, psnr in ((study.OURS, 30.0 + gain), ("nearest", 29.0), ("bicubic", 30.0))
    ]
    rows = card.gain_by_kind_table(tuple(scores)).splitlines()
    assert rows == ["| kind (cases) | 1 |", "| --- | --- |", "| body (2) | +2.00 |", "| bars (1) | -2.50 |"]


def test_the_real_scan_is_measured_against_its_complement(shared_data):
    from photopeak.exporters.evaluation.baselines import gaussian
    from photopeak.exporters.evaluation.real import FRACTIONS, real_scores

    methods = (("none", lambda counts, truth: counts), ("Gaussian", gaussian))
    found = list(real_scores(find("scint-denoise"), methods, shared_data, lambda method, key, make: make()))
    assert {fraction for fraction, _, _ in found} == set(FRACTIONS)
    for fraction in FRACTIONS:
        raw, smooth = ([p for f, n, p in found if f == fraction and n == name] for name in ("none", "Gaussian"))
        assert min(smooth) > max(raw) + 2
