"""The NIQE model of scintigraphy, and the study that compares it with that of photographs."""

from dataclasses import replace

import numpy as np
import pytest

from photopeak.exporters.evaluation import niqe_ranking
from photopeak.exporters.evaluation.niqe_ranking import as_markdown, fit_nm, rank
from photopeak.exporters.phantoms.library import simulate
from photopeak.kernels import niqe
from photopeak.kernels.iqa.models import NiqeModel


@pytest.fixture
def small(monkeypatch):
    """Use one study of each anatomy."""
    monkeypatch.setattr(niqe_ranking, "STUDIES", {"train": 1, "held-out": 1})


@pytest.mark.usefixtures("small")
def test_a_model_is_fitted_to_simulated_scans():
    first, again = fit_nm(None), fit_nm(None)
    assert first.digest == again.digest
    assert (first.name, first.block) == ("nm", 32)
    assert "5 planar scans" in first.provenance
    assert "0 real" in first.provenance


@pytest.mark.usefixtures("small")
def test_real_scans_are_taken_in_where_they_are(shared_data):
    assert "1 real bone scan" in fit_nm(shared_data).provenance


@pytest.mark.usefixtures("small")
def test_held_out_scans_are_not_those_of_the_fit():
    seen = [list(niqe_ranking._studies(split, lambda name: None)) for split in ("train", "held-out")]
    assert not any(np.array_equal(a, b) for a in seen[0] for b in seen[1])


def test_degraded_scans_keep_their_size_and_counts():
    image = simulate("kidneys", 3, "held-out").image
    for name, steps in niqe_ranking._degraded(image, np.random.default_rng(0)):
        assert {step.shape for step in steps} == {image.shape}
        if name != "counts":
            sums = [step.sum() for step in steps]
            expected = sums[0] * (16 if name == "none" else 1)
            inside = sums if name == "blur" else [s * f**-2 for s, f in zip(sums, niqe_ranking.BINNINGS, strict=True)]
            np.testing.assert_allclose(inside, expected, rtol=0.05)


@pytest.mark.usefixtures("small")
def test_the_shipped_model_ranks_scans_better_than_that_of_photographs(monkeypatch):
    monkeypatch.setattr(niqe_ranking, "FIRST", {"train": 0, "held-out": 60})
    found = {(r.degradation, r.model): r.tau.mean for r in rank({"live": "live", "nm": "nm"})}
    assert found["blur", "nm"] > found["blur", "live"] + 0.2
    assert found["matrix", "nm"] > found["matrix", "live"] + 0.5
    assert found["counts", "nm"] > 0.7


@pytest.mark.usefixtures("small")
def test_a_model_that_is_always_right_gets_full_marks(monkeypatch):
    order = iter(range(10**6))
    monkeypatch.setattr(niqe_ranking, "niqe", lambda step, model: next(order))
    for ranking in rank({"sure": "live"}):
        assert ranking.tau.mean == pytest.approx(1)
        assert ranking.perfect == 1
    assert "| counts | sure | +1.00 (+1.00 to +1.00) | 100% |" in as_markdown(rank({"sure": "live"}))


def test_the_shipped_model_tells_what_it_was_made_from():
    score = niqe(np.random.default_rng(0).poisson(30, (64, 64)).astype(np.uint16), model="nm")
    assert score.model == "nm"
    assert np.isfinite(float(score))
    shipped = NiqeModel.load(niqe_ranking.SHIPPED)
    assert "planar scans" in shipped.provenance
    assert replace(shipped, name="other").digest != shipped.digest
