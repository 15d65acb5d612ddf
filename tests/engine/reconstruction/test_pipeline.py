"""Which solver is taken, what is said on the way, and how the volume spreads with noise."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from known_bodies import BALL_ML, ball, ball_views, blob, coil_views, helix
from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.reconstruction import pipeline, solvers
from photopeak.engine.reconstruction.curve_files import curve_file
from photopeak.engine.reconstruction.gamma import Physics
from photopeak.engine.reconstruction.result import Settings
from photopeak.engine.reconstruction.volume_files import nifti_file
from photopeak.kernels.reconstruction.progress import Step


@pytest.fixture(scope="module")
def spread():
    """Return 12 volumes of the ball with new noise, and the fit that they belong to."""
    found = pipeline.reconstruct(ball_views(), Settings(bootstrap=12))
    return found, found.volumes_ml


def test_ball_is_found_from_its_views(spread):
    assert spread[0].method == "shape"
    assert spread[0].volume_ml == pytest.approx(BALL_ML, rel=0.05)
    # A count in each pixel comes from nowhere, and voxels of 4 mm have steps.
    assert max(spread[0].chi2_per_pixel) < 2


def test_volume_spreads_with_noise_around_the_fit(spread):
    found, volumes = spread
    assert len(volumes) == 12
    assert len(set(volumes)) == 12
    assert not found.interrupted
    assert volumes.mean() == pytest.approx(found.volume_ml, rel=0.03)
    # 69 thousand counts: a few parts in a thousand, and shapes vary more than counts.
    assert 0.0005 < volumes.std() / found.volume_ml < 0.03


def test_repetitions_that_are_interrupted_leave_whole_ones():
    told = []

    def watch(step):
        told.append(step)
        return step.stage == "new noise" and step.done == 2

    found = pipeline.reconstruct(ball_views(), Settings(bootstrap=5, iterations=15), watch)
    assert len(found.volumes_ml) == 2
    assert found.interrupted
    assert not found.solution.interrupted
    assert {step.total for step in told if step.stage == "new noise"} == {5}


def test_interrupted_fit_is_not_repeated():
    found = pipeline.reconstruct(ball_views(), Settings(bootstrap=5), lambda step: True)
    assert found.solution.interrupted
    assert found.interrupted
    assert found.volumes_ml.size == 0


def test_x_rays_show_wires_and_cameras_shapes():
    assert Settings().method_for(coil_views()) == "curve"
    assert Settings().method_for(ball_views()) == "shape"
    assert Settings(method="volume").method_for(ball_views()) == "volume"


@pytest.mark.parametrize(
    ("settings", "views", "words"),
    [
        (Settings("volume", bootstrap=3), ball_views, "--bootstrap"),
        (Settings(bootstrap=-1), ball_views, "--bootstrap -1"),
        (Settings(bootstrap=1), ball_views, "--bootstrap 1 tells no spread"),
        (Settings("curve"), coil_views, "--wire-radius"),
        (Settings("curve", radius_mm=0.25, iterations=3), coil_views, "--iterations"),
        (Settings("shape", radius_mm=0.25), ball_views, "--wire-radius"),
        (Settings("volume", wires=2), ball_views, "--wires"),
        (Settings("curve", radius_mm=0.25, physics=Physics(holes_mm=(1.5, 24.0))), coil_views, "--collimator"),
        (Settings("shape", background=True), ball_views, "--background"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, views, words):
    with pytest.raises(UsageError, match=words):
        pipeline.reconstruct(views(), settings)


def test_warnings_of_kernels_become_sentences(monkeypatch):
    def solve(*arguments):
        warnings.warn("Depth is uncertain.", UserWarning, stacklevel=1)
        warnings.warn("Depth is uncertain.", UserWarning, stacklevel=1)
        return ball()

    monkeypatch.setattr(pipeline, "solve", solve)
    found = pipeline.reconstruct(replace(ball_views(), warnings=("A view is dark.",)), Settings())
    assert found.warnings == ("A view is dark.", "Depth is uncertain.")


def test_other_warnings_are_not_swallowed(monkeypatch):
    def solve(*arguments):
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
        return ball()

    monkeypatch.setattr(pipeline, "solve", solve)
    with pytest.warns(RuntimeWarning, match="overflow"):
        pipeline.reconstruct(ball_views(), Settings())


def test_earlier_results_reach_the_solvers(tmp_path, monkeypatch):
    (tmp_path / "s.nii").write_bytes(nifti_file(ball().occupancy, ball().grid, Path("s.nii"), "x"))
    given = []

    def solver(*arguments, start, **options):
        given.append(start)
        return ball()

    monkeypatch.setattr("photopeak.kernels.reconstruction.shape.reconstruct_shape", solver)
    pipeline.reconstruct(ball_views(), Settings())
    pipeline.reconstruct(ball_views(), Settings(start=tmp_path / "s.nii"))
    assert given[0] is None
    np.testing.assert_array_equal(given[1], ball().occupancy)


@pytest.mark.parametrize(
    ("method", "views", "name", "error"),
    [
        ("shape", ball_views, "w.json", UsageError),
        ("volume", ball_views, "w.json", UsageError),
        ("volume", ball_views, "other.nii", InputError),
        ("curve", coil_views, "other.nii", UsageError),
    ],
)
def test_earlier_results_of_another_kind_are_refused(tmp_path, method, views, name, error):
    (tmp_path / "w.json").write_bytes(curve_file(helix(), Path("w.json"), interrupted=False))
    (tmp_path / "other.nii").write_bytes(
        nifti_file(blob().values[:-1], replace(blob().grid, shape=(43, 26, 34)), Path("o.nii"), "x")
    )
    radius = 0.25 if method == "curve" else None
    with pytest.raises(error, match=name):
        solvers.solve(views(), Settings(method, radius_mm=radius, start=tmp_path / name), method, None)


def test_repetitions_do_not_depend_on_what_ran_before():
    settings = Settings(bootstrap=2, iterations=5)
    one, two = (solvers.repeated_volumes(ball_views(), settings, ball(), None) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert len(one) == 2
    assert len(solvers.repeated_volumes(ball_views(), settings, ball(), lambda step: isinstance(step, Step))) == 0


def test_error_of_the_kernels_names_the_files():
    measured = replace(ball_views(), sources=(Path("front.dcm"), Path("side.dcm")))
    empty = replace(measured, images=(measured.images[0], np.zeros_like(measured.images[1])))
    with pytest.raises(InputError, match=r"^view 2 shows nothing.* \(view 2 is side\.dcm\)\.$"):
        pipeline.reconstruct(empty, Settings())
    one_file = replace(empty, sources=(Path("both.dcm"),) * 2, frames=(5, 9))
    with pytest.raises(InputError, match=r"\(view 2 is both\.dcm, frame 9\)"):
        pipeline.reconstruct(one_file, Settings())
