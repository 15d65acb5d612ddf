"""The measurement of PET models and the card that comes of it."""

import numpy as np
import pytest

pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")

from photopeak.exporters import slice_card
from photopeak.exporters.evaluation import slice_study, slices
from photopeak.exporters.evaluation.baselines import PET_DENOISERS, PET_ENLARGERS, PET_STRENGTHS, smooth_slice
from photopeak.exporters.evaluation.slice_study import SphereScore
from photopeak.exporters.evaluation.study import OURS
from photopeak.exporters.phantoms.camera import bin2
from photopeak.exporters.phantoms.slices import nema_iq
from photopeak.exporters.recipes.catalogue import find


@pytest.fixture(scope="module")
def spheres():
    return next(slices.sphere_trials(find("pet-denoise"), (1 / 8,)))


def body(side=64):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return (1.0 * (np.hypot(x, y) < 25) + 3 * np.exp(-((x - 8) ** 2 + y**2) / 30)).astype(np.float32)


def test_the_ideal_image_recovers_all_contrast(spheres):
    recoveries, variability = slices.recovery_and_variability(spheres.truth, spheres)
    assert recoveries == [1.0] * 6
    assert variability < 0.02


def test_smoothing_costs_contrast_and_variability(spheres):
    before, after = (
        slices.recovery_and_variability(image, spheres)
        for image in (spheres.noisy, smooth_slice("Gaussian", spheres.noisy, 4.0))
    )
    assert np.mean(after[0][:3]) < 0.7 * np.mean(before[0][:3])
    assert after[1] < 0.7 * before[1]


@pytest.mark.parametrize("name", PET_STRENGTHS)
def test_more_strength_means_less_detail(name):
    noisy = body() + np.random.default_rng(0).normal(0, 0.2, (64, 64)).astype(np.float32)
    rough = [
        np.abs(np.diff(smooth_slice(name, noisy, s))).mean()
        for s in PET_STRENGTHS[name][:: len(PET_STRENGTHS[name]) - 1]
    ]
    assert rough[1] < rough[0]


def test_every_denoiser_is_better_than_nothing():
    noisy = body() + np.random.default_rng(0).normal(0, 0.3, (64, 64)).astype(np.float32)
    errors = {name: np.mean((method(noisy, body()) - body()) ** 2) for name, method in PET_DENOISERS}
    assert all(errors[name] < 0.6 * errors["none"] for name in errors if name != "none")


def test_tuning_finds_the_best_strength():
    noisy = body() + np.random.default_rng(0).normal(0, 0.3, (64, 64)).astype(np.float32)
    found = dict(PET_DENOISERS)["Gaussian, tuned"](noisy, body())
    errors = [np.mean((smooth_slice("Gaussian", noisy, s) - body()) ** 2) for s in PET_STRENGTHS["Gaussian"]]
    assert np.mean((found - body()) ** 2) == pytest.approx(min(errors), rel=1e-5)


@pytest.mark.parametrize(("name", "method"), PET_ENLARGERS, ids=[name for name, _ in PET_ENLARGERS])
def test_enlarging_keeps_the_concentration(name, method):
    image = method(bin2(body()) / 4, body())
    assert image.shape == (64, 64)
    assert image.mean() == pytest.approx(body().mean(), rel=0.01)


def test_held_out_slices_are_yielded_at_every_level():
    found = []
    for trial in slices.trials(find("pet-sr-x2"), (0.25, 1.0), None):
        found.append(trial)
        if len(found) == 4:
            break
    assert [trial.level for trial in found] == [0.25, 1.0] * 2
    assert all(2 * trial.noisy.shape[0] == trial.truth.shape[0] for trial in found)
    assert found[0].case == found[1].case != found[2].case


def test_real_brains_become_slices(shared_data):
    drawn = list(slices._real_brains(shared_data))
    assert {np.round(v, 2) for plane in drawn for v in np.unique(plane.activity)} == {0.0, 0.25, 1.0, 4.0}
    grey = [(plane.activity == 4).mean() for plane in drawn]
    assert min(grey) > 0.02


def test_recovery_is_compared_at_equal_variability():
    scores = [
        SphereScore(0.5, OURS, 0, 0.9, 0.02),
        SphereScore(0.5, slice_study.RAW, 0, 1.0, 0.06),
        SphereScore(0.5, "Gaussian", 0, 1.0, 0.03),
        SphereScore(0.5, "Gaussian", 1, 0.6, 0.01),
        SphereScore(0.5, "TV", 0, 0.9, 0.05),
        SphereScore(0.5, "TV", 1, 0.8, 0.03),
    ]
    text = slice_card._spheres(scores)
    assert f"| **{OURS}** | 0.900 at 2.00 % |" in text
    assert "| Gaussian | 0.800 at 2.00 % |" in text
    assert "| TV | never |" in text
    assert "| none | 1.000 at 6.00 % |" in text


def test_variability_is_compared_at_equal_recovery():
    scores = [
        SphereScore(0, "recon_1", 0, 1.0, 0.06),
        SphereScore(0, "recon_2", 0, 1.2, 0.05),
        SphereScore(0, OURS, 0, 0.9, 0.02),
        SphereScore(0, "Gaussian", 0, 0.8, 0.04),
        SphereScore(0, "TV", 0, 0.95, 0.05),
    ]
    text = slice_card._scan(scores)
    assert f"| **{OURS}** | 0.900 | 2.00 |" in text
    assert "| Gaussian | 0.900 | 5.00 |" in text
    assert "| TV | never |  |" in text
    assert slice_card._scan([]) == ""


def test_a_coarser_grid_keeps_the_field_and_the_mean():
    plane = nema_iq(300)
    coarse = slices.regridded(plane, 128)
    assert coarse.field_mm == plane.field_mm
    assert coarse.activity.mean() == pytest.approx(plane.activity.mean(), rel=1e-3)


def test_the_model_is_measured_as_the_engine_runs_it():
    def halves(inputs):
        return np.asarray(inputs * 0.5, np.float32)

    image = 37 * body()
    np.testing.assert_allclose(slice_study.bare(halves, image), 0.5 * image, rtol=1e-5)
    np.testing.assert_allclose(slice_study.as_delivered(halves)(image, image), image, rtol=1e-5)
