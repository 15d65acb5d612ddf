"""What options say of a camera."""

from pathlib import Path

import numpy as np
import pytest

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.reconstruction.gamma import Physics, cylinder
from photopeak.engine.reconstruction.volume_files import nifti_file
from photopeak.kernels.reconstruction.geometry import Grid


def test_nothing_said_is_no_camera(grid):
    assert Physics.parsed(None, None, None).camera(grid) is None


def test_body_and_holes_are_those_of_the_camera(grid):
    camera = Physics.parsed("0.15", "60x40", "1.5x24").camera(grid)
    assert (camera.mu_per_cm, camera.face_mm, camera.slope) == (0.15, 1.5, 0.0625)
    np.testing.assert_array_equal(camera.body, cylinder(grid, (60, 40)))


def test_cylinder_is_an_ellipse_around_the_middle():
    grid = Grid((2, 200, 300), (5.0, 1.0, 1.0), (10.0, -20.0, 0.0))
    inside = cylinder(grid, (120.0, 80.0))
    assert inside[0].sum() == pytest.approx(np.pi * 60 * 40, rel=0.01)
    rows, columns = np.nonzero(inside[1])
    _, y, x = grid.axes()
    assert (y[rows].mean(), x[columns].mean()) == pytest.approx((-20, 10))
    assert np.ptp(x[columns]) > np.ptp(y[rows])


def test_map_is_read(grid, tmp_path):
    values = np.random.default_rng(0).random(grid.shape, np.float32)
    path = tmp_path / "mu.nii.gz"
    path.write_bytes(nifti_file(values, grid, path, "mu"))
    np.testing.assert_array_equal(Physics.parsed(str(path), None, None).camera(grid).attenuation_map, values)
    with pytest.raises(InputError, match=r"mu\.nii\.gz: its voxels"):
        Physics.parsed(str(path), None, None).camera(Grid((4, 4, 4), (1.0, 1.0, 1.0)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("thick", None, None), "no coefficient"),
        (("nan", "3x3", None), "no coefficient"),
        (("-1", "3x3", None), "no coefficient"),
        (("0.15", None, None), "needs a body"),
        ((None, "320x220", None), "needs a body"),
        (("0.15", "320", None), "no pair"),
        (("0.15", "0x220", None), "no pair"),
        ((None, None, "1.5"), "no pair"),
        ((None, None, "24x1.5"), "wider than long"),
        (("mu.nii", "320x220", None), "leave --body out"),
    ],
)
def test_wrong_options_are_one_sentence(options, words):
    with pytest.raises(UsageError, match=words):
        Physics.parsed(*options)


def test_facts_are_words():
    assert Physics(0.15, (320.0, 220.0), None, (1.5, 24.0)).spelled() == [
        ("Attenuation", "0.15 / cm in a body of 320 \u00d7 220 mm"),
        ("Collimator", "holes of 1.5 mm, 24 mm long"),
    ]
    assert Physics(attenuation_map=Path("mu.nii")).spelled() == [("Attenuation", "from a map")]


@pytest.mark.parametrize("value", ["-0.1", "5.1", "1e30", "nan", "inf", "water"])
def test_coefficient_of_no_body_is_refused(value):
    with pytest.raises(UsageError, match=rf"--attenuation {value} is no coefficient"):
        Physics.parsed(value, "60x40", None)
