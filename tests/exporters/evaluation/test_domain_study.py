"""Shifted inputs, whether they are told apart, and what the study says about it."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from photopeak.engine import zoo
from photopeak.engine.errors import UsageError
from photopeak.exporters.evaluation import domain_inputs
from photopeak.exporters.evaluation.domain_inputs import HELD_OUT, inputs
from photopeak.exporters.evaluation.domain_report import as_figure, as_markdown
from photopeak.exporters.evaluation.domain_study import Judged, auc, correlate, has_inputs, separate, study, worth
from photopeak.exporters.phantoms.library import ANATOMIES


@pytest.fixture
def small(monkeypatch):
    """Use two anatomies, one study of each, and few other images."""
    monkeypatch.setattr(domain_inputs, "ANATOMIES", tuple(a for a in ANATOMIES if a.name in ("kidneys", "thyroid")))
    for name, value in {
        "STUDIES": 1,
        "UNSEEN": 1,
        "CROPS": 1,
        "OBJECT_SCANS": 4,
        "PHOTOGRAPHS": ("camera", "coins"),
    }.items():
        monkeypatch.setattr(domain_inputs, name, value)


def judged(kind, distances, verdict="inside", shortfalls=None):
    """Return one input per case."""
    known = shortfalls if shortfalls is not None else [None] * len(distances)
    return [
        Judged(kind, "", k, d, verdict, s, None if s is None else 1.0 + d)
        for k, (d, s) in enumerate(zip(distances, known, strict=True))
    ]


@pytest.mark.parametrize(
    ("usual", "shifted", "expected"),
    [([1, 2, 3], [4, 5], 1.0), ([4, 5], [1, 2, 3], 0.0), ([1, 2], [1, 2], 0.5), ([0, 2], [1], 0.5)],
)
def test_area_is_the_chance_of_being_farther_away(usual, shifted, expected):
    assert auc(np.array(usual, float), np.array(shifted, float)) == pytest.approx(expected)


def test_intervals_hold_the_areas_and_grow_with_doubt():
    rng = np.random.default_rng(0)
    few, many = (tuple(judged(HELD_OUT, rng.random(n)) + judged("blur", 0.5 + rng.random(n))) for n in (8, 80))
    (_, one), (_, other) = separate(few), separate(many)
    assert one.auc.low <= one.auc.mean <= one.auc.high
    assert one.auc.high - one.auc.low > other.auc.high - other.auc.low
    assert separate(many)[0].auc.mean == pytest.approx(0.5)
    assert separate(many)[0].shares == (1.0, 0.0, 0.0)


def test_correlations_are_those_of_ranks():
    entries = tuple(judged(HELD_OUT, np.arange(20.0), shortfalls=np.arange(20.0) ** 3))
    found = {(c.of, c.error): c.rho.mean for c in correlate(entries + tuple(judged("blur", [99.0], "outside", [1e6])))}
    assert found["distance", "shortfall_db"] == pytest.approx(1)
    assert found["distance", "nrmse"] == pytest.approx(1)
    assert 0 < found["verdict", "shortfall_db"] < 1


def test_worth_is_the_mean_of_each_verdict():
    entries = judged(HELD_OUT, [1, 1], "inside", [-3, -5]) + judged("blur", [2, 2], "outside", [1, 3])
    found = worth(tuple(entries))
    assert {w.verdict: (w.shortfall_db.mean, w.useless.mean) for w in found} == {"inside": (-4, 0), "outside": (2, 1)}


@pytest.mark.usefixtures("small")
def test_inputs_keep_their_truth_through_every_shift():
    for bundle in map(zoo.load_bundle, ("scint-denoise", "scint-sr-x2")):
        scale = bundle.manifest.output.scale
        made = list(inputs(bundle, None))
        assert {shifted.kind for shifted in made} == {
            HELD_OUT,
            "counts",
            "blur",
            "matrix",
            "intensity",
            "other anatomy",
            "natural",
        }
        for shifted in made:
            assert (shifted.image == np.rint(shifted.image)).all()
            assert shifted.image.min() >= 0
            if shifted.truth is not None:
                assert shifted.truth.shape == tuple(scale * n for n in shifted.image.shape)
                # What is less than half a count is rounded away.
                if not shifted.how.startswith("divided"):
                    assert shifted.image.sum() == pytest.approx(shifted.truth.sum(), rel=0.3), shifted.how


@pytest.mark.usefixtures("small")
def test_the_study_tells_shifts_apart_and_says_so(tmp_path):
    report = study(zoo.load_bundle("scint-denoise"), None)
    again = {(s.kind, s.how): s for s in report.separations}
    for shift in (("blur", "2 px"), ("matrix", "twice, linear"), ("intensity", "times 10"), ("natural", "photographs")):
        assert again[shift].auc.mean > 0.95
        assert again[shift].shares[0] < 0.5
    assert again[HELD_OUT, ""].shares[2] == 0
    assert again[HELD_OUT, ""].shortfall_db < -1
    assert set(report.objects) == {"kidneys", "thyroid"}
    table = as_markdown([report])
    assert table.count("\n|") > 20
    assert "Rank correlation of the distance with the shortfall" in table
    assert json.loads(json.dumps(asdict(report)))["model"] == "scint-denoise"
    assert len(as_figure([report]).data) > 5


def test_a_model_of_which_no_inputs_are_simulated_is_refused():
    assert [name for name in zoo.names("images") if not has_inputs(zoo.load_bundle(name))] == ["ct-sr-x2"]
    with pytest.raises(UsageError, match="scintigraphy and PET only, not for ct-sr-x2"):
        study(zoo.load_bundle("ct-sr-x2"), None)
