"""The study of denoisers against curves and regions of which the answer is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")

from typer.testing import CliRunner

from photopeak.engine.errors import UsageError
from photopeak.exporters.evaluation import denoise_study, slices, uptake
from photopeak.exporters.evaluation.contrast import best_at
from photopeak.exporters.evaluation.denoise_report import as_figure, as_markdown
from photopeak.exporters.evaluation.denoise_study import DenoiseReport, advantages
from photopeak.exporters.evaluation.slice_study import BLENDS, RAW, SliceReport, SphereScore, blends
from photopeak.exporters.evaluation.study import OURS, Kept, Score
from photopeak.exporters.evaluation.uptake import REGIONS, Reading, read_uptake
from photopeak.exporters.phantoms.slices import nema_iq
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.studies import app

RECIPE = find("pet-denoise")


def swept(level=0.5, raw=RAW):
    """Scores of which every curve is a straight line from the image as it is, (1.0, 0.1)."""
    ours = [SphereScore(level, OURS, k, 1 - 0.1 * share, 0.1 - 0.08 * share) for k, share in enumerate(BLENDS)]
    gaussian = [SphereScore(level, "Gaussian", k, 1 - 0.4 * s, 0.1 - 0.08 * s) for k, s in enumerate((0.5, 1.0))]
    weak = [SphereScore(level, "TV", 0, 1.0, 0.09)]
    return (SphereScore(level, raw, 0, 1.0, 0.1), *ours, *gaussian, *weak)


@pytest.fixture
def report():
    scores = [Score("torso-0", 0.5, name, psnr, 0.9, 0.0) for name, psnr in ((OURS, 30.0), ("Gaussian, tuned", 28.0))]
    scan = (*swept(0, "recon_1"), SphereScore(0, "recon_2", 0, 1.1, 0.05))
    measured = SliceReport(tuple(scores), (), swept(), scan, float("nan"), {})
    readings = tuple(Reading(f"x-{k}", 0.5, OURS, region, -0.01, 0.04) for k in range(2) for region in [*REGIONS][:2])
    found = (*advantages(scan), *advantages(swept()))
    return DenoiseReport("pet-denoise", measured, readings, found)


def test_curves_cross_where_lines_do():
    curve = [(1.0, 0.1), (0.8, 0.06), (0.9, 0.02)]
    assert best_at(curve, 0.08)[0] == pytest.approx(0.9)
    assert best_at(curve, 0.04)[0] == pytest.approx(0.85)
    assert np.isnan(best_at(curve, 0.01)[0])


def test_the_best_rival_is_found_at_each_variability_of_the_model():
    found = advantages(swept())
    assert [one.share for one in found] == [*BLENDS]
    for one in found:
        assert one.variability == pytest.approx(0.1 - 0.08 * one.share)
        assert one.recovery == pytest.approx(1 - 0.1 * one.share)
        # TV gets no farther than 9 %, where it has all contrast; the Gaussian filter loses 0.4 on its way.
        assert (one.rival, one.rival_recovery) == ("Gaussian", pytest.approx(1 - 0.4 * one.share))


def test_where_no_rival_gets_there_is_said():
    scores = [replace(s, variability=s.variability - 0.01) if s.method == OURS else s for s in swept()]
    assert advantages(scores)[0].rival == ""
    assert advantages(scores)[0].rival_recovery is None


def test_blends_go_from_output_to_input():
    estimate, image = np.full((2, 2), 3.0, np.float32), np.full((2, 2), 1.0, np.float32)
    np.testing.assert_allclose([mixed[0, 0] for mixed in blends(estimate, image)], [1 + 2 * b for b in BLENDS])


@pytest.fixture
def spheres(monkeypatch):
    """One image of the NEMA phantom, and no torsos."""
    plane, rng = nema_iq(128, 4.0), np.random.default_rng(0)
    noisy = plane.activity * rng.normal(1, 0.1, plane.activity.shape).astype(np.float32)
    trial = slices.Trial("spheres-0", 0.5, noisy, plane.activity, plane.discs, plane.field_mm)
    monkeypatch.setattr(uptake, "sphere_trials", lambda recipe, levels: iter([trial]))
    monkeypatch.setattr(uptake, "lesion_trials", lambda recipe, levels: iter(()))
    return trial


def test_the_bias_is_that_of_the_image(spheres, tmp_path):
    methods = ((OURS, lambda image, truth: truth), ("ten more", lambda image, truth: 1.1 * truth))
    found = read_uptake(RECIPE, methods, (0.5,), Kept(tmp_path / "kept.jsonl"))
    assert {reading.region for reading in found} == {name for name in REGIONS if "lesion" not in name}
    for reading in found:
        expected = 0.1 if reading.method == "ten more" else 0.0
        assert (reading.mean_bias, reading.max_bias) == (pytest.approx(expected, abs=1e-6),) * 2
    again = read_uptake(
        RECIPE, ((OURS, lambda image, truth: 2 * truth), methods[1]), (0.5,), Kept(tmp_path / "kept.jsonl")
    )
    assert [r for r in again if r.method == "ten more"] == [r for r in found if r.method == "ten more"]
    assert all(r.mean_bias == pytest.approx(1) for r in again if r.method == OURS)


def test_noise_raises_the_maximum_and_not_the_mean_of_background(spheres, tmp_path):
    kept = Kept(tmp_path / "kept.jsonl")
    found = read_uptake(RECIPE, (("none", lambda image, truth: image),), (0.5,), kept)
    (background,) = (r for r in found if r.region.startswith("background"))
    assert abs(background.mean_bias) < 0.03
    assert background.max_bias > 0.1


def test_lesions_are_sorted_by_size_and_every_one_belongs_somewhere(monkeypatch):
    monkeypatch.setattr(uptake, "LESION_SLICES", 4)
    for name in ("measure", "noise_free", "acquire", "reconstruct"):  # where lesions lie does not depend on them
        monkeypatch.setattr(uptake, name, lambda *arguments: np.ones((2, 2), np.float32))
    for trial in uptake.lesion_trials(RECIPE, (0.5,)):
        small, large = (uptake.regions(trial, f"lesions {size}") for size in ("below 15 mm", "of 15 mm and more"))
        assert len(small) + len(large) == len(trial.discs) > 0
        assert all(disc.diameter_mm < 15 for disc in small)
        assert uptake.regions(trial, "spheres of 10 to 17 mm") == ()


def test_tables_and_figure_hold_every_method(report):
    text = as_markdown(report)
    assert "| 1/2 | 1 | 2.00 | **0.900** | Gaussian | 0.600 |" in text
    assert "| real scan | 1 | 2.00 | **0.900** | Gaussian | 0.600 |" in text
    assert "| recon_2 | 1.100 | 5.00 |" in text
    assert "| background of the NEMA phantom | **this model** | -1.0 (-1.0 to -1.0) / +4.0 (+4.0 to +4.0) |" in text
    assert "+2.00 (+2.00 to +2.00)" in text
    figure = as_figure(report)
    assert [trace.name for trace in figure.data].count(OURS) == 2
    assert sum(trace.showlegend for trace in figure.data) == len({trace.name for trace in figure.data})


def test_the_command_writes_tables_figures_and_a_page(report, tmp_path, monkeypatch):
    monkeypatch.setattr(denoise_study, "measure_slices", lambda *arguments: report.slices)
    monkeypatch.setattr(denoise_study, "read_uptake", lambda *arguments: report.readings)
    words = ["denoise", "-o", str(tmp_path), "--work", str(tmp_path / "work")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert (tmp_path / "denoise.md").read_text().strip() in result.output
    figures = json.loads((tmp_path / "denoise.json").read_text())
    assert len(figures["advantages"]) == 2 * len(BLENDS)
    assert "contrast recovery" in (tmp_path / "denoise.html").read_text()


def test_models_of_other_things_are_refused(tmp_path):
    with pytest.raises(UsageError, match="scint-denoise does not denoise PET slices"):
        CliRunner().invoke(app, ["denoise", "scint-denoise", "-o", str(tmp_path)], catch_exceptions=False)
