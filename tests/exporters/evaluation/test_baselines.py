import numpy as np
import pytest

pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")

from photopeak.exporters.evaluation.baselines import (
    DENOISERS,
    ENLARGERS,
    anscombe,
    inverse_anscombe,
)
from photopeak.exporters.evaluation.real import corrected_error
from photopeak.exporters.phantoms.camera import bin2


def scene(side=48):
    y, x = np.mgrid[:side, :side]
    return (2 + 30 * np.exp(-((x - 20.0) ** 2 + (y - 25.0) ** 2) / 50)).astype(np.float32)


@pytest.mark.parametrize("expected", [0.05, 0.7, 4.0, 30.0, 400.0])
def test_the_inverse_transform_is_unbiased(expected):
    counts = np.random.default_rng(0).poisson(expected, 400_000).astype(np.float32)
    mean = anscombe(counts).mean(dtype=np.float64)
    assert inverse_anscombe(np.array([mean]))[0] == pytest.approx(expected, rel=0.01)


def test_every_denoiser_is_better_than_nothing():
    truth = scene()
    counts = np.random.default_rng(1).poisson(truth).astype(np.float32)
    errors = {name: np.mean((method(counts, truth) - truth) ** 2) for name, method in DENOISERS}
    assert all(errors[name] < 0.5 * errors["none"] for name in errors if name != "none")


@pytest.mark.parametrize(("name", "method"), ENLARGERS, ids=[name for name, _ in ENLARGERS])
def test_enlarging_keeps_counts_and_position(name, method):
    truth = scene()
    image = method(bin2(truth), truth)
    assert image.shape == truth.shape
    assert image.sum() == pytest.approx(truth.sum(), rel=0.01)
    rows = np.arange(48) @ image.sum(axis=1) / image.sum()
    assert rows == pytest.approx(np.arange(48) @ truth.sum(axis=1) / truth.sum(), abs=0.1)


def test_the_corrected_error_is_the_error_against_the_unknown_truth():
    truth = np.tile(scene(), (6, 6))
    rng = np.random.default_rng(2)
    counts = rng.poisson(truth).astype(np.float32)
    kept = rng.binomial(counts.astype(int), 0.25).astype(np.float32)
    known = np.mean((kept - 0.25 * truth) ** 2)
    assert corrected_error(kept, counts - kept, 0.25) == pytest.approx(known, rel=0.05)
