"""Measured views are calibrated by a file of landmarks, or by themselves."""

import numpy as np
import pytest

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.reconstruction.calibrate import calibrated, read_landmarks
from photopeak.engine.reconstruction.measured import Measured
from photopeak.kernels import Geometry, Grid

GEOMETRY = Geometry.around(Grid((64, 64, 64), (4.0, 4.0, 4.0)), (0, 90))
POINTS = np.random.default_rng(0).uniform(-80, 80, (5, 3))


def measured(rows):
    """Return two views of a blob, the second one moved down by some rows."""
    row, column = np.mgrid[-32:32, -32:32]
    images = [1000 * np.exp(-((row - down) ** 2 + column**2) / 50) for down in (0, rows)]
    return Measured(tuple(np.float32(image) for image in images), GEOMETRY, "nm", ())


@pytest.fixture
def landmarks(tmp_path):
    """Return ``write(*places)``: a file of landmarks from the row and column of each in each view."""

    def write(*places, head=""):
        lines = [f"[[landmark]]\nat = [{', '.join(map(str, one))}]\n" for one in places]
        path = tmp_path / "landmarks.toml"
        path.write_text(head + "".join(lines))
        return path

    return write


def places(rows):
    first, second = (view.project(POINTS) for view in GEOMETRY.views)
    return [
        [list(map(float, one)), [float(two[0] + rows), float(two[1])]] for one, two in zip(first, second, strict=True)
    ]


def test_landmarks_move_the_second_view(landmarks):
    found = calibrated(measured(3), landmarks=landmarks(*places(3)))
    assert found.geometry.views[0] == GEOMETRY.views[0]
    assert found.geometry.views[1].center_mm == pytest.approx((250, 0, 12))
    names, values = zip(*found.facts, strict=True)
    assert names[0].startswith("Residual before and after")
    assert not found.warnings
    assert "view 2, table to the head: -12 mm" in values[3]


def test_images_move_it_as_well():
    found = calibrated(measured(3))
    assert found.geometry.views[1].center_mm == pytest.approx((250, 0, 12), abs=0.1)
    assert "%" in found.facts[0][1]
    assert "several pixels" in found.warnings[0]
    assert not calibrated(measured(3), attenuated=False).warnings


def test_landmark_may_be_missing_in_a_view(landmarks):
    some = places(3)
    some[0][1] = []
    found = calibrated(measured(3), landmarks=landmarks(*some, head="error_px = 0.1\n"))
    assert found.geometry.views[1].center_mm == pytest.approx((250, 0, 12))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda some: some[:1], "landmark: tuple should have at least 2 items"),
        (lambda some: [*some, [[1.0], [2.0, 3.0]]], "landmark 6 has a place of one number"),
        (lambda some: [*some, [[1.0, 2.0, 3.0], [2.0, 3.0]]], "landmark.6.at.1"),
        (lambda some: [*some, [[1.0, 2.0]] * 3], "landmark 6 has 3 places for 2 views"),
        (lambda some: [*some, [["nan", 2.0], [2.0, 3.0]]], "landmark.6.at.1.1"),
    ],
)
def test_wrong_landmarks_are_refused(landmarks, change, words):
    with pytest.raises(UsageError, match=words):
        calibrated(measured(3), landmarks=landmarks(*change(places(3))))


@pytest.mark.parametrize("head", ["error_px = 0.0\n", "errors = 1.0\n", "error_px = [\n"])
def test_wrong_file_is_refused(landmarks, head):
    with pytest.raises(UsageError, match=r"landmarks\.toml"):
        read_landmarks(landmarks(*places(0), head=head))


def test_unseen_landmarks_are_refused(landmarks):
    with pytest.raises(InputError, match=r"1 landmark\(s\) are seen"):
        calibrated(measured(3), landmarks=landmarks(places(3)[0], [[1.0, 2.0], []]))
