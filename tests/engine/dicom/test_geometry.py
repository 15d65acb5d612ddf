"""Orientation and view."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from photopeak.engine.dicom.geometry import orientation, pixel_spacing, view_of_orientation, view_of_text
from photopeak.engine.errors import InputError


def header(**elements):
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("words", "view"),
    [
        ("anterior", "anterior"),
        ("Anterior projection", "anterior"),
        ("Left lateral projection", "left lateral"),
        ("Right posterior oblique", "right posterior oblique"),
        ("LAO", "left anterior oblique"),
        ("WB_POST", "posterior"),
        ("ANT/POST", ""),
        ("ant post", ""),
        ("antero-posterior", ""),
        ("FONDO D1", ""),
        ("", ""),
    ],
)
def test_view_of_words(words, view):
    assert view_of_text(words) == view


@pytest.mark.parametrize(
    ("letters", "cosines", "view"),
    [
        ("L\\F", [1, 0, 0, 0, 0, -1], "anterior"),
        ("R\\F", [-1, 0, 0, 0, 0, -1], "posterior"),
        ("P\\F", [0, 1, 0, 0, 0, -1], "left lateral"),
        ("A\\F", [0, -1, 0, 0, 0, -1], "right lateral"),
        ("L\\P", [1, 0, 0, 0, 1, 0], ""),
    ],
)
def test_view_of_orientation_is_the_same_from_letters_and_cosines(letters, cosines, view):
    assert view_of_orientation(header(PatientOrientation=letters.split("\\"))) == view
    assert view_of_orientation(header(ImageOrientationPatient=cosines)) == view


def test_oblique_direction_has_no_view():
    turned = [np.cos(0.5), np.sin(0.5), 0, 0, 0, -1]
    assert view_of_orientation(header(ImageOrientationPatient=[float(f"{c:.6f}") for c in turned])) == ""


@pytest.mark.parametrize("cosines", [[0] * 6, [1, 0, 0, 1, 0, 0], [2, 0, 0, 0, 2, 0]])
def test_vectors_that_span_no_plane_are_no_orientation(cosines):
    assert orientation(header(ImageOrientationPatient=cosines)) is None


def test_spacing_of_zero_is_unknown_and_of_one_number_an_error():
    assert pixel_spacing(header(PixelSpacing=[0, 0])) is None
    assert pixel_spacing(header(PixelSpacing=[0, 0], ImagerPixelSpacing=[0.2, 0.1])) == (0.2, 0.1)
    with pytest.raises(InputError, match=r"Pixel Spacing \(0028,0030\)"):
        pixel_spacing(header(PixelSpacing=1))
