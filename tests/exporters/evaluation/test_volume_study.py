"""The study of volumes from few views."""

import numpy as np
import pytest

from photopeak.exporters.evaluation import volume_study
from photopeak.exporters.evaluation.volume_study import Errors, Summary, as_markdown, draw, measure
from photopeak.exporters.phantoms.volumes import jaszczak
from photopeak.kernels import project


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Draw coarsely."""
    monkeypatch.setattr(volume_study, "OBJECTS", {"jaszczak": (lambda grid, rng: jaszczak(grid), 16, 24, 11.0)})


def test_acquisition_shows_the_truth_with_other_pixels_than_the_solver():
    case = draw("jaszczak", 3, 1e6, 0)
    for view, image in zip(project(case.truth, case.geometry), case.images, strict=True):
        assert image.sum() == pytest.approx(view.sum(), rel=0.02)
        assert not np.array_equal(image, view)
    assert np.array_equal(case.images[0], np.round(case.images[0]))


def test_error_is_relative_to_the_truth():
    case = draw("jaszczak", 2, 1e5, 0)
    assert case.error(case.truth) == 0
    assert case.error(1.1 * case.truth) == pytest.approx(10, rel=1e-3)
    assert case.error(np.zeros_like(case.truth)) == pytest.approx(100)


def test_methods_are_measured_on_the_same_acquisition():
    errors = measure(draw("jaszczak", 6, 1e6, 0))
    assert 0 < errors.tv < 100
    assert errors.filtered <= errors.mlem
    assert errors.osem == pytest.approx(errors.mlem, rel=0.1)
    assert errors.discrepancy == pytest.approx(1, abs=0.15)
    assert np.isnan(measure(draw("jaszczak", 2, 1e5, 0)).osem)


def test_table_gives_means_and_gains():
    errors = (Errors(20, 40, 42, 30, 9, 100, 1.0), Errors(30, 40, 42, 30, 9, 100, 1.0))
    row = as_markdown([Summary("rods", 12, 1e6, errors)]).splitlines()[-1]
    assert "25.0 (20.0 to 30.0)" in row
    assert "37.5 (25.0 to 50.0) %" in row
    assert row.count("|") == 10
