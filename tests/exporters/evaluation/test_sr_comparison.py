"""The comparison of methods that double the matrix."""

import json

import numpy as np
import pytest

pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")
torch = pytest.importorskip("torch", reason="judging needs torch: pip install 'photopeak[train]'")

from typer.testing import CliRunner

from photopeak.exporters.evaluation import perception, slices, sr_comparison, sr_report
from photopeak.exporters.evaluation.metrics import peak, psnr, ssim
from photopeak.exporters.recipes.adversarial import FeatureNet
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.studies import app

RECIPE = find("pet-sr-x2")
CASES = ("hoffman-like-0", "shapes-0")
SIDE = 64


def phantom(side=SIDE, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    image = 1 / (1 + np.exp((np.hypot(x, y) - 0.4 * side) / 2))
    for _ in range(side // 8):
        left, top = rng.uniform(-side / 4, side / 4, 2)
        image += np.exp(-((x - left) ** 2 + (y - top) ** 2) / rng.uniform(4, 30))
    return image.astype(np.float32)


def trials_of(cases):
    def trials(recipe, levels, data):
        rng, truth = np.random.default_rng(0), phantom()
        for case in cases:
            for level in levels:
                noisy = truth.reshape(SIDE // 2, 2, SIDE // 2, 2).mean((1, 3))
                noisy = (noisy + rng.normal(0, 0.05 / np.sqrt(level), noisy.shape)).astype(np.float32)
                yield slices.Trial(case, level, noisy, truth, (), 112.0)

    return trials


@pytest.fixture(scope="module")
def judges():
    torch.manual_seed(0)
    net = FeatureNet().eval().requires_grad_(False)
    return perception.Judges(perception.fit_natural([phantom(128, seed) for seed in range(8)]), net)


@pytest.fixture(autouse=True, scope="module")
def small():
    """One Hoffman-like and one other slice, and times taken on a small matrix."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "trials", trials_of(CASES))
        patch.setattr(sr_comparison, "TIMED_SIDE", 16)
        patch.setattr(sr_comparison, "_REPEATS", 2)
        yield


@pytest.fixture(scope="module")
def compared(small, judges):
    return sr_comparison.compare(RECIPE, {}, judges)


def test_every_method_is_measured_on_every_slice(compared):
    names = {"bicubic", "Lanczos", "ScSR", sr_comparison.TRUTH}
    assert {(s.case, s.level, s.method) for s in compared.scores} == {
        (case, level, name) for case in CASES for level in sr_comparison.LEVELS for name in names
    }
    assert set(compared.milliseconds) == names - {sr_comparison.TRUTH}
    truth = phantom()
    assert compared.maximum_db == pytest.approx(20 * np.log10(truth.max() / peak(truth)))
    by_level = [s.psnr for s in compared.scores if s.method == "ScSR" and s.case == CASES[1]]
    assert by_level == sorted(by_level)


def test_figures_are_those_of_the_image(judges):
    trial = next(slices.trials(RECIPE, (1.0,), None))
    image = sr_comparison.methods({})["bicubic"](trial.noisy)
    score = sr_comparison._score(trial, "bicubic", image, judges, None)
    assert (score.psnr, score.ssim) == (psnr(image, trial.truth), ssim(image, trial.truth))
    assert score.distance == perception.learned_distance(judges, image, trial.truth)
    assert score.niqe == perception.unnatural(judges, image, trial.truth)
    assert np.isnan(score.perceptual_index)


def test_tables_hold_gains_and_leave_out_what_was_not_measured(compared):
    text = sr_report.as_markdown(compared)
    assert "## Hoffman-like slices (1)" in text
    assert "## Other slices (1)" in text
    assert "erceptual index" not in text
    assert "nan" not in text
    gain = [s.psnr for s in compared.scores if (s.case, s.level) == (CASES[0], 4.0)]
    assert f"| {gain[1] - gain[0]:.2f} ({gain[1] - gain[0]:.2f} to " in text  # Lanczos, the second method


def test_the_figure_shows_every_method_against_counts_and_time(compared):
    figure = sr_report.as_figure(compared)
    assert len(figure.data) == 2 * 3 * 3  # groups, panels, methods
    assert sum(bool(trace.showlegend) for trace in figure.data) == 3
    scsr = next(trace for trace in figure.data if trace.name == "ScSR")
    found = [s.psnr for s in compared.scores if (s.case, s.method) == (CASES[0], "ScSR")]
    assert list(scsr.y) == pytest.approx(found)
    timed = [trace.x[0] for trace in figure.data if len(trace.x) == 1 and trace.name == "ScSR"]
    assert timed == [compared.milliseconds["ScSR"]] * 2


def test_the_command_writes_tables_figures_and_plot(judges, monkeypatch, tmp_path):
    monkeypatch.setattr(slices, "trials", trials_of(CASES[1:]))
    monkeypatch.setattr(perception, "references", lambda recipe, tell: None)
    monkeypatch.setattr(perception, "train_judges", lambda pool, recipe: judges)
    result = CliRunner().invoke(app, ["sr", "-o", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    figures = json.loads((tmp_path / "sr.json").read_text())
    assert {s["method"] for s in figures["scores"]} >= {"bicubic", "ScSR", "pet-sr-x2"}
    assert "Hoffman" not in (tmp_path / "sr.md").read_text()
    assert "plotly" in (tmp_path / "sr.html").read_text()


def test_interpolation_keeps_a_constant():
    for name in ("bicubic", "Lanczos"):
        np.testing.assert_allclose(sr_comparison.methods({})[name](np.full((8, 8), 3.0, np.float32)), 3.0, rtol=1e-6)
