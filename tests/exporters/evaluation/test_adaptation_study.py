"""Simulated sites, and the table of what adapting to them is worth."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from photopeak.engine import zoo
from photopeak.engine.session import load
from photopeak.exporters.evaluation import adaptation_study
from photopeak.exporters.evaluation.adaptation_sites import PET_SITES, hands_case, pet_case
from photopeak.exporters.evaluation.adaptation_study import AdaptationReport, ScanScore, SiteScore, as_markdown, deliver
from photopeak.exporters.phantoms.tomography import Reconstruction, Scanner
from photopeak.exporters.recipes.adaptation import Settings
from photopeak.exporters.recipes.catalogue import find


@pytest.fixture(scope="module")
def site():
    """A small PET site."""
    how = Reconstruction(side=72, iterations=2, subsets=5, filter_fwhm_mm=8.0)
    return pet_case(replace(PET_SITES[0], scanner=Scanner(angles=40), how=how, patients=1, slices=12))


def test_a_site_has_neighbouring_noisy_slices_and_patients_with_their_truth(site):
    assert site.site.images == 12
    assert site.noisy.shape == site.truth.shape == (12, 72, 72)
    (one,) = site.site.series
    assert one.noise is not None
    assert 0.5 < one.noise.axial < 0.9  # exp(-1 / (4 * 0.85^2)) is 0.71
    between = np.abs(np.diff(site.truth, axis=0)).mean()
    assert between < 0.2 * site.truth.mean()  # slices of one body
    assert site.noisy.mean() == pytest.approx(site.truth.mean(), rel=0.05)
    assert site.truth.min() >= 0


def test_hands_have_the_noise_of_counts():
    case = hands_case(2, 2)
    residual = case.noisy - case.truth
    assert residual.var() == pytest.approx(case.truth.mean(), rel=0.1)
    assert case.site.images == 2


def test_images_are_delivered_as_the_engine_does(site):
    net = adaptation_study._net(find("pet-denoise"), zoo.load_bundle("pet-denoise"))
    images, bias = deliver(net, find("pet-denoise"), site.noisy[:2])
    engine = load("pet-denoise", device="cpu", precision="fp32", threads=1).run(site.noisy[:2])
    np.testing.assert_allclose(images, engine.frames.pixels, rtol=1e-3, atol=1e-3 * images.max())
    assert bias == pytest.approx(float(engine.conservation.model_bias.mean()), abs=1e-4)


def test_where_nothing_gets_better_the_model_stays_as_it_ships(site):
    still = Settings(steps=1, learning_rate=0.0, batch=2, patch=32)
    score = adaptation_study._site(site, still, lambda name: None)
    assert score.steps == 0
    assert score.after == score.before
    assert np.mean(score.before) > np.mean(score.raw)


def test_tables_hold_what_was_measured():
    one = SiteScore("fine matrix", 27, 240, 61.2, (30.0, 31.0), (38.0, 39.0), (38.5, 39.5), (0.001, -0.002))
    other = replace(one, steps=0, after=one.before)
    scan = (ScanScore("none", 1.0, 0.1234), ScanScore("adapted", 0.95, 0.05))
    table = as_markdown(AdaptationReport((one, other), scan, 200))
    assert "| fine matrix | 27 | 240 | 61 | 30.50 | 38.50 | 39.00 | +0.50 (+0.50 to +0.50) | +0.10 | -0.20 |" in table
    assert "| refused |" in table
    assert "| adapted | 0.950 | 5.00 |" in table
    assert "real NEMA" not in as_markdown(AdaptationReport((one,), ()))
