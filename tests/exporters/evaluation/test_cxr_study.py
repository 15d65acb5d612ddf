"""The study of chest projections: its peers see what they are named after, and shares of evidence add up."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("skimage")
pytest.importorskip("sklearn")

from photopeak.engine.zoo import load_bundle
from photopeak.exporters.evaluation.cxr_card import render_cxr
from photopeak.exporters.evaluation.cxr_peers import (
    detector_shape,
    fitted_scores,
    grey_levels,
    held_out_scores,
)
from photopeak.exporters.evaluation.cxr_report import as_figure, as_markdown
from photopeak.exporters.evaluation.cxr_shortcuts import covered_corners, square
from photopeak.exporters.evaluation.cxr_study import (
    CxrReport,
    Evidence,
    Separation,
    measure_cxr,
    region_energy,
    separation,
    sources_of,
)
from photopeak.exporters.evaluation.score_statistics import Estimate, bootstrap
from photopeak.exporters.recipes.analysis.radiograph_images import Pool, simulated_radiographs
from photopeak.exporters.recipes.analysis.radiograph_training import RadiographRecipe, cross_validate


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Return noisy images of two sources, whose detector is landscape for AP in one of them."""
    rng = np.random.default_rng(0)
    images = rng.random((32, 64, 64)).astype(np.float32) + 0.1
    classes = np.arange(32) % 2
    sources = np.where(np.arange(32) < 16, "a", "b")
    images[(classes == 0) & (sources == "a"), :10] = 0
    images[(classes == 0) & (sources == "a"), -10:] = 0
    return Pool(images, np.ones((32, 64, 64), bool), classes, sources, np.arange(32).astype(str))


def test_the_shape_of_the_detector_tells_classes_apart_in_its_source_alone(pool: Pool) -> None:
    scores = fitted_scores(detector_shape(pool), pool.classes, np.ones(32, bool), 1.0)
    for source, expected in (("a", 1.0), ("b", 0.5)):
        own = pool.sources == source
        found = separation("shape", source, scores[own], pool.classes[own], pool.patients[own])
        assert found.auc.value == pytest.approx(expected)
        assert (found.ap, found.pa) == (8, 8)


def test_grey_levels_know_neither_gain_nor_offset(pool: Pool) -> None:
    other = Pool(
        np.where(pool.images > 0, 7 * pool.images + 2, 0).astype(np.float32),
        pool.thoraxes,
        pool.classes,
        pool.sources,
        pool.patients,
    )
    assert np.allclose(grey_levels(pool), grey_levels(other), atol=1e-4)


def test_scores_of_a_group_do_not_know_its_labels(pool: Pool) -> None:
    features = np.eye(32)  # each case has a feature of its own: nothing can be learnt for others
    scores = held_out_scores(features, pool.classes, np.arange(32) // 8, 1.0)
    assert np.abs(scores).max() < 0.5


def test_two_sizes_of_one_collection_are_one_source(pool: Pool) -> None:
    named = Pool(
        pool.images, pool.thoraxes, pool.classes, np.where(pool.sources == "a", "nih64", "nih14"), pool.patients
    )
    assert set(sources_of(named)) == {"nih"}


def test_evidence_is_shared_among_six_regions_and_the_rest() -> None:
    (one,) = simulated_radiographs(1, side=64)
    energy = region_energy(one.pixels, np.ones((64, 64), np.float32))
    assert energy.sum() == pytest.approx(1)
    assert (energy > 0).all()
    corner = np.zeros((64, 64), np.float32)
    corner[0, 0] = 1
    assert region_energy(one.pixels, corner)[0] == 1


def test_the_report_has_a_row_for_every_method_and_source(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photopeak.exporters.recipes.analysis.radiograph_training._LATERALS", 1)
    monkeypatch.setattr("photopeak.exporters.evaluation.cxr_study.bootstrap", partial(bootstrap, replicates=20))
    torch.set_num_threads(1)
    recipe = RadiographRecipe(widths=(4, 4, 4), folds=2, members=1, epochs=1, batch=8, counterexamples=1)
    found = cross_validate(pool, recipe, 0, lambda text: None)
    report = measure_cxr(pool, recipe, 0, lambda text: None, found)
    methods = {one.method for one in report.separations}
    # All, two sources held out, and two sources left out, by every method; changed images are held out only.
    assert len(report.separations) == 5 * 5 + 3 * 2
    assert len(methods) == 7
    text = as_markdown(report)
    assert all(one.method in text for one in report.separations)
    assert len(as_figure(report).data) == len(methods)
    assert report.evidence[-1].images == 32
    assert sum(report.evidence[-1].regions) + report.evidence[-1].outside.value == pytest.approx(1)


def test_squares_have_one_shape_and_covered_corners_no_words(pool: Pool) -> None:
    shapes = detector_shape(square(pool))
    assert np.unique(shapes, axis=0).tolist() == [[1.0, 64.0, 64.0]]
    words = replace(pool, images=pool.images.copy())
    words.images[:, 12:15, 2:9] = 50.0
    words.images[1:, 1:4, 55:62] = 50.0
    covered = covered_corners(words).images
    assert covered[1:, :5].max() < 2
    assert covered.shape == words.images.shape
    assert np.array_equal(covered[:, 25:40, 25:40], words.images[:, 25:40, 25:40])


def test_the_card_counts_collections_and_tells_of_the_threshold() -> None:
    estimate = Estimate(0.9, 0.8, 1.0)
    report = CxrReport(
        (Separation("network", "all, held out", 2, 2, estimate, estimate),),
        (Evidence("both", 4, (0.1,) * 6, estimate, 0.4),),
        (0.03, 0.02),
        0.9,
        5,
        4,
    )
    sources = ("nih14", "nih64", "a", "a")
    named = (replace(one, source=source) for one, source in zip(simulated_radiographs(4), sources, strict=True))
    card = render_cxr(load_bundle("cxr-view"), report, tuple(named), "One more sentence.")
    assert "4 images of 2 collections" in card
    assert "threshold of 0.60 for PA" in card
    assert "One more sentence." in card
    assert "Not for diagnosis" in card
    assert "{" not in card
