"""The comparison of methods that double the matrix."""

import json

import numpy as np
import pytest

pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")

from typer.testing import CliRunner

from photopeak.exporters.evaluation import slices, sr_comparison
from photopeak.exporters.evaluation.metrics import peak, psnr, ssim
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.studies import app

RECIPE = find("pet-sr-x2")


@pytest.fixture
def few(monkeypatch):
    """Trials of one Hoffman-like and one other slice."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:112, :112] - 55.5
    truth = (1 / (1 + np.exp((np.hypot(x, y) - 40) / 3)) + np.exp(-((x - 13) ** 2 + y**2) / 80)).astype(np.float32)

    def trials(recipe, levels, data):
        for case in ("hoffman-like-0", "shapes-0"):
            for level in levels:
                noise = rng.normal(0, 0.05 / np.sqrt(level), (56, 56))
                noisy = truth.reshape(56, 2, 56, 2).mean((1, 3)) + noise
                yield slices.Trial(case, level, noisy.astype(np.float32), truth, (), 112.0)

    monkeypatch.setattr(slices, "trials", trials)
    return truth


def test_every_method_is_measured_on_every_slice(few):
    found = sr_comparison.compare(RECIPE, {})
    names = {"bicubic", "Lanczos", "ScSR", sr_comparison.TRUTH}
    assert {(s.case, s.level, s.method) for s in found.scores} == {
        (case, level, name)
        for case in ("hoffman-like-0", "shapes-0")
        for level in sr_comparison.LEVELS
        for name in names
    }
    assert set(found.milliseconds) == names - {sr_comparison.TRUTH}
    assert found.maximum_db == pytest.approx(20 * np.log10(few.max() / peak(few)))
    by_level = [s.psnr for s in found.scores if s.method == "ScSR" and s.case == "shapes-0"]
    assert by_level == sorted(by_level)


def test_figures_are_those_of_the_image(few):
    trial = next(slices.trials(RECIPE, (1.0,), None))
    image = sr_comparison.methods({})["bicubic"](trial.noisy)
    score = sr_comparison._score(trial, "bicubic", image, None)
    assert (score.psnr, score.ssim) == (psnr(image, trial.truth), ssim(image, trial.truth))
    assert np.isnan(score.perceptual_index)


def test_tables_hold_gains_and_leave_out_what_was_not_measured(few):
    text = sr_comparison.as_markdown(sr_comparison.compare(RECIPE, {}))
    assert "## Hoffman-like slices (1)" in text
    assert "## Other slices (1)" in text
    assert "Perceptual index" not in text
    assert "nan" not in text


def test_the_command_writes_table_and_figures(few, tmp_path):
    result = CliRunner().invoke(app, ["sr", "-o", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    figures = json.loads((tmp_path / "sr.json").read_text())
    assert {s["method"] for s in figures["scores"]} >= {"bicubic", "ScSR"}
    assert "ScSR" in (tmp_path / "sr.md").read_text()


def test_interpolation_keeps_a_constant():
    for name in ("bicubic", "Lanczos"):
        np.testing.assert_allclose(sr_comparison.methods({})[name](np.full((8, 8), 3.0, np.float32)), 3.0, rtol=1e-6)
