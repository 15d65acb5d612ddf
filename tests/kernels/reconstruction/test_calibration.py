"""Known errors of a geometry are found again, and what cannot be known is said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.kernels import Geometry, Grid, View
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.reconstruction.adjustments import PARAMETERS, adjusted, parameters, predicted
from photopeak.kernels.reconstruction.bundle_adjustment import determine
from photopeak.kernels.reconstruction.calibration import calibrate_landmarks, corrected_geometry, triangulate

GRID = Grid((64, 64, 64), (4.0, 4.0, 4.0), (5.0, -10.0, 20.0))
PIVOT = GRID.center_mm
SMALL = st.tuples(
    *[st.floats(-40, 40)] * 3, *[st.floats(-6, 6)] * 3, st.floats(-15, 15), st.floats(-15, 15), st.floats(-4, 4)
)


def c_arm(primary, secondary):
    return View.c_arm((400, 420), (0.5, 0.45), primary, secondary, source_detector_mm=1100.0, source_isocenter_mm=750.0)


STAND = Geometry(GRID, (c_arm(-30, 10), c_arm(50, -20)))
THREE = Geometry(GRID, (*STAND.views, c_arm(0, 35)))
CAMERAS = Geometry.around(GRID, (0, 90))


def cloud(count=12, spread_mm=60.0, seed=0):
    return np.random.default_rng(seed).uniform(-spread_mm, spread_mm, (count, 3)) + PIVOT


def disturbed(geometry, points, *values, noise_px=0.0, seed=0):
    """Return where views with errors see points; the first view has none."""
    random = np.random.default_rng(seed)
    all_values = [np.zeros(9), *(np.asarray(one, np.float64) for one in values)]
    seen = [predicted(view, PIVOT, one, points)[0] for view, one in zip(geometry.views, all_values, strict=True)]
    return [one + random.normal(0, noise_px, one.shape) for one in seen]


def only(**known):
    """Return nine values from names of faults: table=(x, y, z), rotation=..., shift=..., magnification=..."""
    places = {"table": slice(0, 3), "rotation": slice(3, 6), "shift": slice(6, 8), "magnification": slice(8, 9)}
    values = np.zeros(9)
    for fault, value in known.items():
        values[places[fault]] = value
    return values


@settings(max_examples=30)
@given(SMALL, st.sampled_from([c_arm(25, -15), View.gamma_camera((64, 64), (4.0, 3.0), 40)]))
def test_adjusted_view_sees_what_is_predicted(values, view):
    """Two derivations of one thing: a moved detector, and moved points."""
    points = cloud(5)
    corrected = adjusted(view, PIVOT, np.array(values))
    assert np.allclose(corrected.project(points), predicted(view, PIVOT, np.array(values), points)[0], atol=1e-6)


@settings(max_examples=30)
@given(SMALL, st.sampled_from([c_arm(25, -15), View.gamma_camera((64, 64), (4.0, 3.0), 40)]))
def test_derivatives_are_those_of_small_differences(values, view):
    points, values = cloud(4), np.array(values)
    _, by_point, by_values = predicted(view, PIVOT, values, points)
    step = 1e-5
    for axis in range(3):
        shift = step * np.eye(3)[axis]
        slope = predicted(view, PIVOT, values, points + shift)[0] - predicted(view, PIVOT, values, points - shift)[0]
        assert np.allclose(by_point[:, :, axis], slope / (2 * step), rtol=1e-5, atol=1e-6)
    for place in range(9):
        shift = step * np.eye(9)[place]
        slope = predicted(view, PIVOT, values + shift, points)[0] - predicted(view, PIVOT, values - shift, points)[0]
        assert np.allclose(by_values[:, :, place], slope / (2 * step), rtol=1e-5, atol=1e-6)


def test_table_to_the_head_moves_the_image_up():
    view = View.gamma_camera((64, 64), (4.0, 4.0), 0)
    pixels, _, _ = predicted(view, PIVOT, only(table=(0, 0, 8)), np.array([PIVOT]))
    assert pixels[0, 0] == pytest.approx(view.project(np.array(PIVOT))[0] - 2)


def test_magnification_enlarges_the_image():
    view = c_arm(0, 0)
    corrected = adjusted(view, PIVOT, only(magnification=3.0))
    assert corrected.magnification == pytest.approx(1.03 * view.magnification)
    assert adjusted(CAMERAS.views[0], PIVOT, only(magnification=25.0)).spacing_mm == (3.2, 3.2)


@given(st.lists(st.tuples(*[st.floats(-100, 100)] * 3), min_size=1, max_size=5))
def test_triangulation_undoes_projection(points):
    points = np.array(points)
    assert np.allclose(triangulate(STAND, [view.project(points) for view in STAND.views]), points, atol=1e-6)


def test_triangulation_leaves_out_what_one_view_sees():
    points = cloud(3)
    seen = [view.project(points) for view in THREE.views]
    seen[0][0], seen[1][0], seen[2][1] = np.nan, np.nan, np.nan
    found = triangulate(THREE, seen)
    assert np.isnan(found[0]).all()
    assert np.allclose(found[1:], points[1:])


@pytest.mark.parametrize("geometry", [STAND, THREE])
@pytest.mark.parametrize("seed", range(3))
def test_moved_detector_of_cone_beams_is_put_back(geometry, seed):
    """Exact landmarks: views meet again in points, wherever the shift along a ray went."""
    points, random = cloud(seed=seed), np.random.default_rng(seed)
    values = [only(shift=random.uniform(-8, 8, 2)) for _ in geometry.views[1:]]
    found = calibrate_landmarks(geometry, disturbed(geometry, points, *values), adjust=["shift"], error_px=0.05)
    assert found.before > 1
    assert found.after < 1e-6
    assert found.unit == "pixels"
    assert all(change.determined for change in found.changes)
    expected = np.concatenate([value[6:8] for value in values])
    assert np.allclose([change.value for change in found.changes], expected, atol=1e-4)
    assert np.allclose(found.points_mm, points, atol=1e-3)


@pytest.mark.parametrize(
    ("faults", "values"),
    [
        (["rotation"], only(rotation=(1.5, -2.0, 0.8))),
        (["magnification"], only(magnification=2.0)),
        (["shift", "magnification"], only(shift=(3.0, -4.0), magnification=-1.5)),
        (["rotation", "shift"], only(rotation=(-1.0, 0.5, 1.0), shift=(2.0, 1.0))),
    ],
)
def test_other_errors_of_cone_beams_are_found(faults, values):
    points = cloud(20)
    found = calibrate_landmarks(STAND, disturbed(STAND, points, values), adjust=faults, error_px=0.02)
    assert found.after < 1e-6 < found.before
    for change in found.changes:
        if change.determined:
            assert change.value == pytest.approx(values[change.parameter.index], abs=4 * change.error)
    assert sum(change.determined for change in found.changes) >= len(found.changes) - 1


def test_table_of_parallel_views_is_found_along_their_common_axis_only():
    """What lies across it moves landmarks as well as the table could: it is said, and left alone."""
    points = cloud()
    moved = disturbed(CAMERAS, points, only(table=(0, 0, 12.0)))
    found = calibrate_landmarks(CAMERAS, moved)
    assert [change.determined for change in found.changes] == [False, False, True]
    assert [change.value for change in found.changes] == pytest.approx([0, 0, 12])
    assert str(found.changes[0]) == "view 2, table to the left: not adjusted, the data do not determine it"
    assert found.geometry.views[0] == CAMERAS.views[0]
    assert np.allclose(found.points_mm, points)


def test_turned_and_enlarged_camera_is_found():
    values = only(rotation=(2.0, 0, 0), magnification=3.0)
    found = calibrate_landmarks(
        CAMERAS, disturbed(CAMERAS, cloud(), values), adjust=["rotation", "magnification"], error_px=0.02
    )
    by_name = {change.parameter.name: change for change in found.changes}
    assert by_name["rotation about x"].value == pytest.approx(2.0, abs=0.05)
    assert by_name["magnification"].value == pytest.approx(3.0, abs=0.05)
    assert found.after < 0.01 < found.before


@pytest.mark.parametrize("noise_px", [0.2, 1.0])
def test_standard_errors_are_those_of_repeated_noise(noise_px):
    """Over 40 draws, estimates scatter by what they are said to, and centre on the truth."""
    points, values = cloud(25), only(shift=(4.0, -6.0))
    found = [
        calibrate_landmarks(
            STAND, disturbed(STAND, points, values, noise_px=noise_px, seed=seed), adjust=["shift"], error_px=noise_px
        )
        for seed in range(40)
    ]
    for place in range(2):
        drawn = np.array([one.changes[place].value for one in found])
        told = np.mean([one.changes[place].error for one in found])
        assert drawn.std() == pytest.approx(told, rel=0.35)
        assert drawn.mean() == pytest.approx(values[6 + place], abs=4 * told / np.sqrt(40))
    # 25 landmarks in two views: 100 numbers less 75 for the landmarks and 2 for the detector.
    expected = noise_px * np.sqrt(23 / 100)
    assert np.mean([one.after for one in found]) == pytest.approx(expected, rel=0.1)
    assert found[0].after_mm == pytest.approx(found[0].after * 0.5 * 750 / 1100, rel=0.05)


def test_landmarks_that_few_views_see_do_no_harm():
    points = cloud(15)
    values = [only(shift=(3.0, 2.0)), only(shift=(-4.0, 1.0))]
    seen = disturbed(THREE, points, *values)
    seen[0][0:4], seen[1][4:8] = np.nan, np.nan
    seen[1][0], seen[2][14, 1] = np.nan, np.nan
    found = calibrate_landmarks(THREE, seen, adjust=["shift"], error_px=0.05)
    assert found.after < 1e-6
    assert np.isnan(found.points_mm[0]).all()
    assert np.allclose(found.points_mm[1:], points[1:], atol=1e-3)


def test_facts_say_residual_and_changes():
    found = calibrate_landmarks(CAMERAS, disturbed(CAMERAS, cloud(), only(table=(0, 0, 12.0))))
    names, values = zip(*found.facts, strict=True)
    assert names[0] == "Residual before and after calibration"
    assert "pixels" in values[0]
    assert any("table to the head: +12 mm" in value for value in values)


def landmarks(count):
    points = cloud(count)
    return [view.project(points) for view in STAND.views]


@pytest.mark.parametrize(
    ("seen", "error", "words"),
    [
        (landmarks(6)[:1], UsageError, "landmarks of 1 views for 2"),
        ([*landmarks(6)[:1], landmarks(5)[1]], InputError, "view 2: landmarks of shape"),
        ([landmarks(6)[0], np.zeros((6, 3))], InputError, "view 2: landmarks of shape"),
        (landmarks(1), InputError, r"1 landmark\(s\) are seen"),
        ([landmarks(6)[0], np.full((6, 2), np.nan)], InputError, r"0 landmark\(s\) are seen"),
    ],
)
def test_too_few_landmarks_are_refused(seen, error, words):
    with pytest.raises(error, match=words):
        calibrate_landmarks(STAND, seen)


def test_views_along_one_line_are_refused():
    geometry = Geometry.around(GRID, (0, 180))
    with pytest.raises(InputError, match="seen in two views"):
        calibrate_landmarks(geometry, [view.project(cloud()) for view in geometry.views])


def test_landmarks_that_meet_behind_a_focal_spot_are_refused():
    seen = [np.random.default_rng(0).uniform(-1e5, 1e5, (6, 2)) for _ in STAND.views]
    with pytest.raises(InputError, match="behind a focal spot"):
        calibrate_landmarks(STAND, seen)


def test_landmarks_that_tell_nothing_are_refused():
    """Known to 1000 pixels only."""
    with pytest.raises(InputError, match="determine none"):
        calibrate_landmarks(STAND, landmarks(4), adjust=["shift"], error_px=1000.0)


@pytest.mark.parametrize("faults", [[], ["colour"]])
def test_unknown_faults_are_refused(faults):
    with pytest.raises(UsageError, match="give some of magnification, rotation, shift, table"):
        parameters(faults)


@pytest.mark.parametrize("error_px", [0.0, -1.0, np.nan, np.inf])
def test_error_of_landmarks_must_be_a_size(error_px):
    with pytest.raises(UsageError, match="cannot be known to"):
        calibrate_landmarks(STAND, landmarks(6), error_px=error_px)


def test_one_view_is_refused():
    with pytest.raises(UsageError, match="one view alone"):
        calibrate_landmarks(Geometry(GRID, STAND.views[:1]), landmarks(6)[:1])


def test_values_of_nothing_change_nothing():
    assert corrected_geometry(STAND, np.zeros((2, len(PARAMETERS)))) == STAND


def test_determined_part_is_the_pseudo_inverse_of_what_is_kept():
    random = np.random.default_rng(0)
    matrix, right = random.normal(size=(30, 5)) * [10, 10, 10, 1e-3, 1e-3], random.normal(size=30)
    found = determine(matrix, right)
    assert found.rank == 3
    assert np.allclose(found.solution[:3], np.linalg.lstsq(matrix[:, :3], right, rcond=None)[0], atol=1e-3)
    assert np.isinf(found.errors[3:]).all()
    covariance = np.linalg.inv(matrix[:, :3].T @ matrix[:, :3])
    assert np.allclose(found.errors[:3], np.sqrt(np.diag(covariance)), rtol=1e-3)
